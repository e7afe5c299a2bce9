"""The queue as a page of plain Python: what DESIGN says, with nothing durable in it.

Written from the table of states and events and not from ``lifecycle``, so that the
two can disagree. Times are milliseconds, delays seconds, as everywhere.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

RANDOM = 0.5
"""What the broker under test draws for its jitter."""

WAITING = ("pending", "failed")
FINAL = ("completed", "dead", "cancelled")

DEFAULTS: dict[str, float] = {
    "max_retries": 3,
    "backoff_base": 2,
    "backoff_max": 3600,
    "backoff_jitter": 0.1,
    "max_queued": 10_000_000,
}


class RefusedError(Exception):
    """The queue would refuse this; the argument is the kind of refusal."""


@dataclass
class Wanted:
    """A job as it is asked for."""

    id: str | None = None
    command: str = "true"
    priority: int | None = None
    max_retries: int | None = None
    run_at: int | None = None
    expires: int | None = None


@dataclass
class Record:
    """An attempt that ended."""

    run: int
    lease: int
    worker: int
    reason: str


@dataclass
class ModelJob:
    """A job as it stands."""

    seq: int
    id: str
    command: str
    priority: int
    max_retries: int
    backoff_base: float
    backoff_max: float
    backoff_jitter: float
    run_at: int | None
    due: bool | None
    expires: int | None
    state: str = "pending"
    attempts: int = 0
    runs: int = 0
    losses: int = 0
    lease: int | None = None
    worker: int | None = None
    cancel_requested: bool = False
    finished_at: int | None = None
    reason: str | None = None
    records: list[Record] = field(default_factory=list)

    def has_expired(self, now: int) -> bool:
        """Return whether it is too late to start it."""
        return self.expires is not None and self.expires <= now

    def facts(self) -> dict[str, Any]:
        """Return all that a job of the real queue has under the same name."""
        return {
            f.name: getattr(self, f.name) for f in fields(self) if f.name != "records"
        }


class ModelQueue:
    """All jobs, and what was counted."""

    def __init__(self) -> None:
        self.jobs: dict[str, ModelJob] = {}
        self.settings = dict(DEFAULTS)
        self.counted: Counter[str] = Counter()

    # -- asking --------------------------------------------------------------------

    def in_states(self, *states: str) -> list[ModelJob]:
        """Return the jobs in these states, oldest first."""
        return [job for job in self.jobs.values() if job.state in states]

    def by_lease(self, lease: int) -> ModelJob | None:
        """Return the job that runs under this lease."""
        return next((j for j in self.jobs.values() if j.lease == lease), None)

    def next(self, count: int, now: int) -> list[ModelJob]:
        """Return the jobs to be claimed next, in order; no expired one among them."""
        ready = [job for job in self.jobs.values() if job.due]
        first = sorted(ready, key=lambda job: (-job.priority, job.seq))[:count]
        return [job for job in first if not job.has_expired(now)]

    def next_time(self) -> int | None:
        """Return the earliest time at which something becomes of a waiting job."""
        waiting = self.in_states(*WAITING)
        times = [self.next_run_at(), *(job.expires for job in waiting)]
        return min((at for at in times if at is not None), default=None)

    def next_run_at(self) -> int | None:
        """Return the earliest time that is waited for."""
        times = [j.run_at for j in self.jobs.values() if j.due is False]
        return min((at for at in times if at is not None), default=None)

    # -- enqueue -------------------------------------------------------------------

    def outcome(
        self, batch: Sequence[Wanted], *, returns: bool, now: int
    ) -> list[bool]:
        """Return for each job whether it is created.

        Raises:
            RefusedError: nothing is; ``exists``, ``conflict``, ``full`` or ``late``.
        """
        taken: dict[str, Wanted | ModelJob] = dict(self.jobs)
        room = self.settings["max_queued"] - len(self.in_states(*WAITING))
        created = []
        for wanted in batch:
            there = None if wanted.id is None else taken.get(wanted.id)
            if there is not None:
                self._compare(wanted, there, returns=returns)
                created.append(False)
                continue
            room -= 1
            if room < 0:
                raise RefusedError("full")
            earliest = max(now, wanted.run_at or 0)
            if wanted.expires is not None and wanted.expires <= earliest:
                raise RefusedError("late")
            if wanted.id is not None:
                taken[wanted.id] = wanted
            created.append(True)
        return created

    def _compare(
        self, wanted: Wanted, there: Wanted | ModelJob, *, returns: bool
    ) -> None:
        if not returns:
            raise RefusedError("exists")
        retries = there.max_retries
        if retries is None:
            retries = int(self.settings["max_retries"])
        if wanted.command != there.command:
            raise RefusedError("conflict")
        if wanted.priority not in (None, there.priority or 0):
            raise RefusedError("conflict")
        if wanted.max_retries not in (None, retries):
            raise RefusedError("conflict")

    def add(self, wanted: Wanted, job_id: str, seq: int, now: int) -> None:
        """Add the job that was created for ``wanted`` under this id."""
        own = wanted.max_retries
        self.jobs[job_id] = ModelJob(
            seq=seq,
            id=job_id,
            command=wanted.command,
            priority=wanted.priority or 0,
            max_retries=int(self.settings["max_retries"]) if own is None else own,
            backoff_base=self.settings["backoff_base"],
            backoff_max=self.settings["backoff_max"],
            backoff_jitter=self.settings["backoff_jitter"],
            run_at=wanted.run_at,
            due=wanted.run_at is None or wanted.run_at <= now,
            expires=wanted.expires,
        )

    # -- runs ----------------------------------------------------------------------

    def promote(self, now: int) -> None:
        """Cancel what has expired, and make ready whose time came."""
        for job in self.in_states(*WAITING):
            if job.has_expired(now):
                self.cancel(job, now)
                job.reason = "expired"
        for job in self.jobs.values():
            if job.due is False and job.run_at is not None and job.run_at <= now:
                job.due = True

    def claim(self, job: ModelJob, lease: int, worker: int) -> None:
        """Let a worker take a job."""
        job.state, job.due = "processing", None
        job.lease, job.worker = lease, worker
        job.attempts += 1
        job.runs += 1
        job.finished_at = job.reason = None
        self.counted["wait"] += 1

    def finish(
        self, job: ModelJob, reason: str, exit_code: int | None, now: int
    ) -> None:
        """End the run of a job."""
        assert job.lease is not None
        assert job.worker is not None
        job.records.append(Record(job.runs, job.lease, job.worker, reason))
        self.counted["run"] += 1
        kind = _kind(reason, exit_code)
        if kind in {"fail", "lose"}:
            self.counted["failed"] += 1
        if kind == "lose":
            self.counted["lost"] += 1
        first_loss = kind == "lose" and job.losses == 0
        job.losses = job.losses + 1 if kind == "lose" else 0
        cancelled, job.cancel_requested = job.cancel_requested, False
        job.lease, job.finished_at = None, now
        job.reason = "cancelled" if cancelled else reason
        if cancelled:
            job.state = "cancelled"
            job.attempts -= reason == "interrupted"
        elif kind == "succeed":
            job.state = "completed"
        elif kind == "interrupt":
            job.state, job.due, job.run_at = "pending", True, now
            job.attempts -= 1
        elif job.attempts > job.max_retries:
            job.state = "dead"
        else:
            job.state = "failed"
            job.run_at = now if first_loss else now + _delay_ms(job)
            job.due = job.run_at <= now
        if job.state != "pending":
            name = "retried" if job.state == "failed" else job.state
            self.counted[name] += 1

    # -- what people do --------------------------------------------------------------

    def cancel(self, job: ModelJob, now: int) -> None:
        """Cancel a job, or mark the one that runs."""
        if job.state in FINAL:
            raise RefusedError("state")
        if job.state == "processing":
            job.cancel_requested = True
            return
        job.state, job.due, job.finished_at = "cancelled", None, now
        job.reason = "cancelled"
        self.counted["cancelled"] += 1

    def retry(self, job: ModelJob, now: int) -> None:
        """Queue a job again."""
        if job.state in {"pending", "processing"}:
            raise RefusedError("state")
        job.state, job.due, job.run_at = "pending", True, now
        job.attempts = job.losses = 0
        if job.has_expired(now):
            job.expires = None

    def prune(self, states: Iterable[str], older_than: float, now: int) -> int:
        """Forget jobs that ended so long ago; return how many."""
        gone = [
            job.id
            for job in self.in_states(*states)
            if job.finished_at is not None
            and job.finished_at <= now - round(older_than * 1000)
        ]
        for job_id in gone:
            del self.jobs[job_id]
        return len(gone)


def _kind(reason: str, exit_code: int | None) -> str:
    if reason == "exit":
        return "succeed" if exit_code == 0 else "fail"
    return {"lost": "lose", "cancelled": "interrupt", "interrupted": "interrupt"}.get(
        reason, "fail"
    )


def _delay_ms(job: ModelJob) -> int:
    delay = 1.0
    for _ in range(job.attempts):
        delay = min(delay * job.backoff_base, job.backoff_max)
    return round(min(delay, job.backoff_max) * (1 + job.backoff_jitter * RANDOM) * 1000)
