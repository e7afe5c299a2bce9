"""What the log tells of a job's life, and under which names.

``journalctl -u queuectld JOB_ID=42`` finds all of it. Nothing here says what the job
is: command, environment, output and label may be secrets.
"""

import logging
from collections.abc import Iterable
from typing import Any

from queuectl_protocol.units import format_time
from queuectl_protocol.vocabulary import FINAL_STATES, JobState
from queuectld.core.event import Announcement, Event
from queuectld.core.job import AttemptEnd, Job
from queuectld.host import logs

_events = logs.get("jobs")

_NAMES = {
    Event.ENQUEUE: "job_enqueued",
    Event.CLAIM: "attempt_started",
    Event.CANCEL: "job_cancelled",  # it may still run
    Event.RETRY: "job_retried",
    Event.START: "job_made_due",
    Event.EXPIRE: "job_expired",
}

_FINISHED = ("attempt_finished", logging.DEBUG)
_ENDINGS = {
    JobState.FAILED: ("attempt_failed", logging.INFO),
    JobState.DEAD: ("job_dead", logging.WARNING),
}
"""How the log tells the end of an attempt that needs somebody's attention."""


def tell(announcements: Iterable[Announcement]) -> None:
    """Log what has happened to jobs, if events of that level are logged."""
    debug = _events.enabled(logging.DEBUG)
    for event, job, end in announcements:
        if event is None or job is None:
            continue
        if end is not None:
            if debug or job.state in _ENDINGS:
                _tell_end(job, end)
        elif debug:
            _events.debug(_NAMES[event], **_about(job), **_more(event, job))


def _tell_end(job: Job, end: AttemptEnd) -> None:
    """Log that an attempt is on record, and what became of the job."""
    event, level = _ENDINGS.get(job.state, _FINISHED)
    if not _events.enabled(level):
        return
    codes = {"reason": job.reason, "exit_code": job.exit_code, "signal": job.signal}
    known = {key: value for key, value in codes.items() if value is not None}
    about = _about(job) | _run(job, end.lease)
    _events.log(level, event, **about, **known, **_wait(job))


def _more(event: Event, job: Job) -> dict[str, Any]:
    if event is Event.ENQUEUE:
        return _wait(job)
    return _run(job, job.lease) if event is Event.CLAIM else {}


def _about(job: Job) -> dict[str, Any]:
    return {"job_id": job.id, "queue": job.queue, "state": job.state}


def _run(job: Job, lease: int | None) -> dict[str, Any]:
    return {"worker": job.worker, "run": job.runs, "lease": lease}


def _wait(job: Job) -> dict[str, Any]:
    if job.run_at is None or job.state in FINAL_STATES:
        return {}
    return {"next_run_at": format_time(job.run_at)}
