"""The files that hold what a run wrote to stdout and stderr.

Owns their names, creation, sizes and removal. The file is also evidence: a run that
has none never started. So files are created before the job is spawned, and an empty
one goes away only after the result is committed.
"""

import os
from enum import StrEnum
from typing import NamedTuple

SHARD = 1000
"""Jobs that share a directory: a directory of a million files is slow to list."""

_FLAGS = (
    os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
)


class Stream(StrEnum):
    """Which of the two a file holds; the value is the protocol's word for it."""

    STDOUT = "stdout"
    STDERR = "stderr"


_SUFFIX = {Stream.STDOUT: "out", Stream.STDERR: "err"}


class OutputFiles(NamedTuple):
    """The two open files of a run, for appending."""

    stdout: int
    stderr: int

    def sizes(self) -> tuple[int, int]:
        """Return the bytes on stdout and on stderr so far."""
        return os.fstat(self.stdout).st_size, os.fstat(self.stderr).st_size

    def close(self) -> None:
        """Close both; the job has its own."""
        os.close(self.stdout)
        os.close(self.stderr)


def path(output_dir: str, seq: int, run: int, lease: int, stream: Stream) -> str:
    """Return where a run's stream is kept.

    The lease makes the name unique for ever; seq and run are for people.
    """
    return f"{output_dir}/{seq // SHARD}/{seq}.{run}.{lease}.{_SUFFIX[stream]}"


def paths(output_dir: str, seq: int, run: int, lease: int) -> tuple[str, ...]:
    """Return where a run's streams are kept, stdout first."""
    return tuple(path(output_dir, seq, run, lease, stream) for stream in Stream)


def sizes(output_dir: str, seq: int, run: int, lease: int) -> tuple[int, int] | None:
    """Return the bytes on stdout and stderr; None if the run never began."""
    found = [_size(name) for name in paths(output_dir, seq, run, lease)]
    if all(size is None for size in found):
        return None
    stdout, stderr = (size or 0 for size in found)
    return stdout, stderr


def create(output_dir: str, seq: int, run: int, lease: int) -> OutputFiles:
    """Create both files of a run, and their directory if it is the first there.

    Raises:
        OSError: one could not be created; then neither exists.
    """
    out = path(output_dir, seq, run, lease, Stream.STDOUT)
    stdout = _create(out)
    try:
        stderr = _create(path(output_dir, seq, run, lease, Stream.STDERR))
    except OSError:
        os.close(stdout)
        os.unlink(out)
        raise
    return OutputFiles(stdout, stderr)


def discard(output_dir: str, seq: int, run: int, lease: int, stream: Stream) -> None:
    """Delete one file of a run, known to be empty. Only after the commit."""
    _unlink(path(output_dir, seq, run, lease, stream))


def remove_empty(output_dir: str, seq: int, run: int, lease: int) -> None:
    """Delete those of a run's files that hold nothing. Only after the commit."""
    for stream in Stream:
        name = path(output_dir, seq, run, lease, stream)
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
    for stream in Stream:
        _unlink(path(output_dir, seq, run, lease, stream))
    try:
        os.rmdir(f"{output_dir}/{seq // SHARD}")
    except OSError:
        return  # others are in it, or another removal was faster


def _size(name: str) -> int | None:
    try:
        return os.lstat(name).st_size
    except FileNotFoundError:
        return None


def _create(name: str) -> int:
    try:
        return os.open(name, _FLAGS, 0o600)
    except FileNotFoundError:
        _make_directory(os.path.dirname(name))
    except FileExistsError:
        # Leases are never used twice, so this is from a future that a restored
        # backup took back; no attempt in the store refers to it.
        os.unlink(name)
    return os.open(name, _FLAGS, 0o600)


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
