"""Many ids as few requests. No I/O."""

from collections.abc import Iterable, Iterator

from queuectl_protocol.limits import MAX_CHANGES


def batches(job_ids: Iterable[str]) -> Iterator[list[str]]:
    """Yield the ids, as many at a time as one request takes.

    Raises:
        TypeError: it is one id.
    """
    if isinstance(job_ids, str | bytes):
        raise TypeError("job_ids is an iterable of ids, not one id")
    ids = list(job_ids)
    for begin in range(0, len(ids), MAX_CHANGES):
        yield ids[begin : begin + MAX_CHANGES]
