"""Bulk enqueueing: what is stored is always a beginning of the file."""

import os
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from helpers.fakeclient import FakeClient
from queuectl import errors
from queuectl.cli.input import job_file
from queuectl.cli.input.job_file import BadLineError, JobFile
from queuectl.cli.requests.batch_sender import BatchSender


def _store(params: Mapping[str, Any]) -> dict[str, Any]:
    ids = [job["command"] for job in params["jobs"]]
    return {"ids": ids, "created": len(ids), "workers": 2}


def _sender(client: FakeClient, count: int) -> BatchSender:
    fd = os.memfd_create("jobs")
    os.write(fd, b"".join(b"%d\n" % i for i in range(1, count + 1)))
    os.lseek(fd, 0, os.SEEK_SET)
    file = JobFile(fd, job_file.shell_line)
    options = {"defaults": {"priority": 3}, "if_exists": "error"}
    return BatchSender(client, file, **options)  # type: ignore[arg-type]


def _refusing(first: str, **data: Any) -> Callable[[Mapping[str, Any]], Any]:
    def answer(params: Mapping[str, Any]) -> Any:
        if params["jobs"][0]["command"] == first:
            return errors.InvalidParamsError("bad", data=data)
        return _store(params)

    return answer


def test_ids_come_batch_by_batch() -> None:
    """Each acknowledged batch gives its ids, in order, and how far the file is."""
    client = FakeClient(enqueue_many=_store)
    sender = _sender(client, 2_300)
    stored = list(sender.run())
    ids = [job_id for batch in stored for job_id in batch.ids]
    assert ids == [str(i) for i in range(1, 2_301)]
    assert [len(batch.ids) for batch in stored] == [1000, 1000, 300]
    assert sender.stored == 2_300
    assert client.sent[0][1]["defaults"] == {"priority": 3}


def test_a_refused_job_is_named_by_its_line() -> None:
    """The daemon tells a place in the batch; a person is told the line."""
    client = FakeClient(enqueue_many=_refusing("1001", field="x", index=233))
    sender = _sender(client, 5_000)
    stored: list[Any] = []
    with pytest.raises(BadLineError) as caught:
        stored.extend(sender.run())
    assert caught.value.line == 1_234
    assert len(stored) == 1
    assert sender.stored == 1_000


def test_nothing_is_sent_after_a_refusal() -> None:
    """No later batch is stored when one was refused."""
    client = FakeClient(enqueue_many=_refusing("1001", index=0))
    with pytest.raises(BadLineError):
        list(_sender(client, 5_000).run())
    assert len(client.sent) == 2


def test_other_errors_pass() -> None:
    """An error that blames no line is raised as it is."""
    client = FakeClient(enqueue_many=lambda _: errors.QueueFullError("full"))
    with pytest.raises(errors.QueueFullError):
        list(_sender(client, 10).run())


def test_a_stop_ends_after_what_is_under_way() -> None:
    """A batch that was sent is acknowledged, and no other is sent."""
    client = FakeClient(enqueue_many=_store)
    sender = _sender(client, 5_000)
    batches = sender.run()
    next(batches)
    sender.stop()
    rest = list(batches)
    assert len(client.sent) == 1 + len(rest)
    assert sender.stored == 1000 * len(client.sent)


def test_a_stop_that_comes_just_before_the_wait_is_not_slept_through() -> None:
    """Nobody writes any more, and there is nothing to be woken by."""
    reader, writer = os.pipe()
    client = FakeClient(enqueue_many=_store)
    file = JobFile(reader, job_file.shell_line)
    sender = BatchSender(client, file, defaults={}, if_exists="error")  # type: ignore[arg-type]
    os.write(writer, b"1\n")
    try:
        batches = sender.run()
        next(batches)
        sender.stop()  # after the last look at it in the loop
        assert list(sender._wait()) == []
        assert len(client.sent) == 1
    finally:
        os.close(reader)
        os.close(writer)
