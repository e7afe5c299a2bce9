"""The files that hold what a job wrote to stdout and stderr, two for each attempt.

Owns their names, creation, sizes and removal. The files are also evidence: an attempt
without files never started. So they are created before the job's process, and an empty
one is removed only after the result is committed. Or the next attempt gets it, which
costs a third less than to remove one and to create another.
"""

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

SHARD = 1000
"""Jobs that share a directory: a directory of a million files is slow to list."""

TRIES = 10
"""To create a file: its directory may be removed, since it is empty, right after it
was made."""

_ALWAYS = os.O_NOFOLLOW | os.O_CLOEXEC
_APPEND = os.O_WRONLY | os.O_APPEND | _ALWAYS
_CREATE = _APPEND | os.O_CREAT | os.O_EXCL
_MODE = 0o600


class Stream(StrEnum):
    """Which of the two streams a file holds; the value is the protocol's word."""

    STDOUT = "stdout"
    STDERR = "stderr"


class OutputFiles(NamedTuple):
    """The two files of an attempt, open for appending."""

    stdout: int
    stderr: int

    def sizes(self) -> tuple[int, int]:
        """Return the bytes on stdout and on stderr so far."""
        return os.fstat(self.stdout).st_size, os.fstat(self.stderr).st_size

    def give(self, uid: int, gid: int) -> None:
        """Make another account the owner of both.

        Raises:
            OSError: this process may not do that.
        """
        for fd in self:
            os.fchown(fd, uid, gid)

    def take_back(self) -> None:
        """Make this process's account their owner again, and restore their mode."""
        for fd in self:
            with contextlib.suppress(OSError):
                os.fchown(fd, os.geteuid(), os.getegid())
                os.fchmod(fd, _MODE)

    def close(self) -> None:
        """Close both; the job has descriptors of its own."""
        os.close(self.stdout)
        os.close(self.stderr)


def path(output_dir: str, seq: int, run: int, lease: int, stream: Stream) -> str:
    """Return the path of one stream of an attempt.

    The lease makes the name unique for ever; seq and run are for people.
    """
    return paths(output_dir, seq, run, lease)[stream is Stream.STDERR]


def paths(output_dir: str, seq: int, run: int, lease: int) -> tuple[str, str]:
    """Return the paths of both streams of an attempt, stdout first."""
    name = f"{output_dir}/{seq // SHARD}/{seq}.{run}.{lease}"
    return f"{name}.out", f"{name}.err"


def sizes(output_dir: str, seq: int, run: int, lease: int) -> tuple[int, int] | None:
    """Return the bytes on stdout and stderr; None if the attempt never started."""
    found = [_size(name) for name in paths(output_dir, seq, run, lease)]
    if all(size is None for size in found):
        return None
    stdout, stderr = (size or 0 for size in found)
    return stdout, stderr


def create(
    output_dir: str,
    seq: int,
    run: int,
    lease: int,
    spare: Sequence[str | None] = (None, None),
) -> OutputFiles:
    """Create both files of an attempt, and their directory if there is none yet.

    Args:
        output_dir: the directory of all output files.
        seq: the job.
        run: which run of the job this is.
        lease: the attempt's.
        spare: empty files of an attempt whose result is committed. They are used
            instead of new ones, or removed.

    Raises:
        OSError: one could not be created; then neither exists.
    """
    out, err = paths(output_dir, seq, run, lease)
    try:
        stdout = _create(out, spare[0])
    except OSError:
        discard(spare[1:])
        raise
    try:
        stderr = _create(err, spare[1])
    except OSError:
        os.close(stdout)
        os.unlink(out)
        raise
    return OutputFiles(stdout, stderr)


def discard(names: Iterable[str | None]) -> None:
    """Delete files that are known to be empty. Only after the commit."""
    for name in names:
        if name is not None:
            _unlink(name)


def remove_empty(output_dir: str, seq: int, run: int, lease: int) -> None:
    """Delete those files of an attempt that are empty. Only after the commit."""
    for name in paths(output_dir, seq, run, lease):
        try:
            if os.lstat(name).st_size == 0:
                os.unlink(name)
        except FileNotFoundError:
            continue


def remove(output_dir: str, seq: int, run: int, lease: int) -> None:
    """Delete an attempt's files, and their directory if it is empty then.

    Raises:
        OSError: one exists and cannot be deleted.
    """
    for name in paths(output_dir, seq, run, lease):
        _unlink(name)
    try:
        os.rmdir(f"{output_dir}/{seq // SHARD}")
    except OSError:
        return  # other files are in it, or another removal was faster


def _size(name: str) -> int | None:
    try:
        return os.lstat(name).st_size
    except FileNotFoundError:
        return None


def _create(name: str, spare: str | None) -> int:
    if spare is not None and (passed_on := _pass_on(spare, name)) is not None:
        return passed_on
    for _ in range(TRIES):
        try:
            return os.open(name, _CREATE, _MODE)
        except FileNotFoundError:
            _make_directory(os.path.dirname(name))
        except FileExistsError:
            # Leases are never used twice: this file is of an attempt made after the
            # backup that was restored. No attempt in the store refers to it.
            os.unlink(name)
    return os.open(name, _CREATE, _MODE)


def _pass_on(spare: str, name: str) -> int | None:
    """Rename an empty file for another attempt, or remove it.

    Not renamed if any process has it open for writing: a job may have passed its stdout
    to a service manager or to the master of an ssh connection, which would then write
    into another job's output. The kernel grants a read lease only if no process writes:
    fcntl(2), F_SETLEASE. This does not detect readers. The daemon's own readers notice
    that the file was renamed (``server/output/reader.py``). There are no other readers,
    since a file that was ever given to an account is not used again.

    Returns:
        The renamed file, open for appending; None if it was not renamed.
    """
    try:
        fd = os.open(spare, os.O_RDONLY | os.O_NONBLOCK | _ALWAYS)
        try:
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            found = os.fstat(fd)
        finally:
            os.close(fd)  # and with it the lease
        if found.st_size:
            return None  # written to after all: it stays the other attempt's
        if _is_as_created(found):  # else its job has changed its mode or owner
            os.rename(spare, name)
            spare = name
            return os.open(name, _APPEND)
    except OSError:
        pass
    _unlink(spare)
    return None


def _is_as_created(found: os.stat_result) -> bool:
    return stat.S_IMODE(found.st_mode) == _MODE and found.st_uid == os.geteuid()


def _make_directory(name: str) -> None:
    try:
        os.mkdir(name, 0o700)
    except FileExistsError:
        return  # another worker was faster


def _unlink(name: str) -> None:
    try:
        os.unlink(name)
    except FileNotFoundError:
        return
