"""New jobs: one, or any number as few requests.

A batch is stored whole or not at all, and is sent only when the one before it is
acknowledged; the next is built meanwhile. So the stored jobs are always the first ones,
and a caller who corrects the bad job can go on from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from queuectl.calls.call import Call, as_model
from queuectl.errors import InvalidParamsError, QueuectlError
from queuectl.submission import Command, NewJob, to_wire
from queuectl_protocol.packing import pack

if TYPE_CHECKING:
    from queuectl.models import Job

IfExists = Literal["error", "return"]

BATCH = 1_000
"""Jobs in a batch."""

BATCH_BYTES = 1024 * 1024
"""Bytes after which a batch ends too. With the largest environment in it, a batch is
still far below the smallest ``max_frame`` that a daemon can be configured with."""


def enqueue(
    job: Mapping[str, Any], inherited: Mapping[str, Any], if_exists: IfExists
) -> Call[Job]:
    """Return the request that enqueues one job: see ``Client.enqueue``.

    Args:
        job: a ``NewJob``.
        inherited: fields for the job if it lacks them.
        if_exists: what to do about an id that is taken.
    """
    params = {"job": {**inherited, **to_wire(job, inherited)}, "if_exists": if_exists}
    return Call("enqueue", params, as_model("Job", "job"))


class EnqueueMany:
    """The requests that enqueue any number of jobs: see ``Client.enqueue_many``.

    Args:
        jobs: commands or ``NewJob`` maps; taken one by one, as batches are built.
        inherited: fields for each job that lacks them, sent once a batch.
        if_exists: what to do about an id that is taken.

    Raises:
        TypeError: ``jobs`` is one job.
    """

    def __init__(
        self,
        jobs: Iterable[Command | NewJob],
        inherited: Mapping[str, Any],
        if_exists: IfExists,
    ) -> None:
        if isinstance(jobs, str | bytes | Mapping):
            raise TypeError("jobs is an iterable of jobs, not one job: use enqueue")
        self._common = {"defaults": dict(inherited), "if_exists": if_exists}
        self._batches = _batches(_fields(jobs, inherited))
        self._ids: list[str] = []
        self._mistake: Exception | None = None

    def build(self) -> Call[list[str]] | None:
        """Return the request for the next batch; None when there is none.

        A mistake in a job, or in the iterable, ends the jobs, but is not raised here:
        the batch before it is still under way. ``finish`` raises it.
        """
        try:
            batch = next(self._batches, None)
        except Exception as error:  # noqa: BLE001 - the iterable is the caller's
            self._mistake = error
            return None
        if batch is None:
            return None
        return Call("enqueue_many", {"jobs": batch, **self._common}, _ids)

    def store(self, ids: list[str]) -> None:
        """Record that the batch under way is stored under these ids."""
        self._ids += ids

    def place(self, error: QueuectlError) -> None:
        """Say in ``error.data`` what is stored, and which of all jobs is at fault.

        ``index`` becomes the position among all jobs, instead of that in the batch;
        ``ids`` are those of the stored jobs, which are the first so many.
        """
        if "index" in error.data:
            error.data["index"] += len(self._ids)
        error.data["ids"] = self._ids

    def finish(self) -> list[str]:
        """Return the ids of all jobs, or raise the mistake that ended them."""
        if isinstance(self._mistake, QueuectlError):
            self._mistake.data["ids"] = self._ids
        if self._mistake:
            raise self._mistake
        return self._ids


def _ids(result: Any) -> list[str]:
    return list(result["ids"])


def _fields(
    jobs: Iterable[Command | NewJob], inherited: Mapping[str, Any]
) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield the fields of each job, and their size in bytes."""
    for index, job in enumerate(jobs):
        named: Mapping[str, Any] = job if isinstance(job, Mapping) else {"command": job}
        try:
            fields = to_wire(named, inherited)
            size = len(pack(fields))
        except (TypeError, ValueError, OverflowError) as error:
            raise InvalidParamsError(str(error), data={"index": index}) from error
        yield fields, size


def _batches(
    jobs: Iterable[tuple[dict[str, Any], int]],
) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    filled = 0
    for fields, size in jobs:
        if batch and (len(batch) == BATCH or filled + size > BATCH_BYTES):
            yield batch
            batch, filled = [], 0
        batch.append(fields)
        filled += size
    if batch:
        yield batch
