"""What a person is told whose request a job's state does not allow."""

from queuectl_protocol.vocabulary import FINAL_STATES, JobState
from queuectld.core.event import Event
from queuectld.core.job import Job


def of_event(job: Job, event: Event) -> str:
    """Return why an event cannot happen to a job in its state."""
    if event in {Event.RETRY, Event.START} and job.state not in FINAL_STATES:
        if event is Event.RETRY and job.due is False:
            return (
                f"job {job.id} is queued already, for later; to have it start now: "
                f"queuectl start {job.id}"
            )
        waiting = "is running" if job.state is JobState.PROCESSING else "is queued"
        return f"job {job.id} {waiting} already; there is nothing to {event}"
    if event is Event.START:
        return f"job {job.id} is {job.state}; to run it again: queuectl retry {job.id}"
    if event is Event.CANCEL:
        return f"job {job.id} is {job.state} already; there is nothing to cancel"
    return f"job {job.id} is {job.state}; {event} is not possible in that state"


def of_deletion(job: Job) -> str:
    """Return why a job that is not over cannot be deleted."""
    doing = "runs" if job.state is JobState.PROCESSING else "waits"
    return f"job {job.id} still {doing}; cancel it first: queuectl cancel {job.id}"
