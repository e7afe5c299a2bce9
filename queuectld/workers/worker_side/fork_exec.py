"""Starts a program with what posix_spawn cannot set: cgroup, limits, account.

A fork of the worker, so Python runs in the child between the fork and the exec. The
worker has one thread and next to nothing in memory, so that this is safe and takes
half a millisecond more; and what goes wrong in the child comes back as a sentence.
"""

import os
import resource
import signal
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple, NoReturn

from queuectld.core.limits import NONE, Limits
from queuectld.linux import rlimits, syscalls
from queuectld.workers.shared.accounts import Account

_MESSAGE = 8192
"""Bytes of a sentence from the child: less than what a pipe takes at once."""


class ChildError(Exception):
    """The child could not become the program; the message is for the job's owner."""


class Confinement(NamedTuple):
    """What a program is to start with.

    Attributes:
        group: its cgroup's directory, open; None for that of the worker.
        account: whom it runs as; None for as whom the worker does.
    """

    group: int | None = None
    limits: Limits = NONE
    account: Account | None = None


NOTHING = Confinement()


def start(
    confinement: Confinement,
    files: Mapping[int, int],
    reset: Collection[int],
    become: Callable[[], NoReturn],
) -> int:
    """Fork, confine the child, and have it call ``become``; return its pid.

    Args:
        confinement: what the child takes on, in the worker's directory and umask.
        files: its descriptor -> the worker's, beside stdin, which is /dev/null. All
            others are closed by the exec.
        reset: signals to give back their default action.
        become: ends in an exec; called as the account, in the child.

    Raises:
        ChildError: there is no process: what ``become`` raised, or the kernel.
        OSError: there can be no further process.
    """
    reader, writer = os.pipe()
    try:
        pid, inside = _fork(confinement.group)
        if pid == 0:
            with _told(writer):
                if not inside:
                    _join(confinement.group)
                _settle(files, reset)
                _confine(confinement)
                become()
    except OSError:
        os.close(reader)
        raise
    finally:
        os.close(writer)
    with open(reader, "rb", buffering=0) as pipe:
        # It ends with the exec, which closes the child's end of it.
        problem = pipe.read(_MESSAGE)
    if problem:
        os.waitpid(pid, 0)
        raise ChildError(problem.decode(errors="surrogateescape"))
    return pid


def _fork(group: int | None) -> tuple[int, bool]:
    """Fork; return the pid, 0 in the child, and whether that is in its group."""
    if group is None:
        return os.fork(), True
    pid = syscalls.fork_into(group)
    return (os.fork(), False) if pid is None else (pid, True)


@contextmanager
def _told(writer: int) -> Iterator[None]:
    """Tell the parent what goes wrong; never let the child go on as the worker."""
    try:
        yield
    except OSError as error:
        _tell(writer, f"cannot take on its limits or its account: {error.strerror}")
    except BaseException as error:  # noqa: BLE001 (the child has nobody else to tell)
        _tell(writer, str(error) or type(error).__name__)
    finally:
        os._exit(1)


def _join(group: int | None) -> None:
    procs = os.open("cgroup.procs", os.O_WRONLY | os.O_CLOEXEC, dir_fd=group)
    os.write(procs, b"0")


def _settle(files: Mapping[int, int], reset: Collection[int]) -> None:
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), 0, inheritable=True)
    for number, fd in files.items():
        os.dup2(fd, number, inheritable=True)
    for number in reset:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _confine(confinement: Confinement) -> None:
    if confinement.limits.nice:
        os.nice(confinement.limits.nice)
    if confinement.account is not None:
        uid, gid, groups = confinement.account
        os.setgroups(groups)
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
        # The daemon's, which all jobs would share.
        syscalls.leave_session_keyring()
        if uid:
            syscalls.drop_capabilities()
    for name, value in confinement.limits.rlimits:
        resource.setrlimit(rlimits.number(name), (value, value))


def _tell(writer: int, message: str) -> None:
    os.write(writer, message.encode(errors="surrogateescape")[:_MESSAGE])
