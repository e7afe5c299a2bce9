"""Many jobs as few requests: cut into batches, and the answers put together again.

No I/O. A batch is stored whole or not at all, and is sent only when the one before it
is acknowledged; the next is built meanwhile. So what is stored is always a beginning
of the jobs, and whoever mends the bad one can go on from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from queuectl.calls import Call, IfExists
from queuectl.errors import InvalidParamsError, QueuectlError
from queuectl.submission import Command, NewJob, to_wire
from queuectl_protocol.messages import pack

BATCH = 1_000
"""Jobs in a batch."""

BATCH_BYTES = 1024 * 1024
"""Bytes after which a batch is full too. With the largest environment beside it, it
stays well inside the smallest frame that a daemon can be set to."""


class Bulk:
    """An enqueueing of any number of jobs.

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
        """Take note that the batch under way is stored under these ids."""
        self._ids += ids

    def place(self, error: QueuectlError) -> None:
        """Say in ``error.data`` what is stored, and which job of all is to blame.

        ``index`` becomes the place among all jobs instead of that in the batch under
        way; ``ids`` are those of the stored jobs, which are the first so many.
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
    """Yield the fields of each job, and the bytes they take."""
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
