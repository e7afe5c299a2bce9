"""Starts a program with what posix_spawn cannot set: cgroup, limits, account.

It forks the worker, so Python runs in the child between the fork and the exec. The
worker has one thread and little memory, so this is safe and takes half a millisecond
more. An error in the child comes back to the worker as a sentence.
"""

import os
import resource
import signal
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple, NoReturn

from queuectld.core.limits import NONE, Limits
from queuectld.linux import rlimits, syscalls

_MESSAGE = 8192
"""Bytes of a sentence from the child: fewer than a pipe takes in one write."""


class ChildError(Exception):
    """The child could not become the program; the message is for the job's owner."""


class Account(NamedTuple):
    """The user and the groups of a process.

    Attributes:
        groups: the supplementary ones.
    """

    uid: int
    gid: int
    groups: tuple[int, ...]


class Confinement(NamedTuple):
    """What a program starts with.

    Attributes:
        group: its cgroup's directory, open; None for the worker's cgroup.
        account: whom it runs as; None for the worker's account.
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
        confinement: what the child takes on. Directory and umask are the worker's.
        files: the child's descriptors -> the worker's. Stdin is /dev/null; the exec
            closes all others.
        reset: signals that get their default action again.
        become: called in the child, as the account; ends in an exec.

    Raises:
        ChildError: the child could not do it; says what ``become`` or the kernel said.
        OSError: no process could be forked.
    """
    reader, writer = os.pipe()
    try:
        pid, inside = _fork(confinement.group)
        if pid == 0:
            with _errors_told(writer):
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
        # The exec closes the child's end: then nothing comes.
        sentence = pipe.read(_MESSAGE)
    if sentence:
        os.waitpid(pid, 0)
        raise ChildError(sentence.decode(errors="surrogateescape"))
    return pid


def _fork(group: int | None) -> tuple[int, bool]:
    """Fork; return the pid (0 in the child), and whether the child is in its group."""
    if group is None:
        return os.fork(), True
    pid = syscalls.fork_into(group)
    return (os.fork(), False) if pid is None else (pid, True)


@contextmanager
def _errors_told(writer: int) -> Iterator[None]:
    """Tell the parent what goes wrong; never return: the child is not the worker."""
    try:
        yield
    except OSError as error:
        _tell(writer, f"cannot take on its limits or its account: {error.strerror}")
    except BaseException as error:  # noqa: BLE001 (the child can tell only its parent)
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
        # Otherwise all jobs would share the session keyring of the daemon.
        syscalls.leave_session_keyring()
        if uid:
            syscalls.drop_capabilities()
    for name, value in confinement.limits.rlimits:
        resource.setrlimit(rlimits.number(name), (value, value))


def _tell(writer: int, message: str) -> None:
    os.write(writer, message.encode(errors="surrogateescape")[:_MESSAGE])
