"""A worker that is about to exit starts no other job."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers import worker_harness
from helpers.worker_harness import WorkerHarness
from queuectl_protocol.vocabulary import Reason
from queuectld.workers.shared import messages, outputs


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[WorkerHarness]:
    with worker_harness.worker(tmp_path) as ready:
        yield ready


def assert_left_without(worker: WorkerHarness, job: messages.RunJob) -> None:
    """Assert that it exits without a message, and that the job never started."""
    assert worker.exit_status() == 0
    assert worker.socket.recv(100) == b""
    where = str(worker.output_dir)
    assert outputs.sizes(where, job.seq, job.run, job.lease) is None
    assert not worker.record_path.exists()
    assert list(worker.spool_dir.iterdir()) == []


def test_an_idle_worker_that_was_told_to_stop(worker: WorkerHarness) -> None:
    """A job that comes in the same read as the stop is not started."""
    job = worker.job("echo never")
    worker.send(messages.Stop(), job)
    assert_left_without(worker, job)


def test_a_busy_worker_that_was_told_to_stop(worker: WorkerHarness) -> None:
    """A job after the stop acknowledges the result before it, and is not started."""
    first = worker.start("exec sleep 600")
    worker.send(messages.Stop(), messages.End(first.lease, Reason.CANCELLED, 0))
    assert worker.finished().reason is Reason.CANCELLED
    job = worker.job("echo never")
    worker.send(job)
    assert_left_without(worker, job)


def test_a_worker_that_was_terminated(worker: WorkerHarness) -> None:
    """A job that comes after the worker got SIGTERM is not started."""
    worker.start("exec sleep 600")
    worker.signal(signal.SIGTERM)
    assert worker.finished().reason is Reason.INTERRUPTED
    job = worker.job("echo never")
    worker.send(job)
    assert_left_without(worker, job)
