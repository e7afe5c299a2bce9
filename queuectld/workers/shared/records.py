"""A worker's record: which process it is and what it runs, for the next daemon.

A small JSON file of fixed size in the runtime directory. One pwrite replaces it: that
costs one system call a job, and cannot fail for lack of space once the file is there.
It need not survive a reboot: a record with another boot id is not believed.

Behind the record the file has room for one result, reserved when the worker starts.
The result goes there if the spool has no space left. A reader that does not know of it
reads the record alone.

Other versions of queuectld read and write this format, hence ``VERSION``.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from queuectld.linux import procfs

VERSION = 1

SIZE = 512
"""Bytes of the file: the longest record is under 350."""

ROOM = 8192
"""Bytes of the file with the room for a result. The longest result is under 7,000: its
message has 1,000 characters, and JSON writes each in six at most."""

_STABLE_READS = 5


class WorkerRecord(NamedTuple):
    """What a worker writes of itself.

    Attributes:
        store: uuid of the store its jobs come from.
        worker: its number.
        boot_id: the boot in which pids and ticks mean something.
        pid, ticks: the worker's identity (``procfs.ProcessId``).
        lease, seq, run: the attempt that it runs, or ran last if its result is not
            committed yet.
        job_pid, job_ticks: identity of the job's main process, the leader of its
            session; None while there is none.
        started_at: when its daemon started it, in milliseconds since 1970; None: its
            daemon, an older version, did not tell it.
    """

    store: str
    worker: int
    boot_id: str
    pid: int
    ticks: int
    lease: int | None = None
    seq: int | None = None
    run: int | None = None
    job_pid: int | None = None
    job_ticks: int | None = None
    started_at: int | None = None


_NUMBERS = frozenset({"worker", "pid", "ticks"})
_TEXTS = frozenset({"store", "boot_id"})


def of_process(
    store: str, worker: int, pid: int, started_at: int | None
) -> WorkerRecord:
    """Return the record of a worker process that runs no job."""
    return WorkerRecord(
        store=store,
        worker=worker,
        boot_id=procfs.boot_id(),
        pid=pid,
        ticks=procfs.start_ticks(pid) or 0,
        started_at=started_at,
    )


class RecordFile:
    """The record file of this process, open as long as the process lives."""

    def __init__(self, path: str) -> None:
        """Create the file, or take over one that a dead worker left.

        Raises:
            OSError: it cannot be written. A worker without a record must not run jobs.
        """
        self.path = path
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._fd = os.open(path, flags, 0o600)
        os.ftruncate(self._fd, 0)

    def write(self, record: WorkerRecord) -> None:
        """Replace the record.

        Raises:
            OSError: it could not be written.
        """
        os.pwrite(self._fd, encode(record), 0)

    def reserve(self) -> None:
        """Reserve the room for a result; a full disk is no error."""
        # Blanks: a reader that takes the file for JSON finds the record alone.
        with contextlib.suppress(OSError):
            os.pwrite(self._fd, b" " * (ROOM - SIZE - 1) + b"\n", SIZE)

    def keep(self, result: bytes) -> bool:
        """Write a result behind the record; return whether it is on disk."""
        return _keep(self._fd, result)

    def remove(self) -> None:
        """Delete the file: no daemon has to look after what this worker ran."""
        remove(self.path)


def put(path: str, record: WorkerRecord) -> None:
    """Write the record of another process, whose own file has vanished.

    The file appears whole: a daemon that finds half a record does not recognize the
    worker, and ends its job.

    Raises:
        OSError: it could not be written.
    """
    draft = f"{path}.tmp"
    with _opened(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as fd:
        os.pwrite(fd, encode(record), 0)
    os.rename(draft, path)


def encode(record: WorkerRecord) -> bytes:
    """Return the record as the file holds it: JSON, spaces, a newline."""
    text = json.dumps({"version": VERSION, **record._asdict()})
    return text.encode().ljust(SIZE - 1) + b"\n"


def decode(data: bytes) -> WorkerRecord | None:
    """Return the record in a file's bytes; None if it is torn, foreign or newer."""
    try:
        body = json.loads(data)
    except ValueError:
        return None
    if not isinstance(body, dict) or body.get("version") != VERSION:
        return None
    values = {name: body.get(name) for name in WorkerRecord._fields}
    if not all(_well_typed(name, value) for name, value in values.items()):
        return None
    return WorkerRecord(**values)  # type: ignore[arg-type]  # checked in the line above


def read(path: str) -> WorkerRecord | None:
    """Return the record in a file; None if there is none that can be read.

    Its worker may be writing: bytes count only if two reads in a row agree.
    """
    try:
        with _opened(path, os.O_RDONLY) as fd:
            return _read_stable(fd)
    except OSError:
        return None


def keep(path: str, result: bytes) -> bool:
    """Write a dead worker's result behind its record; return whether it is there."""
    try:
        with _opened(path, os.O_WRONLY) as fd:
            return _keep(fd, result)
    except OSError:
        return False


def kept(path: str) -> bytes | None:
    """Return the result behind a record; None if there is none.

    It may be the result of an earlier attempt: compare the lease.
    """
    try:
        with _opened(path, os.O_RDONLY) as fd:
            result, end, _ = os.pread(fd, ROOM - SIZE, SIZE).partition(b"\n")
    except OSError:
        return None
    return result + end if end and not result.isspace() else None


def remove(path: str) -> None:
    """Delete a record file; one that is gone already is no error."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


@contextlib.contextmanager
def _opened(path: str, flags: int) -> Iterator[int]:
    fd = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        yield fd
    finally:
        os.close(fd)


def _keep(fd: int, result: bytes) -> bool:
    try:
        if len(result) > ROOM - SIZE or os.fstat(fd).st_size < ROOM:
            return False
        os.pwrite(fd, result, SIZE)
        os.fdatasync(fd)
    except OSError:
        return False
    return True


def _read_stable(fd: int) -> WorkerRecord | None:
    before = os.pread(fd, SIZE, 0)
    for _ in range(_STABLE_READS):
        data = os.pread(fd, SIZE, 0)
        if data == before:
            break
        before = data
    return decode(before)


def _well_typed(name: str, value: Any) -> bool:
    if name in _TEXTS:
        return isinstance(value, str)
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (value is None and name not in _NUMBERS)


def file_of(directory: str, worker: int) -> str:
    """Return where the record of that worker is kept."""
    return f"{directory}/{worker}.json"


def remove_empty(directory: str) -> None:
    """Delete the files of workers that died before they wrote their record.

    Such a worker never had a job: it is ready only afterwards.
    """
    for name in os.listdir(directory):
        path = f"{directory}/{name}"
        try:
            if name.endswith(".json") and os.lstat(path).st_size == 0:
                remove(path)
        except FileNotFoundError:
            continue  # its worker has just ended


def read_all(directory: str) -> list[WorkerRecord]:
    """Return every record in a directory that can be read."""
    names = (f"{directory}/{name}" for name in os.listdir(directory))
    found = (read(name) for name in names if name.endswith(".json"))
    return [record for record in found if record is not None]
