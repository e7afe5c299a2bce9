"""Bulk enqueueing: where batches end, and what is told when one is refused."""

from collections.abc import Iterator
from typing import Any

import pytest

from queuectl import bulk
from queuectl.bulk import Bulk
from queuectl.errors import AlreadyExistsError, InvalidParamsError, NotFoundError
from queuectl.submission import NewJob


def batches(work: Bulk) -> list[list[dict[str, Any]]]:
    """Build all batches, as if each was stored."""
    built = []
    while call := work.build():
        built.append(call.params["jobs"])
        work.store([str(len(built))] * len(call.params["jobs"]))
    return built


def test_batches_have_a_thousand_jobs() -> None:
    """The last one has the rest, and all ids are returned."""
    work = Bulk((f"true {i}" for i in range(2001)), {}, "error")
    assert [len(batch) for batch in batches(work)] == [1000, 1000, 1]
    assert len(work.finish()) == 2001


def test_a_batch_of_long_commands_ends_early() -> None:
    """A batch stays small enough for one frame."""
    work = Bulk(["x" * 100_000] * 25, {}, "error")
    sizes = [len(batch) for batch in batches(work)]
    assert sum(sizes) == 25
    assert max(sizes) * 100_000 <= bulk.BATCH_BYTES


def test_a_job_larger_than_a_batch_goes_alone() -> None:
    """It is for the daemon to refuse it or not."""
    big: NewJob = {"command": "x", "env": {"A": "x" * (bulk.BATCH_BYTES + 1)}}
    sizes = [len(batch) for batch in batches(Bulk(["a", big, "b"], {}, "error"))]
    assert sizes == [1, 1, 1]


def test_no_jobs_need_no_request() -> None:
    """An empty iterable returns an empty list."""
    work = Bulk([], {}, "error")
    assert work.build() is None
    assert work.finish() == []


@pytest.mark.parametrize("one", ["make", {"command": "make"}])
def test_one_job_is_not_taken_for_many(one: Any) -> None:
    """A string is not enqueued letter by letter."""
    with pytest.raises(TypeError, match="use enqueue"):
        Bulk(one, {}, "error")


def test_commands_and_maps_can_be_mixed() -> None:
    """A string is a shell line, a sequence is a vector, a map has options."""
    jobs: list[Any] = ["a | b", ["c", "d"], {"command": "e", "priority": 1}]
    assert batches(Bulk(jobs, {}, "error")) == [
        [{"command": "a | b"}, {"command": ["c", "d"]}, {"command": "e", "priority": 1}]
    ]


def test_what_is_inherited_is_sent_once_a_batch() -> None:
    """Not with each job."""
    call = Bulk(["a", "b"], {"cwd": "/srv"}, "return").build()
    assert call is not None
    assert call.params == {
        "jobs": [{"command": "a"}, {"command": "b"}],
        "defaults": {"cwd": "/srv"},
        "if_exists": "return",
    }


def test_a_refusal_names_the_job_among_all() -> None:
    """Its index counts over the whole iterable, and the stored ids are told."""
    work = Bulk((str(i) for i in range(1500)), {}, "error")
    work.build()
    work.store([str(i) for i in range(1000)])
    error = AlreadyExistsError("taken", data={"id": "x", "index": 7})
    work.place(error)
    assert error.data["index"] == 1007
    assert len(error.data["ids"]) == 1000


def test_a_refusal_of_no_job_names_none() -> None:
    """A full queue is nobody's fault."""
    error = NotFoundError()
    Bulk([], {}, "error").place(error)
    assert error.data == {"ids": []}


def test_a_job_that_cannot_be_sent_ends_the_jobs_before_it() -> None:
    """Full batches before it are stored; its own is not, and it is named."""
    jobs: list[Any] = ["true"] * 1500 + [{"command": "x", "label": object()}]
    work = Bulk(jobs, {}, "error")
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

    work = Bulk(jobs(), {}, "error")
    assert [len(batch) for batch in batches(work)] == [1000]
    with pytest.raises(OSError, match="disk on fire"):
        work.finish()
