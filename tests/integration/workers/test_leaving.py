"""A worker that is told to exit: by its daemon, or by a signal."""

import signal
from pathlib import Path

import pytest

from helpers import waiting
from helpers.worker_harness import WorkerHarness
from queuectl_protocol.vocabulary import Reason
from queuectld.workers.shared import messages, outputs

STUBBORN = "trap '' TERM; echo up; while :; do sleep 0.01; done"


def test_stop_when_idle(worker: WorkerHarness) -> None:
    """An idle worker exits at once."""
    worker.send(messages.Stop())
    assert worker.exit_status() == 0
    assert not worker.record_path.exists()


def test_stop_when_busy(worker: WorkerHarness) -> None:
    """A busy worker finishes, reports, waits for the acknowledgement and exits."""
    job = worker.start_waiting()
    worker.send(messages.Stop())
    worker.go_on()
    assert worker.finished().exit_code == 5
    assert worker.record_path.exists()
    worker.send(messages.Ack(job.lease))
    assert worker.exit_status() == 0
    assert not worker.record_path.exists()
    assert worker.spooled(job.lease) is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_signal_when_idle(worker: WorkerHarness, number: int) -> None:
    """An idle worker exits on SIGTERM and SIGQUIT, as after a stop."""
    worker.signal(number)
    assert worker.exit_status() == 0
    assert not worker.record_path.exists()


def test_sigterm_when_busy(worker: WorkerHarness) -> None:
    """SIGTERM interrupts the job with its grace; the worker exits after the commit."""
    job = worker.start("trap 'exit 3' TERM; echo up; while :; do sleep 0.01; done")
    worker.says(job, "up")
    worker.signal(signal.SIGTERM)
    end = worker.finished()
    assert (end.reason, end.exit_code) == (Reason.INTERRUPTED, 3)
    worker.send(messages.Ack(job.lease))
    assert worker.exit_status() == 0


def test_sigterm_twice(worker: WorkerHarness) -> None:
    """A second SIGTERM kills the job."""
    job = worker.start(STUBBORN, kill_grace=600)
    worker.says(job, "up")
    worker.signal(signal.SIGTERM)
    # Only one of two pending signals of a kind arrives: the first must be taken.
    pending = Path(f"/proc/{worker.pid}/status")
    waiting.until(lambda: sigterm_taken(pending), "the first signal to be read")
    worker.signal(signal.SIGTERM)
    end = worker.finished()
    assert (end.reason, end.signal) == (Reason.INTERRUPTED, 9)
    # It does not wait for the ack any more; the spool has the result.
    assert worker.exit_status() == 0
    assert worker.spooled(job.lease) == end


def sigterm_taken(status: Path) -> bool:
    text = status.read_text()
    (line,) = [x for x in text.splitlines() if x.startswith("ShdPnd")]
    return not int(line.split()[1], 16) >> (signal.SIGTERM - 1) & 1


def test_sigquit_when_busy(worker: WorkerHarness) -> None:
    """SIGQUIT kills the job at once: two SIGTERM might arrive as one."""
    job = worker.start(STUBBORN, kill_grace=600)
    worker.says(job, "up")
    worker.signal(signal.SIGTERM)
    worker.signal(signal.SIGQUIT)
    end = worker.finished()
    assert (end.reason, end.signal) == (Reason.INTERRUPTED, 9)


def test_sigterm_without_a_daemon(worker: WorkerHarness) -> None:
    """SIGTERM ends the job of an adopted worker; the result is in the spool."""
    job = worker.start("exec sleep 600")
    worker.vanish()
    worker.signal(signal.SIGTERM)
    assert worker.exit_status() == 0
    end = worker.spooled(job.lease)
    assert end is not None
    assert (end.reason, end.signal) == (Reason.INTERRUPTED, 15)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_signals_of_a_terminal(worker: WorkerHarness, number: int) -> None:
    """A worker ignores the signals that a terminal sends to all its processes."""
    job = worker.start_waiting()
    worker.signal(number)
    worker.go_on()
    assert worker.finished().lease == job.lease
    worker.send(messages.Ack(job.lease))
    assert worker.run("true").exit_code == 0


def test_run_after_sigterm(worker: WorkerHarness) -> None:
    """A job that reaches a worker after its SIGTERM is not started."""
    job = worker.job("true")
    worker.signal(signal.SIGSTOP)
    worker.signal(signal.SIGTERM)
    worker.send(job)
    worker.signal(signal.SIGCONT)
    assert worker.exit_status() == 0
    assert outputs.sizes(str(worker.output_dir), job.seq, 1, job.lease) is None


# A job that comes too late


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
