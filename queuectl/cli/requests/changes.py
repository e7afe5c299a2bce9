"""One change to several jobs: asked together, and told of each.

The changes of many are one request, so that no worker that one of them frees takes
another of them.
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
"""Jobs that are asked for while the replies about others are on their way."""


def change(
    client: Session,
    verb: str,
    job_ids: Sequence[str],
    *,
    as_json: bool,
    sentence: Callable[[Job], str] = job_view.sentence,
    **params: Any,
) -> int:
    """Change each job, whatever becomes of the others; return the exit status.

    Args:
        client: the daemon.
        verb: the method that changes one; with ``_many`` behind it, several.
        job_ids: the jobs; one that is named twice is changed once.
        as_json: print the jobs, instead of a sentence about each.
        sentence: says what became of a job.
        params: for the method.
    """
    ids = list(dict.fromkeys(job_ids))
    ask = _one if len(ids) == 1 else _many
    jobs: list[Job] = []
    failed = False
    for outcome in ask(client, verb, ids, params):
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
    """Change one; a daemon from before those of many can do that as well."""
    try:
        return [client.call(verb, {"id": ids[0], **params})["job"]]
    except RequestError as error:
        return [str(error)]


def _many(
    client: Session, verb: str, ids: Sequence[str], params: Mapping[str, Any]
) -> list[Outcome]:
    """Change several, all asked before the first is waited for."""
    steps = range(0, len(ids), MAX_CHANGES)
    batches = [{"ids": ids[i : i + MAX_CHANGES], **params} for i in steps]
    requests = [client.send(f"{verb}_many", batch) for batch in batches]
    return [
        outcome
        for request, batch in zip(requests, batches, strict=True)
        for outcome in _outcomes(client, request, batch["ids"])
    ]


def _outcomes(client: Session, request: int, ids: Sequence[str]) -> list[Outcome]:
    """Return what became of a batch; what was done of those before it is told too."""
    try:
        results = client.receive(request)["results"]
    except RequestError as error:
        return [f"{job_id}: {error}" for job_id in ids]
    return [each["job"] or each["error"]["message"] for each in results]


def _whole(client: Session, jobs: Sequence[Job]) -> Iterable[Job]:
    """Yield the jobs with all their fields: of many, few were told."""
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
