"""What the daemon has promised up to a moment, and whether a disk keeps it.

Promises are read from what it sent, to clients and to workers; what is on a disk is
read by the product's own store, the way the next daemon would.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.power_loss.crashstates import Files
from helpers.traced import Event, Renamed, Sent, Synced
from queuectl_protocol import packing
from queuectl_protocol.errors import ProtocolError
from queuectl_protocol.frames import FrameDecoder
from queuectl_protocol.vocabulary import FINAL_STATES, JobState
from queuectld.core.job import Attempt, Job
from queuectld.core.settings import Value
from queuectld.store.api import Reader, StoreError
from queuectld.store.sqlite.store import SqliteStore
from queuectld.workers.shared import spool

Map = dict[str, Any]


@dataclass(slots=True)
class Promises:
    """All that was acknowledged so far.

    Attributes:
        jobs: by id, the command.
        finals: by id, the final state that somebody was told, and after which run.
        claims: by lease, the job's sequence number and the run a worker was given.
        finishes: leases of attempts whose worker was told that the end is stored.
        spooled: leases of attempts whose end a worker has in the spool, on disk.
        settings: those that were set.
    """

    jobs: dict[str, Any] = field(default_factory=dict)
    finals: dict[str, tuple[str, int]] = field(default_factory=dict)
    claims: dict[int, tuple[int, int]] = field(default_factory=dict)
    finishes: set[int] = field(default_factory=set)
    spooled: set[int] = field(default_factory=set)
    settings: dict[str, Value] = field(default_factory=dict)
    _channels: dict[str, "_Channel | None"] = field(default_factory=dict)
    _renamed: set[int] = field(default_factory=set)

    def __len__(self) -> int:
        kinds = (self.jobs, self.finals, self.claims, self.finishes, self.spooled)
        return sum(map(len, kinds)) + len(self.settings)

    def apply(self, event: Event) -> None:
        """Let something happen."""
        match event:
            case Sent(name, data):
                channel = self._channels.setdefault(name, _Channel())
                if channel is not None and not channel.receive(data, self._hear):
                    self._channels[name] = None
            case Renamed(_, to) if "/spool/" in to:
                self._renamed.add(int(Path(to).stem))
            case Synced(path) if path.endswith("/spool"):
                self.spooled |= self._renamed

    def _hear(self, channel: "_Channel", body: Map) -> None:
        if body.get("type") in {"run", "ack"} and channel.last is not None:
            self.finishes.add(channel.last)
            channel.last = None
        if body.get("type") == "run":
            self.claims[body["lease"]] = (body["seq"], body["run"])
            channel.last = body["lease"]
        result = body.get("result") or {}
        if "job" in result:
            self._told(result["job"])
        if "key" in result:
            self.settings[result["key"]] = result["value"]
        for job_id in result.get("ids", ()):
            self.jobs.setdefault(job_id, None)

    def _told(self, job: Map) -> None:
        command = job["command"]
        self.jobs[job["id"]] = command if isinstance(command, str) else tuple(command)
        if job["state"] in FINAL_STATES:
            self.finals[job["id"]] = (job["state"], job["runs"])


@dataclass(slots=True)
class _Channel:
    """What left through one end of a socket.

    Attributes:
        last: on the way to a worker: the lease of the run that it was given last.
    """

    frames: FrameDecoder = field(default_factory=FrameDecoder)
    known: bool = False
    last: int | None = None

    def receive(self, data: bytes, hear: Callable[["_Channel", Map], None]) -> bool:
        """Take bytes; return False if they are none of ours."""
        try:
            for frame in self.frames.receive_data(data):
                body = packing.unpack(frame)
                self.known |= "server" in body or body.get("type") == "hello"
                if not self.known:
                    return False
                hear(self, body)
        except ProtocolError:
            assert not self.known
            return False
        return True


# -- what is on a disk --------------------------------------------------------------


def broken(promises: Promises, files: Files, state_dir: str, folder: Path) -> list[str]:
    """Return the promises that these files break.

    Args:
        promises: what was acknowledged before the power cut.
        files: the files found after it, by path.
        state_dir: the daemon's, in these paths.
        folder: an empty one to work in.
    """
    for name, content in files.items():
        if "/output/" not in name and name.startswith(f"{state_dir}/"):
            file = folder / name.removeprefix(f"{state_dir}/")
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(content)
    try:
        found = asyncio.run(_look(folder / "queuectl.db"))
    except (StoreError, sqlite3.Error, LookupError, ValueError, TypeError) as error:
        return [f"the store cannot be read: {error!r}"]
    return [*_damage(folder / "queuectl.db"), *_compare(promises, found, folder)]


def _damage(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as outside:
        try:
            verdict = outside.execute("PRAGMA integrity_check").fetchall()
        except sqlite3.DatabaseError as error:
            return [f"integrity check: {error}"]
    return [] if verdict == [("ok",)] else [f"integrity check: {verdict[:3]}"]


@dataclass(frozen=True, slots=True)
class _Found:
    jobs: dict[str, Job]
    attempts: dict[int, Attempt]
    settings: dict[str, Value]
    counts: dict[JobState, int]


async def _look(database: Path) -> _Found:
    def everything(reader: Reader) -> _Found:
        jobs = reader.page(None, None, 1_000_000).jobs
        attempts = [each for job in jobs for each in reader.attempts(job.seq)]
        return _Found(
            {job.id: job for job in jobs},
            {attempt.lease: attempt for attempt in attempts},
            reader.settings(),
            reader.counts(),
        )

    store = SqliteStore(database)
    try:
        return await store.read(everything)
    finally:
        await store.close()


def _compare(promises: Promises, found: _Found, folder: Path) -> Iterator[str]:
    yield from _lost_jobs(promises, found)
    yield from _lost_ends(promises, found)
    for lease in promises.spooled - found.attempts.keys():
        if not _spooled(folder / "spool", lease):
            yield f"the spooled end of the attempt with lease {lease} is lost"
    for key, value in promises.settings.items():
        if found.settings.get(key) != value:
            yield f"setting {key} was {value}, is {found.settings.get(key)}"
    rows = [job.state for job in found.jobs.values()]
    if found.counts != {state: rows.count(state) for state in JobState}:
        yield f"the counts are wrong: {found.counts}"


def _lost_jobs(promises: Promises, found: _Found) -> Iterator[str]:
    for job_id, command in promises.jobs.items():
        job = found.jobs.get(job_id)
        if job is None:
            yield f"job {job_id} is lost"
        elif command not in {None, job.command}:
            yield f"job {job_id} has another command: {job.command!r}"


def _lost_ends(promises: Promises, found: _Found) -> Iterator[str]:
    for job_id, told in promises.finals.items():
        job = found.jobs.get(job_id)
        if job and (job.state, job.runs) != told:
            yield f"job {job_id} was {told}, and is {job.state}, {job.runs}"
    by_seq = {job.seq: job for job in found.jobs.values()}
    for lease, (seq, run) in promises.claims.items():
        if seq in by_seq and by_seq[seq].runs < run:
            yield f"run {run} of job {seq} was begun, and never claimed"
        if lease in promises.finishes and lease not in found.attempts:
            yield f"the end of run {run} of job {seq} is lost"


def _spooled(folder: Path, lease: int) -> bool:
    try:
        return spool.read(str(folder), lease) is not None
    except spool.SpoolError:
        return False
