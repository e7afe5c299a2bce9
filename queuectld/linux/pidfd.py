"""Files that stand for one process: pidfd_open(2). Signals reach that process or none.

A pid can belong to another process later; a pidfd cannot.
"""

import errno
import os
import select
import signal

from queuectld.linux import procfs
from queuectld.linux.procfs import ProcessId


def acquire(target: ProcessId) -> int | None:
    """Return a pidfd of this process; None if it is gone.

    It becomes readable when the process ends. While it is open, signals through it
    reach this process or none.
    """
    try:
        handle = os.pidfd_open(target.pid)
    except OSError as error:
        # A pid that went to a thread gives ENOENT, or EINVAL before Linux 6.9.
        if error.errno in {errno.ESRCH, errno.ENOENT, errno.EINVAL}:
            return None
        raise
    # Compared only now, when the pid cannot change hands any more unnoticed.
    if procfs.start_ticks(target.pid) == target.ticks:
        return handle
    os.close(handle)
    return None


def ended(handle: int, *, within: float = 0) -> bool:
    """Return whether the process has ended, ``within`` seconds from now at the latest.

    It may still wait to be reaped.
    """
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(max(0, within) * 1000))


def send(target: ProcessId, number: int) -> bool:
    """Send a signal to exactly this process; return whether it was there.

    Raises:
        PermissionError: it runs as another user.
    """
    handle = acquire(target)
    if handle is None:
        return False
    try:
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)
    return True
