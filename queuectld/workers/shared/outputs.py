"""The files that hold what a run wrote to stdout and stderr.

Owns their names, creation, sizes and removal. The file is also evidence: a run that
has none never started. So files are created before the job is spawned, and an empty
one goes away only after the result is committed; or becomes the next run's, which
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
"""To create a file: its directory may go, as an empty one, just after it was made."""

_CLOSED = os.O_NOFOLLOW | os.O_CLOEXEC
_APPEND = os.O_WRONLY | os.O_APPEND | _CLOSED
_CREATE = _APPEND | os.O_CREAT | os.O_EXCL
_MODE = 0o600


class Stream(StrEnum):
    """Which of the two a file holds; the value is the protocol's word for it."""

    STDOUT = "stdout"
    STDERR = "stderr"


class OutputFiles(NamedTuple):
    """The two open files of a run, for appending."""

    stdout: int
    stderr: int

    def sizes(self) -> tuple[int, int]:
        """Return the bytes on stdout and on stderr so far."""
        return os.fstat(self.stdout).st_size, os.fstat(self.stderr).st_size

    def give(self, uid: int, gid: int) -> None:
        """Make both those of another account.

        Raises:
            OSError: that cannot be done.
        """
        for fd in self:
            os.fchown(fd, uid, gid)

    def take_back(self) -> None:
        """Make both those of this process again, whatever their owner has changed."""
        for fd in self:
            with contextlib.suppress(OSError):
                os.fchown(fd, os.geteuid(), os.getegid())
                os.fchmod(fd, _MODE)

    def close(self) -> None:
        """Close both; the job has its own."""
        os.close(self.stdout)
        os.close(self.stderr)


def path(output_dir: str, seq: int, run: int, lease: int, stream: Stream) -> str:
    """Return where a run's stream is kept.

    The lease makes the name unique for ever; seq and run are for people.
    """
    return paths(output_dir, seq, run, lease)[stream is Stream.STDERR]


def paths(output_dir: str, seq: int, run: int, lease: int) -> tuple[str, str]:
    """Return where a run's streams are kept, stdout first."""
    name = f"{output_dir}/{seq // SHARD}/{seq}.{run}.{lease}"
    return f"{name}.out", f"{name}.err"


def sizes(output_dir: str, seq: int, run: int, lease: int) -> tuple[int, int] | None:
    """Return the bytes on stdout and stderr; None if the run never began."""
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
    """Create both files of a run, and their directory if it is the first there.

    Args:
        output_dir: where all of them are.
        seq: the job whose they will be.
        run: which of its runs.
        lease: the run's.
        spare: files of a run whose result is committed and says that they are empty,
            to be used instead of new ones, or removed.

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
    """Delete files, known to be empty. Only after the commit."""
    for name in names:
        if name is not None:
            _unlink(name)


def remove_empty(output_dir: str, seq: int, run: int, lease: int) -> None:
    """Delete those of a run's files that hold nothing. Only after the commit."""
    for name in paths(output_dir, seq, run, lease):
        try:
            if os.lstat(name).st_size == 0:
                os.unlink(name)
        except FileNotFoundError:
            continue


def remove(output_dir: str, seq: int, run: int, lease: int) -> None:
    """Delete a run's files, and their directory if they were the last in it.

    Raises:
        OSError: one is there and cannot be deleted.
    """
    for name in paths(output_dir, seq, run, lease):
        _unlink(name)
    try:
        os.rmdir(f"{output_dir}/{seq // SHARD}")
    except OSError:
        return  # others are in it, or another removal was faster


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
            # Leases are never used twice, so this is from a future that a restored
            # backup took back; no attempt in the store refers to it.
            os.unlink(name)
    return os.open(name, _CREATE, _MODE)


def _pass_on(spare: str, name: str) -> int | None:
    """Give an empty file to another run, or remove it; return it, open, or None.

    Not if anybody has it open for writing: whom a job has handed its stdout to (a
    service manager, the master of an ssh connection) would write into a stranger's. A
    read lease is given only when there is nobody: fcntl(2), F_SETLEASE. That tells
    nothing of readers: the daemon's own notice by the name (``server/reading.py``), and
    so that there are no others, no file comes here that was ever given to an account.
    """
    try:
        fd = os.open(spare, os.O_RDONLY | os.O_NONBLOCK | _CLOSED)
        try:
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            found = os.fstat(fd)
        finally:
            os.close(fd)  # and with it the lease
        if found.st_size:
            return None  # somebody wrote there after all, and it is that run's
        if _is_as_created(found):  # else its job has changed it, or it is another's
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
