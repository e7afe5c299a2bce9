"""Results that no daemon could record yet: one file each, safe against power loss.

A worker that lost its daemon writes one. The next daemon applies it, and deletes it
after the commit. The name is the lease. Other versions of queuectld read and write
this format, hence ``VERSION``.
"""

import json
import os
from typing import Any, NamedTuple

from queuectl_protocol.vocabulary import Reason
from queuectld.core.job import AttemptEnd

VERSION = 1

_SUFFIX = ".json"
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
_END = AttemptEnd._fields
_NUMBERS = ("lease", "finished_at", "worker", "seq", "run")


class SpoolError(ValueError):
    """A spool file cannot be understood; it is left where it is."""


class SpooledResult(NamedTuple):
    """How an attempt ended, and which attempt it was.

    Attributes:
        store: uuid of the store that the job is in.
        worker: number of the worker that ran it.
        seq, run: the job and which of its runs.
    """

    store: str
    worker: int
    seq: int
    run: int
    end: AttemptEnd


def path(spool_dir: str, lease: int) -> str:
    """Return where the result of that lease is kept."""
    return f"{spool_dir}/{lease}{_SUFFIX}"


def write(spool_dir: str, result: SpooledResult) -> None:
    """Write a result. When this returns, it is on disk, whole, under its name.

    Raises:
        OSError: it is not, and there is no file of that name. May be tried again.
    """
    name = path(spool_dir, result.end.lease)
    draft = _draft(name)
    _write_synced(draft, encode(result))
    os.rename(draft, name)
    _sync_directory(spool_dir)


def encode(result: SpooledResult) -> bytes:
    """Return a result as its file holds it."""
    own = {"store": result.store, "worker": result.worker}
    job = {"seq": result.seq, "run": result.run}
    body = {"version": VERSION, **own, **job, **result.end._asdict()}
    return json.dumps(body).encode() + b"\n"


def decode(data: bytes) -> SpooledResult:
    """Return the result in a file's bytes.

    Raises:
        SpoolError: it is torn, foreign, or of another version.
    """
    body = _body(data)
    try:
        end: dict[str, Any] = {name: body.get(name) for name in _END}
        end["reason"] = Reason(body["reason"])
        own = {name: body[name] for name in ("store", "worker", "seq", "run")}
        if not all(type(body[name]) is int for name in _NUMBERS):
            raise SpoolError(f"one of {', '.join(_NUMBERS)} is no number")
        return SpooledResult(**own, end=AttemptEnd(**end))
    except (KeyError, ValueError) as error:
        raise SpoolError(f"not a result: {error}") from None


def read(spool_dir: str, lease: int) -> SpooledResult | None:
    """Return the result of that lease; None if there is none.

    Raises:
        SpoolError: there is a file, and it cannot be understood.
        OSError: there is a file, and it cannot be read.
    """
    try:
        fd = os.open(path(spool_dir, lease), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with os.fdopen(fd, "rb") as file:
        return decode(file.read())


def leases(spool_dir: str) -> list[int]:
    """Return the leases that have a file, smallest first.

    Raises:
        OSError: the directory cannot be read.
    """
    return _leases(spool_dir, _SUFFIX)


def drafts(spool_dir: str) -> list[int]:
    """Return the leases that have a draft: their workers died while they wrote it.

    Raises:
        OSError: the directory cannot be read.
    """
    return _leases(spool_dir, _draft(_SUFFIX))


def remove(spool_dir: str, lease: int) -> None:
    """Delete the file of that lease, and its draft. Only after the commit.

    Not synced: if a crash brings a file back, its lease is refused.
    """
    name = path(spool_dir, lease)
    for one in (name, _draft(name)):
        try:
            os.unlink(one)
        except FileNotFoundError:
            continue


def set_aside(spool_dir: str, lease: int) -> str:
    """Rename a file that cannot be understood; return its new name."""
    name = path(spool_dir, lease)
    renamed = f"{name}.bad"
    os.rename(name, renamed)
    return renamed


def _leases(spool_dir: str, suffix: str) -> list[int]:
    names = (name for name in os.listdir(spool_dir) if name.endswith(suffix))
    stems = (name.removesuffix(suffix) for name in names)
    return sorted(int(stem) for stem in stems if stem.isdecimal())


def _draft(name: str) -> str:
    return f"{name}.tmp"


def _body(data: bytes) -> dict[str, Any]:
    try:
        body = json.loads(data)
    except ValueError:
        raise SpoolError("not JSON") from None
    if not isinstance(body, dict):
        raise SpoolError("not a JSON object")
    if body.get("version") != VERSION:
        raise SpoolError(f"version {body.get('version')!r}, and this reads {VERSION}")
    return body


def _write_synced(name: str, data: bytes) -> None:
    fd = os.open(name, _FLAGS, 0o600)
    try:
        while data:
            data = data[os.write(fd, data) :]
        os.fsync(fd)
    finally:
        os.close(fd)


def _sync_directory(name: str) -> None:
    fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
