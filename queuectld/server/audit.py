"""The log records of requests for changes: who asked for what.

They name jobs as the events of jobs do, so ``journalctl JOB_ID=42`` finds who cancelled
a job as well as what happened to it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

JOBS_TOLD = 100
"""Jobs that one record names; a request for more jobs has several records. The journal
keeps no more values of one field."""

_JOBS = ("id", "ids")
"""The parameters that name jobs."""


def records(
    audit: Sequence[str], arguments: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield the fields of each record of one request.

    Args:
        audit: the parameters that may be logged.
        arguments: all parameters.
    """
    told = {name: arguments[name] for name in audit if name not in _JOBS}
    named = [name for name in audit if name in _JOBS]
    if not named:
        yield told
    for name in named:
        for jobs in _parts(arguments[name]):
            yield {"job_id": jobs, **told}


def _parts(jobs: str | Sequence[str]) -> Iterator[str | Sequence[str]]:
    if isinstance(jobs, str):
        yield jobs
        return
    for start in range(0, len(jobs), JOBS_TOLD):
        yield jobs[start : start + JOBS_TOLD]
