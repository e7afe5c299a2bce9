"""One change to several jobs: requested together, and reported for each.

The changes of many jobs are one request. So when one of them frees a worker, the worker
takes no other job that the request changes.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from queuectl.cli import exits
from queuectl.cli.view import job_view, output, text
from queuectl.errors import NotFoundError, RequestError
from queuectl.sync.session import Session
from queuectl_protocol.limits import MAX_CHANGES

Job = dict[str, Any]
Outcome = Job | str
"""A job, or why nothing was done to it."""

AT_ONCE = 100
"""Requests for whole jobs that are sent before the first reply is waited for."""


def apply(
    client: Session,
    verb: str,
    job_ids: Sequence[str],
    *,
    as_json: bool,
    sentence: Callable[[Job], str] = job_view.sentence,
    **params: Any,
) -> int:
    """Change each job, also when others are refused; return the exit status.

    Args:
        client: the daemon.
        verb: the method that changes one job; with ``_many`` appended, several.
        job_ids: the jobs; one that is named twice is changed once.
        as_json: print the jobs, instead of a sentence about each.
        sentence: says what became of a job.
        params: for the method.
    """
    ids = list(dict.fromkeys(job_ids))
    request = _one if len(ids) == 1 else _many
    jobs: list[Job] = []
    failed = False
    for outcome in request(client, verb, ids, params):
        if isinstance(outcome, str):
            output.note(f"queuectl: {text.brief(outcome)}")
            failed = True
            continue
        jobs.append(outcome)
        if not as_json:
            output.line(sentence(outcome))
    if as_json:
        output.array(_whole(client, jobs))
    return exits.Status.FAILED if failed else exits.Status.OK


def _one(
    client: Session, verb: str, ids: Sequence[str], params: Mapping[str, Any]
) -> list[Outcome]:
    """Change one job, by the method that daemons of older versions have too."""
    try:
        return [client.call(verb, {"id": ids[0], **params})["job"]]
    except RequestError as error:
        return [str(error)]


def _many(
    client: Session, verb: str, ids: Sequence[str], params: Mapping[str, Any]
) -> list[Outcome]:
    """Change several jobs; send all requests before the first reply is waited for."""
    steps = range(0, len(ids), MAX_CHANGES)
    batches = [{"ids": ids[i : i + MAX_CHANGES], **params} for i in steps]
    requests = [client.send(f"{verb}_many", batch) for batch in batches]
    return [
        outcome
        for request, batch in zip(requests, batches, strict=True)
        for outcome in _outcomes(client, request, batch["ids"])
    ]


def _outcomes(client: Session, request: int, ids: Sequence[str]) -> list[Outcome]:
    """Return the outcomes of a batch, also if the whole batch is refused."""
    try:
        results = client.receive(request)["results"]
    except RequestError as error:
        return [f"{job_id}: {error}" for job_id in ids]
    return [each["job"] or each["error"]["message"] for each in results]


def _whole(client: Session, jobs: Sequence[Job]) -> Iterable[Job]:
    """Yield the jobs with all their fields: ``_many`` replies with a few of them."""
    for begin in range(0, len(jobs), AT_ONCE):
        step = jobs[begin : begin + AT_ONCE]
        requests = [
            None if "command" in job else client.send("get", {"id": job["id"]})
            for job in step
        ]
        for job, request in zip(step, requests, strict=True):
            yield job if request is None else _filled(client, request, job)


def _filled(client: Session, request: int, job: Job) -> Job:
    try:
        found: Job = client.receive(request)["job"]
    except NotFoundError:  # it was deleted
        return job
    return found | job
