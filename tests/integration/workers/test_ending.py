"""How a job is ended: by its timeout, by a cancel, by its output limit."""

import signal

from helpers import waiting
from helpers.worker_harness import WorkerHarness
from queuectl_protocol.vocabulary import Reason
from queuectld.linux import procfs
from queuectld.workers.shared import messages

LONG = "exec sleep 600"
SHORT = 0.3  # seconds of grace or timeout in tests that must see it pass


def cancel(job: messages.RunJob, grace: float = 60) -> messages.End:
    return messages.End(job.lease, Reason.CANCELLED, grace)


# Timeout


def test_timeout(worker: WorkerHarness) -> None:
    """A job that runs too long gets SIGTERM; the reason is ``timeout``."""
    end = worker.run(LONG, timeout=SHORT)
    assert (end.reason, end.signal, end.exit_code) == (Reason.TIMEOUT, 15, None)
    assert end.message == "ran longer than 0.3s; ended with SIGTERM"
    assert end.started_at is not None
    assert end.finished_at - end.started_at >= SHORT * 1000 - 1


def test_timeout_of_a_job_that_cleans_up(worker: WorkerHarness) -> None:
    """A job that exits in its grace keeps its exit code; the reason is ``timeout``."""
    script = "trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.01; done"
    job = worker.start(script, timeout=SHORT)
    end = worker.finished()
    assert (end.reason, end.signal, end.exit_code) == (Reason.TIMEOUT, None, 7)
    assert end.message == "ran longer than 0.3s; exited with 7 when asked to end"
    assert "bye" in worker.output(job)


def test_timeout_of_a_job_that_ignores_sigterm(worker: WorkerHarness) -> None:
    """After the grace comes SIGKILL."""
    script = "trap '' TERM; while :; do sleep 0.01; done"
    end = worker.run(script, timeout=SHORT, kill_grace=SHORT)
    assert (end.reason, end.signal) == (Reason.TIMEOUT, 9)
    assert end.message == "ran longer than 0.3s; ended with SIGKILL"
    assert end.started_at is not None
    assert end.finished_at - end.started_at >= 2 * SHORT * 1000 - 1


def test_timeout_without_grace(worker: WorkerHarness) -> None:
    """With no grace there is no SIGTERM."""
    end = worker.run("trap '' TERM; sleep 600", timeout=SHORT, kill_grace=0)
    assert (end.reason, end.signal) == (Reason.TIMEOUT, 9)


def test_no_timeout(worker: WorkerHarness) -> None:
    """0 means no timeout, and a year is not too long for poll(2)."""
    assert worker.run("sleep 0.05", timeout=0).exit_code == 0
    assert worker.run("sleep 0.05", timeout=366 * 86_400).exit_code == 0


# Cancel


def test_cancel(worker: WorkerHarness) -> None:
    """A cancelled job has that reason, and the signal that it got."""
    job = worker.start(LONG)
    worker.send(cancel(job))
    end = worker.finished()
    assert (end.reason, end.signal, end.message) == (Reason.CANCELLED, 15, None)


def test_interrupt(worker: WorkerHarness) -> None:
    """An interrupted job has that reason, and its own exit code."""
    job = worker.start("trap 'exit 9' TERM; echo up; while :; do sleep 0.01; done")
    worker.says(job, "up")
    worker.send(messages.End(job.lease, Reason.INTERRUPTED, 60))
    end = worker.finished()
    assert (end.reason, end.exit_code) == (Reason.INTERRUPTED, 9)


def test_cancel_without_grace(worker: WorkerHarness) -> None:
    """Grace 0 is SIGKILL at once."""
    job = worker.start("trap 'echo bye' TERM; echo up; while :; do sleep 0.01; done")
    worker.says(job, "up")
    worker.send(cancel(job, grace=0))
    assert worker.finished().signal == 9
    assert worker.output(job) == "up\n"


def test_a_second_end_speeds_up(worker: WorkerHarness) -> None:
    """A second end with less grace counts from then; more grace changes nothing."""
    job = worker.start("trap '' TERM; echo up; while :; do sleep 0.01; done")
    worker.says(job, "up")
    worker.send(cancel(job, grace=600), cancel(job, grace=0), cancel(job, 600))
    end = worker.finished()
    assert (end.reason, end.signal) == (Reason.CANCELLED, 9)


def test_end_in_the_same_breath_as_the_run(worker: WorkerHarness) -> None:
    """An end that comes in the same write as the job ends the job."""
    job = worker.job(LONG)
    worker.send(job, cancel(job))
    end = worker.finished()
    assert (end.reason, end.lease) == (Reason.CANCELLED, job.lease)


def test_end_of_another_run(worker: WorkerHarness) -> None:
    """An end for another lease, earlier, later or unknown, is ignored."""
    first = worker.job("true")
    worker.send(first)
    assert worker.finished().reason is Reason.EXIT
    worker.send(cancel(first, grace=0))
    job = worker.start_waiting()
    worker.send(cancel(first, 0), messages.End(job.lease + 1, Reason.CANCELLED, 0))
    worker.send(messages.Ack(first.lease))
    worker.go_on()
    end = worker.finished()
    assert (end.lease, end.reason, end.exit_code) == (job.lease, Reason.EXIT, 5)


def test_an_end_that_comes_too_late(worker: WorkerHarness) -> None:
    """A job that exited before the end arrived keeps its own reason."""
    job = worker.start_waiting()
    record = worker.record()
    assert record is not None
    main = record.job_pid
    assert main is not None
    # Both wait for the stopped worker: SIGCHLD, and the daemon's message.
    worker.signal(signal.SIGSTOP)
    worker.go_on()
    waiting.until(lambda: (p := procfs.process(main)) and not p.alive, "the job's end")
    worker.send(cancel(job))
    worker.signal(signal.SIGCONT)
    end = worker.finished()
    assert (end.reason, end.exit_code) == (Reason.EXIT, 5)


# Output limit


def test_output_limit(worker: WorkerHarness) -> None:
    """A job that writes too much is ended; the reason is ``output_limit``."""
    end = worker.run("exec yes", output_limit=1 << 20)
    assert (end.reason, end.signal) == (Reason.OUTPUT_LIMIT, 15)
    assert end.message == "wrote more than 1.0 MiB of output; ended with SIGTERM"
    assert end.stdout_bytes is not None
    assert end.stdout_bytes > 1 << 20


def test_output_limit_counts_both_streams(worker: WorkerHarness) -> None:
    """The limit counts stdout and stderr together."""
    script = "head -c 600 /dev/zero; head -c 600 /dev/zero >&2; exec sleep 600"
    assert worker.run(script, output_limit=1000).reason is Reason.OUTPUT_LIMIT


def test_output_under_the_limit(worker: WorkerHarness) -> None:
    """A job within its limit is not ended."""
    end = worker.run("head -c 1000 /dev/zero; exec sleep 1.1", output_limit=1000)
    assert (end.reason, end.exit_code, end.stdout_bytes) == (Reason.EXIT, 0, 1000)
