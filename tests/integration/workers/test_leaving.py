"""A worker on its way out takes no other job."""

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
    """It ends without a word, and the run has no output files: it never began."""
    assert worker.exit_status() == 0
    assert worker.socket.recv(100) == b""
    where = str(worker.output_dir)
    assert outputs.sizes(where, job.seq, job.run, job.lease) is None
    assert not worker.record_path.exists()
    assert list(worker.spool_dir.iterdir()) == []


def test_an_idle_worker_that_was_told_to_stop(worker: WorkerHarness) -> None:
    """Stop and a job may come together."""
    job = worker.job("echo never")
    worker.send(messages.Stop(), job)
    assert_left_without(worker, job)


def test_a_busy_worker_that_was_told_to_stop(worker: WorkerHarness) -> None:
    """A job that comes after the end of the one it runs implies that end's ack."""
    first = worker.start("exec sleep 600")
    worker.send(messages.Stop(), messages.End(first.lease, Reason.CANCELLED, 0))
    assert worker.finished().reason is Reason.CANCELLED
    job = worker.job("echo never")
    worker.send(job)
    assert_left_without(worker, job)


def test_a_worker_that_was_terminated(worker: WorkerHarness) -> None:
    """Somebody else told it to go, and its daemon cannot know that yet."""
    worker.start("exec sleep 600")
    worker.signal(signal.SIGTERM)
    assert worker.finished().reason is Reason.INTERRUPTED
    job = worker.job("echo never")
    worker.send(job)
    assert_left_without(worker, job)
