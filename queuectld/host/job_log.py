"""What the log tells of a job's life, and under which names.

``journalctl -u queuectld JOB_ID=42`` finds all of it. Nothing here says what the job
is: command, environment, output and label may be secrets. An event that nobody wants
to see costs one look at the level.
"""

import logging
from typing import Any

from queuectl_protocol.units import format_time
from queuectl_protocol.vocabulary import FINAL_STATES, JobState
from queuectld.core.job import AttemptEnd, Job
from queuectld.core.lifecycle import Event
from queuectld.host import logs

_events = logs.get("jobs")

_FINISHED = ("attempt_finished", logging.DEBUG)
_ENDINGS = {
    JobState.FAILED: ("attempt_failed", logging.INFO),
    JobState.DEAD: ("job_dead", logging.WARNING),
}
"""How an attempt's end is told that needs somebody's attention, sooner or later."""

_CHANGES = {
    Event.CANCEL: "job_cancelled",
    Event.RETRY: "job_retried",
    Event.START: "job_made_due",
}


def enqueued(job: Job) -> None:
    """A job was added."""
    if _events.enabled(logging.DEBUG):
        _events.debug("job_enqueued", **_about(job), **_wait(job))


def started(job: Job) -> None:
    """A worker claimed the job: an attempt begins."""
    if _events.enabled(logging.DEBUG):
        _events.debug("attempt_started", **_about(job), **_run(job, job.lease))


def finished(job: Job, end: AttemptEnd) -> None:
    """An attempt is on record, and this is what became of the job."""
    event, level = _ENDINGS.get(job.state, _FINISHED)
    if not _events.enabled(level):
        return
    codes = {"reason": job.reason, "exit_code": job.exit_code, "signal": job.signal}
    known = {key: value for key, value in codes.items() if value is not None}
    about = _about(job) | _run(job, end.lease)
    _events.log(level, event, **about, **known, **_wait(job))


def changed(event: Event, job: Job) -> None:
    """Somebody changed the job's course; one that is cancelled may still run."""
    if _events.enabled(logging.DEBUG):
        _events.debug(_CHANGES[event], **_about(job))


def _about(job: Job) -> dict[str, Any]:
    return {"job_id": job.id, "queue": job.queue, "state": job.state}


def _run(job: Job, lease: int | None) -> dict[str, Any]:
    return {"worker": job.worker, "run": job.runs, "lease": lease}


def _wait(job: Job) -> dict[str, Any]:
    if job.run_at is None or job.state in FINAL_STATES:
        return {}
    return {"next_run_at": format_time(job.run_at)}
