"""Jobs: one of them, several of them, all in a state."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from queuectl.calls.call import (
    Call,
    Part,
    as_count,
    as_model,
    as_models,
    given,
    optional_seconds,
    waits,
)
from queuectl.errors import WaitTimeoutError
from queuectl.submission import Seconds, seconds
from queuectl_protocol.limits import MAX_CHANGES, MAX_PAGE

if TYPE_CHECKING:
    from queuectl.models import Attempt, Changed, Job, JobBrief, Position


def get(job_id: str, *, env: bool = False) -> Call[Job]:
    """Return a job; with ``env``, with its environment.

    Raises:
        NotFoundError: no job has this id.
    """
    return Call("get", {"id": job_id, "env": env}, as_model("Job", "job"))


def attempts(job_id: str) -> Call[Part[Attempt]]:
    """Return the runs of a job, oldest first; one that goes on has no reason."""
    return _attempts({"id": job_id}, ())


def _attempts(
    params: dict[str, Any], later: tuple[Attempt, ...]
) -> Call[Part[Attempt]]:
    # The daemon tells the last attempts first: all are in the last part.

    def parse(result: Any) -> Part[Attempt]:
        found = as_models("Attempt", "attempts")(result) + later
        earlier = result.get("attempts_next")
        if earlier is None:
            return Part(found, None)
        return Part((), _attempts({**params, "attempts_before": earlier}, found))

    return Call("get", params, parse)


def list_(
    state: str | Iterable[str] | None = None, *, limit: int | None = None
) -> Call[Part[Job]]:
    """Yield jobs, newest first, fetched a page at a time.

    Args:
        state: only jobs in this state, or in one of several.
        limit: at most so many; None: all.
    """
    if state is None:
        return _page({}, limit)
    states = [str(state)] if isinstance(state, str) else [str(word) for word in state]
    # An older daemon knows only the parameter for one state.
    return _page(
        {"state": states[0]} if len(states) == 1 else {"states": states}, limit
    )


def _page(
    which: dict[str, Any], limit: int | None, before: int | None = None
) -> Call[Part[Job]]:
    def parse(result: Any) -> Part[Job]:
        jobs = as_models("Job", "jobs")(result)
        left = None if limit is None else limit - len(jobs)
        more = result["next"] is not None and (left is None or left > 0)
        return Part(jobs, _page(which, left, result["next"]) if more else None)

    page = MAX_PAGE if limit is None else min(limit, MAX_PAGE)
    return Call("list", {**which, **given(limit=page, before=before)}, parse)


@waits("cancel")
def cancel(job_id: str, *, if_state: str | None = None, wait: bool = True) -> Call[Job]:
    """Cancel a job; return it.

    Args:
        job_id: the job's id.
        if_state: only if the job is in this state.
        wait: return when the processes of a running job have ended.

    Raises:
        InvalidStateError: the job is final already, or not in ``if_state``.
    """
    params = given(id=job_id, if_state=if_state, wait=wait)
    return Call("cancel", params, as_model("Job", "job"))


def retry(job_id: str, *, if_state: str | None = None) -> Call[Job]:
    """Make a finished job pending again, with its whole retry budget.

    A job that waits for its retry (``failed``) runs again now.

    Raises:
        InvalidStateError: the job is pending or running, or not in ``if_state``.
    """
    return Call("retry", given(id=job_id, if_state=if_state), as_model("Job", "job"))


def start(job_id: str, *, if_state: str | None = None) -> Call[Job]:
    """Make a job due now that waits for a point in time; its retry budget is unchanged.

    The job waits for its ``run_at``, or for its retry (``failed``).

    Raises:
        InvalidStateError: the job does not wait for a point in time, or is not in
            ``if_state``.
    """
    return Call("start", given(id=job_id, if_state=if_state), as_model("Job", "job"))


def delete(job_id: str, *, if_state: str | None = None) -> Call[JobBrief]:
    """Delete a final job, with its attempts and output; return the job as it was.

    Raises:
        InvalidStateError: the job waits or runs, or is not in ``if_state``.
    """
    return Call(
        "delete", given(id=job_id, if_state=if_state), as_model("JobBrief", "job")
    )


@waits("cancel_many")
def cancel_many(
    job_ids: Iterable[str], *, if_state: str | None = None, wait: bool = True
) -> list[Call[tuple[Changed, ...]]]:
    """Cancel any number of jobs; return the result for each, in their order.

    A thousand jobs are one transaction: no worker that one of them frees takes another
    of them. A job that cannot be cancelled raises nothing; its ``error`` says why.

    Args:
        job_ids: the jobs' ids.
        if_state: only jobs that are in this state.
        wait: return when the processes of all running jobs have ended.
    """
    return _many("cancel_many", job_ids, if_state=if_state, wait=wait)


def retry_many(
    job_ids: Iterable[str], *, if_state: str | None = None
) -> list[Call[tuple[Changed, ...]]]:
    """Retry any number of jobs; return the result for each. See ``cancel_many``."""
    return _many("retry_many", job_ids, if_state=if_state)


def start_many(
    job_ids: Iterable[str], *, if_state: str | None = None
) -> list[Call[tuple[Changed, ...]]]:
    """Start any number of jobs; return the result for each. See ``cancel_many``."""
    return _many("start_many", job_ids, if_state=if_state)


def delete_many(
    job_ids: Iterable[str], *, if_state: str | None = None
) -> list[Call[tuple[Changed, ...]]]:
    """Delete any number of jobs; return the result for each.

    See ``cancel_many``; but a transaction deletes fewer jobs.
    """
    return _many("delete_many", job_ids, if_state=if_state)


def _many(
    method: str, job_ids: Iterable[str], **params: Any
) -> list[Call[tuple[Changed, ...]]]:
    """Return as many requests as the ids need.

    Raises:
        TypeError: ``job_ids`` is one id.
    """
    if isinstance(job_ids, str | bytes):
        raise TypeError("job_ids is an iterable of ids, not one id")
    ids = list(job_ids)
    batches = [ids[i : i + MAX_CHANGES] for i in range(0, len(ids), MAX_CHANGES)]
    return [
        Call(method, given(ids=batch, **params), as_models("Changed", "results"))
        for batch in batches
    ]


def retry_all(state: str, *, foreground: bool | None = None) -> Call[int]:
    """Retry all jobs in a state; return how many there were.

    Args:
        state: the state.
        foreground: only jobs of ``queuectl run`` and others that were enqueued with
            ``foreground``, or only the other jobs; None: all.
    """
    params = given(state=state, foreground=foreground)
    return Call("retry_all", params, as_count("retried"))


def position(job_id: str) -> Call[Position]:
    """Return the place of a job in the queue.

    Raises:
        NotFoundError: no job has this id.
    """
    return Call("position", {"id": job_id}, as_model("Position"))


@waits("wait", until="timeout")
def wait(job_id: str, timeout: Seconds | None = None) -> Call[Job]:
    """Wait until a job is completed, dead or cancelled; return it.

    Raises:
        WaitTimeoutError: the job is not final after ``timeout``.
        ShuttingDownError, ConnectionLostError: the daemon ended. The job goes on: wait
            again.
    """

    def parse(result: Any) -> Job:
        if result["timed_out"]:
            raise WaitTimeoutError(
                f"job {job_id} is still {result['job']['state']}",
                data={"id": job_id, "state": result["job"]["state"]},
            )
        job: Job = as_model("Job", "job")(result)
        return job

    return Call("wait", given(id=job_id, timeout=optional_seconds(timeout)), parse)


def prune(states: Iterable[str] | None = None, *, older_than: Seconds = 0) -> Call[int]:
    """Delete finished jobs and their output; return how many.

    Args:
        states: of completed, cancelled and dead; None: the first two.
        older_than: only jobs that finished so long ago.
    """
    chosen = None if states is None else [str(state) for state in states]
    params = given(states=chosen, older_than=seconds(older_than))
    return Call("prune", params, as_count("pruned"))
