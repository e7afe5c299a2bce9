"""A queuectld in trouble: the real one but for what files in QUEUECTL_HOME ask for.

Run as a program by ``helpers.hindered``, in place of queuectld:

  full        the store refuses all writes, as on a full disk
  unknown     the next claim is committed, and the store says that nobody knows (once)
  nofork      no worker can be started
  at-claim    a FIFO: a commit with a claim is answered when its writer has closed it
  at-number   the same for the numbers of new workers
  at-channel  the same for a worker that was started and is not spoken to yet
  at-name     the same for the name of a user, as from a slow directory service
  at-write    the same for a write, before it is begun
  at-read     the same for a query, before it is answered
  at-examine  the same for reading the whole database
  at-start    the same for a start, before it looks after what the last daemon left

The variable HINDERED is a JSON object of constants:
``{"control.draining.DRAIN_SPARE": 1}``.
"""

import asyncio
import errno
import importlib
import json
import math
import os
import pwd
import sqlite3
from pathlib import Path
from typing import Any

from queuectld.__main__ import main
from queuectld.control.adoption import Adoption
from queuectld.store.api import StoreError, StoreFullError
from queuectld.store.sqlite import maintenance, writer
from queuectld.store.sqlite.batch import Batch, UnitOutcome
from queuectld.store.sqlite.store import SqliteStore
from queuectld.store.sqlite.transaction import SqliteTransaction
from queuectld.workers.daemon_side import pool
from queuectld.workers.daemon_side.channel import Channel
from queuectld.workers.daemon_side.launch import Launched, launch

HOME = Path(os.environ["QUEUECTL_HOME"])

_write_batch = SqliteStore._write_batch
_read_batch = SqliteStore._read_batch
_examine = maintenance.examine
_getpwnam, _getpwuid = pwd.getpwnam, pwd.getpwuid
_next_lease = SqliteTransaction.next_lease
_next_worker = SqliteTransaction.next_worker
_adopt = Adoption.run
_open_channel = Channel.open.__func__  # type: ignore[attr-defined]
_seen: set[str] = set()
"""What the transaction under way has done."""


def wait_at(point: str) -> None:
    """Block while somebody wants to be here first."""
    fifo = HOME / f"at-{point}"
    if fifo.exists():
        fifo.read_bytes()


def write_batch(store: SqliteStore, batch: Batch) -> list[UnitOutcome]:
    """Commit, or refuse to; perhaps say so later, or wrongly."""
    if (HOME / "full").exists():
        return [UnitOutcome(error=StoreFullError("no room")) for _ in batch]
    wait_at("write")
    _seen.clear()
    outcomes = _write_batch(store, batch)
    if "claim" in _seen and (HOME / "unknown").exists():
        (HOME / "unknown").unlink()
        return [UnitOutcome(error=StoreError("nobody knows")) for _ in batch]
    for point in sorted(_seen):
        wait_at(point)
    return outcomes


def read_batch(store: SqliteStore, batch: Batch) -> list[UnitOutcome]:
    """Ask; perhaps answer later."""
    outcomes = _read_batch(store, batch)
    wait_at("read")
    return outcomes


def examine(connection: sqlite3.Connection) -> list[str]:
    """Read the whole database, some time."""
    wait_at("examine")
    return _examine(connection)


def getpwnam(name: str) -> pwd.struct_passwd:
    """Look up a user, some time."""
    wait_at("name")
    return _getpwnam(name)


def getpwuid(uid: int) -> pwd.struct_passwd:
    """Look up a user, some time."""
    wait_at("name")
    return _getpwuid(uid)


def next_lease(tx: SqliteTransaction, *arguments: Any) -> int:
    """Notice a claim."""
    _seen.add("claim")
    return _next_lease(tx, *arguments)


def next_worker(tx: SqliteTransaction) -> int:
    """Notice a new worker's number."""
    _seen.add("number")
    return _next_worker(tx)


def start(number: int) -> Launched:
    """Start a worker, if there is a process to be had."""
    if (HOME / "nofork").exists():
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return launch(number)


async def adopt(adoption: Adoption) -> None:
    """Look after what the last daemon left."""
    await asyncio.to_thread(wait_at, "start")
    await _adopt(adoption)


async def open_channel(cls: type[Channel], *arguments: Any) -> Channel:
    """Begin to talk to a worker."""
    await asyncio.to_thread(wait_at, "channel")
    channel: Channel = await _open_channel(cls, *arguments)
    return channel


def hinder() -> None:
    """Put all that in the place of the real thing."""
    for name, value in json.loads(os.environ["HINDERED"]).items():
        module, _, constant = name.rpartition(".")
        owner = importlib.import_module(f"queuectld.{module}")
        getattr(owner, constant)  # one that was renamed has no effect: say so
        setattr(owner, constant, value)
    changes: dict[tuple[Any, str], Any] = {
        # Commits that wait for somebody are for the thread.
        (writer, "PROOF"): math.inf,
        (SqliteStore, "_write_batch"): write_batch,
        (SqliteStore, "_read_batch"): read_batch,
        (SqliteTransaction, "next_lease"): next_lease,
        (SqliteTransaction, "next_worker"): next_worker,
        (maintenance, "examine"): examine,
        (pwd, "getpwnam"): getpwnam,
        (pwd, "getpwuid"): getpwuid,
        (pool, "launch"): start,
        (Adoption, "run"): adopt,
        (Channel, "open"): classmethod(open_channel),
    }
    for (owner, name), replacement in changes.items():
        setattr(owner, name, replacement)


if __name__ == "__main__":
    hinder()
    main()
