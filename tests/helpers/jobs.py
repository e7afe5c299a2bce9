"""Jobs and ends of attempts as values, with only what a test cares about said."""

from typing import Any

from queuectl_protocol.vocabulary import JobState, Reason
from queuectld.core import lifecycle
from queuectld.core.job import AttemptEnd, Job
from queuectld.core.limits import NONE

NOW = 1_800_000_000_000
WAITING = (JobState.PENDING, JobState.FAILED)
ENDS = [
    *((reason, None) for reason in lifecycle.END_EVENT),
    (Reason.EXIT, 0),
    (Reason.EXIT, 1),
]
"""Every reason an attempt can end for, with the exit code where it matters."""
"""A moment in January 2027, in milliseconds."""

_PENDING = Job(
    seq=7,
    name=None,
    queue="default",
    command="true",
    cwd=None,
    umask=None,
    env_key=None,
    label=None,
    submitter=None,
    priority=0,
    max_retries=3,
    timeout=300,
    backoff_base=2,
    backoff_max=3600,
    backoff_jitter=0,
    output_limit=0,
    state=JobState.PENDING,
    attempts=0,
    runs=0,
    losses=0,
    lease=None,
    worker=None,
    cancel_requested=False,
    due=True,
    created_at=NOW - 60_000,
    updated_at=NOW - 60_000,
    run_at=None,
    started_at=None,
    finished_at=None,
    exit_code=None,
    signal=None,
    reason=None,
    message=None,
    limits=NONE,
    groups=None,
)
_RUNNING: dict[str, Any] = {
    "attempts": 1,
    "runs": 1,
    "lease": 41,
    "worker": 2,
    "due": None,
    "started_at": NOW - 5_000,
}
_RAN: dict[str, Any] = {
    "attempts": 1,
    "runs": 1,
    "worker": 2,
    "due": None,
    "started_at": NOW - 9_000,
    "finished_at": NOW - 8_000,
    "exit_code": 1,
    "reason": Reason.EXIT,
}
_IN_STATE: dict[JobState, dict[str, Any]] = {
    JobState.PENDING: {},
    JobState.PROCESSING: _RUNNING,
    JobState.COMPLETED: {**_RAN, "exit_code": 0},
    JobState.FAILED: {**_RAN, "due": False, "run_at": NOW + 2_000},
    JobState.DEAD: {**_RAN, "max_retries": 0},
    JobState.CANCELLED: {"due": None, "reason": Reason.CANCELLED},
}


def a_job(state: JobState = JobState.PENDING, **changes: Any) -> Job:
    """Return a job in ``state`` as the lifecycle leaves it there, then changed."""
    return _PENDING._replace(**{"state": state, **_IN_STATE[state], **changes})


def an_end(reason: Reason = Reason.EXIT, **changes: Any) -> AttemptEnd:
    """Return the end, just now, of the attempt that ``a_job`` is running."""
    fields = {"lease": 41, "started_at": NOW - 4_900, "finished_at": NOW - 10}
    return AttemptEnd(**{"reason": reason, **fields, **changes})


def claim(job: Job, *, lease: int = 42, now: int = NOW) -> Job:
    """Return the job as worker 3 has it after its claim, now."""
    return lifecycle.claim(job, now=now, lease=lease, worker=3)


def finish(
    job: Job,
    end: AttemptEnd,
    *,
    now: int = NOW,
    random: float = 0,
    asked: bool = True,
) -> Job:
    """Return the job after an end that is recorded now, without jitter."""
    return lifecycle.finish(job, end, now=now, random=random, asked=asked).job
