"""Bulk enqueueing: where batches end, and what is told when one is refused."""

from collections.abc import Iterator
from typing import Any

import pytest

from queuectl.calls import enqueue
from queuectl.calls.enqueue import EnqueueMany
from queuectl.errors import AlreadyExistsError, InvalidParamsError, NotFoundError
from queuectl.submission import NewJob


def batches(work: EnqueueMany) -> list[list[dict[str, Any]]]:
    """Build all batches, as if each was stored."""
    built = []
    while call := work.build():
        built.append(call.params["jobs"])
        work.store([str(len(built))] * len(call.params["jobs"]))
    return built


def test_batches_have_a_thousand_jobs() -> None:
    """The last one has the rest, and all ids are returned."""
    work = EnqueueMany((f"true {i}" for i in range(2001)), {}, "error")
    assert [len(batch) for batch in batches(work)] == [1000, 1000, 1]
    assert len(work.finish()) == 2001


def test_a_batch_of_long_commands_ends_early() -> None:
    """A batch stays small enough for one frame."""
    work = EnqueueMany(["x" * 100_000] * 25, {}, "error")
    sizes = [len(batch) for batch in batches(work)]
    assert sum(sizes) == 25
    assert max(sizes) * 100_000 <= enqueue.BATCH_BYTES


def test_a_job_larger_than_a_batch_goes_alone() -> None:
    """It is for the daemon to refuse it or not."""
    big: NewJob = {"command": "x", "env": {"A": "x" * (enqueue.BATCH_BYTES + 1)}}
    sizes = [len(batch) for batch in batches(EnqueueMany(["a", big, "b"], {}, "error"))]
    assert sizes == [1, 1, 1]


def test_no_jobs_need_no_request() -> None:
    """An empty iterable returns an empty list."""
    work = EnqueueMany([], {}, "error")
    assert work.build() is None
    assert work.finish() == []


@pytest.mark.parametrize("one", ["make", {"command": "make"}])
def test_one_job_is_not_taken_for_many(one: Any) -> None:
    """A string is not enqueued letter by letter."""
    with pytest.raises(TypeError, match="use enqueue"):
        EnqueueMany(one, {}, "error")


def test_commands_and_maps_can_be_mixed() -> None:
    """A string is a shell line, a sequence is a vector, a map has options."""
    jobs: list[Any] = ["a | b", ["c", "d"], {"command": "e", "priority": 1}]
    assert batches(EnqueueMany(jobs, {}, "error")) == [
        [{"command": "a | b"}, {"command": ["c", "d"]}, {"command": "e", "priority": 1}]
    ]


def test_what_is_inherited_is_sent_once_a_batch() -> None:
    """Not with each job."""
    call = EnqueueMany(["a", "b"], {"cwd": "/srv"}, "return").build()
    assert call is not None
    assert call.params == {
        "jobs": [{"command": "a"}, {"command": "b"}],
        "defaults": {"cwd": "/srv"},
        "if_exists": "return",
    }


def test_a_refusal_names_the_job_among_all() -> None:
    """Its index counts over the whole iterable, and the stored ids are told."""
    work = EnqueueMany((str(i) for i in range(1500)), {}, "error")
    work.build()
    work.store([str(i) for i in range(1000)])
    error = AlreadyExistsError("taken", data={"id": "x", "index": 7})
    work.place(error)
    assert error.data["index"] == 1007
    assert len(error.data["ids"]) == 1000


def test_a_refusal_of_no_job_names_none() -> None:
    """A full queue is nobody's fault."""
    error = NotFoundError()
    EnqueueMany([], {}, "error").place(error)
    assert error.data == {"ids": []}


def test_a_job_that_cannot_be_sent_ends_the_jobs_before_it() -> None:
    """Full batches before it are stored; its own is not, and it is named."""
    jobs: list[Any] = ["true"] * 1500 + [{"command": "x", "label": object()}]
    work = EnqueueMany(jobs, {}, "error")
    assert [len(batch) for batch in batches(work)] == [1000]
    with pytest.raises(InvalidParamsError) as caught:
        work.finish()
    assert caught.value.data["index"] == 1500
    assert len(caught.value.data["ids"]) == 1000


def test_a_failing_iterable_is_raised_as_it_failed() -> None:
    """Its own exception comes out, after what was stored before it."""

    def jobs() -> Iterator[str]:
        yield from ["true"] * 1000
        yield "true"
        raise OSError("disk on fire")

    work = EnqueueMany(jobs(), {}, "error")
    assert [len(batch) for batch in batches(work)] == [1000]
    with pytest.raises(OSError, match="disk on fire"):
        work.finish()
