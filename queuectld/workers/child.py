"""The worker program: ``python -P -m queuectld.workers.child NUMBER``.

Owns how a worker process begins: what it takes over from its parent, the greeting on
the link (file 3), the exit status. ``worker`` has the rest. What is imported here
must stay small, because every worker pays for it in memory: no store, no broker, no
logging, no asyncio.
"""

import gc
import os
import select
import sys

from queuectl_protocol.errors import ProtocolError
from queuectld.clock import SystemClock
from queuectld.workers import complaint, signals, spawn, syscalls, uplink, wire
from queuectld.workers.worker import Worker

_USAGE = 2

_FIRST_FOREIGN = wire.FD + 1
_FILES_MAX = 1 << 20


def main() -> int:
    """Run one worker; return its exit status: 0 unless a result was lost."""
    if len(sys.argv) != 2 or not sys.argv[1].isdecimal():
        sys.stderr.write("usage: python -m queuectld.workers.child NUMBER\n")
        return _USAGE
    _take_over()
    syscalls.become_subreaper()
    try:
        # First: without a link, its number would be the next file's.
        link = uplink.Uplink(wire.FD)
    except OSError:
        complaint.write("this program is started by queuectld, which talks to it")
        return 1
    signal_file = signals.SignalFile()
    try:
        messages = _greeting(link, signal_file)
        if not messages:
            return 0
        hello, *rest = messages
        worker = Worker(_checked(hello), link, signal_file, SystemClock())
    except (OSError, ProtocolError) as error:
        complaint.write(f"worker {sys.argv[1]} cannot begin: {error}")
        link.send(wire.Trouble(None, f"cannot begin: {error}"))
        return 1
    # What lives now lives until the end: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    syscalls.trim_memory()
    return worker.run(rest)


def _take_over() -> None:
    """Leave nothing of the parent to the jobs: files, directory, umask."""
    os.closerange(_FIRST_FOREIGN, _FILES_MAX)
    for number in range(wire.FD):
        _fill(number)
    os.chdir("/")
    os.umask(spawn.OWN_UMASK)


def _fill(number: int) -> None:
    """Open a standard file that is missing, or one of ours would take its place."""
    try:
        os.fstat(number)
    except OSError:
        # The lowest free number is the missing one.
        os.open(os.devnull, os.O_RDWR)


def _greeting(
    link: uplink.Uplink, signal_file: signals.SignalFile
) -> list[wire.Message]:
    """Wait for the first messages; none if the worker is not wanted after all."""
    poll = select.poll()
    poll.register(link.fd, select.POLLIN)
    poll.register(signal_file.fd, select.POLLIN)
    messages: list[wire.Message] = []
    while link.open and not messages:
        ready = [fd for fd, _ in poll.poll()]
        if signal_file.fd in ready:
            return []
        messages = link.receive()
    return messages


def _checked(hello: wire.Message) -> wire.Hello:
    if not isinstance(hello, wire.Hello):
        raise wire.WireError("the first message is hello")
    if hello.version != wire.VERSION:
        raise wire.WireError(
            f"this worker speaks version {wire.VERSION} of the link and the daemon "
            f"version {hello.version}: restart the daemon (queuectl daemon restart)"
        )
    return hello


if __name__ == "__main__":
    sys.exit(main())
