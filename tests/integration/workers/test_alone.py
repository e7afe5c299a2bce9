"""A worker without its daemon, or with a daemon that wants it to go."""

import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers import waiting, worker_harness
from helpers.worker_harness import WorkerHarness
from queuectl_protocol.frames import encode_frame
from queuectl_protocol.vocabulary import Reason
from queuectld.workers.shared import messages, outputs, records, spool

STUBBORN = "trap '' TERM; echo up; while :; do sleep 0.01; done"
WAITS = "echo up; read line < fifo; exit 5"


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[WorkerHarness]:
    os.mkfifo(tmp_path / "fifo")
    with worker_harness.worker(tmp_path) as ready:
        yield ready


def waiting_job(worker: WorkerHarness) -> messages.RunJob:
    """Start a job that ends, with 5, when ``go_on`` is called."""
    job = worker.start(WAITS, cwd=str(worker.home))
    worker.says(job, "up")
    return job


def go_on(worker: WorkerHarness) -> None:
    (worker.home / "fifo").write_text("go on\n")


# The daemon is gone


def test_idle_worker_goes_with_its_daemon(worker: WorkerHarness) -> None:
    """Nothing to do and nobody to serve: it ends and leaves nothing."""
    worker.run("true")
    worker.vanish()
    assert worker.exit_status() == 0
    assert not worker.record_path.exists()
    assert spool.leases(str(worker.spool_dir)) == []


def test_busy_worker_finishes_and_spools(worker: WorkerHarness) -> None:
    """A job outlives its daemon; its result waits for the next one, with its record."""
    job = waiting_job(worker)
    worker.vanish()
    go_on(worker)
    assert worker.exit_status() == 0
    end = worker.spooled(job.lease)
    assert end is not None
    assert (end.lease, end.reason, end.exit_code) == (job.lease, Reason.EXIT, 5)
    assert end.stdout_bytes == 3
    kept = spool.read(str(worker.spool_dir), job.lease)
    assert kept is not None
    assert (kept.store, kept.worker, kept.seq, kept.run) == (
        worker.store, 1, job.seq, 1,
    )  # fmt: skip
    record = worker.record()
    assert record is not None
    assert record.lease == job.lease
    where = (str(worker.output_dir), job.seq, job.run, job.lease)
    assert outputs.sizes(*where) == (3, 0), "both files stay for the daemon to judge by"


def test_a_lonely_worker_does_not_spin(worker: WorkerHarness) -> None:
    """The closed link is not looked at again while the job runs."""
    waiting_job(worker)
    worker.vanish()
    where = Path(f"/proc/{worker.pid}/syscall")
    if os.uname().machine == "x86_64":
        waiting.until(lambda: where.read_text().startswith("7 "), "poll(2)")
    switches = Path(f"/proc/{worker.pid}/status")
    before = voluntary_switches(switches)
    select.poll().poll(50)
    assert voluntary_switches(switches) - before <= 1
    go_on(worker)
    assert worker.exit_status() == 0


def voluntary_switches(status: Path) -> int:
    (line,) = [x for x in status.read_text().splitlines() if x.startswith("voluntary")]
    return int(line.split()[1])


def test_timeout_without_a_daemon(worker: WorkerHarness) -> None:
    """A worker keeps its job's promises alone."""
    job = worker.start("exec sleep 600", timeout=0.5)
    worker.vanish()
    assert worker.exit_status() == 0
    end = worker.spooled(job.lease)
    assert end is not None
    assert (end.reason, end.signal) == (Reason.TIMEOUT, 15)


def test_result_that_was_told_but_not_taken(worker: WorkerHarness) -> None:
    """A daemon that dies between the result and its ack finds it in the spool."""
    job = worker.start("exit 4")
    told = worker.finished()
    worker.vanish()
    assert worker.exit_status() == 0
    assert worker.spooled(job.lease) == told
    assert worker.record_path.exists()


def test_spawn_error_that_was_not_taken(worker: WorkerHarness) -> None:
    """A run that could not start is a result like any other, on record and kept."""
    worker.run("true")
    job = worker.job(("no-such-tool",))
    worker.send(job)
    told = worker.finished()
    worker.vanish()
    assert worker.exit_status() == 0
    assert worker.spooled(job.lease) == told
    record = worker.record()
    assert record is not None
    assert (record.lease, record.job_pid) == (job.lease, None)


def test_result_that_was_taken(worker: WorkerHarness) -> None:
    """An acknowledged result is not spooled."""
    job = worker.start("exit 4")
    worker.finished()
    worker.send(messages.Ack(job.lease))
    worker.vanish()
    assert worker.exit_status() == 0
    assert worker.spooled(job.lease) is None


def test_ack_of_another_result(worker: WorkerHarness) -> None:
    """An ack counts only for the lease that it names."""
    job = worker.start("exit 4")
    worker.finished()
    worker.send(messages.Ack(job.lease + 1))
    worker.vanish()
    assert worker.exit_status() == 0
    assert worker.spooled(job.lease) is not None


def test_daemon_that_dies_before_the_worker_wrote(worker: WorkerHarness) -> None:
    """A result that meets a broken pipe goes to the spool."""
    job = waiting_job(worker)
    worker.signal(signal.SIGSTOP)
    worker.vanish()
    go_on(worker)
    worker.signal(signal.SIGCONT)
    assert worker.exit_status() == 0
    assert worker.spooled(job.lease) is not None


def test_worker_that_nobody_greets(tmp_path: Path) -> None:
    """A daemon that dies before its hello leaves no worker behind."""
    harness = WorkerHarness(tmp_path)
    harness.vanish()
    assert harness.exit_status() == 0
    assert harness.close() == []


# The spool resists


def test_spool_without_room(worker: WorkerHarness) -> None:
    """The worker ends at once: the result is behind its record, for the next daemon."""
    job = waiting_job(worker)
    (worker.spool_dir / f"{job.lease}.json.tmp").mkdir()
    worker.vanish()
    go_on(worker)
    assert worker.exit_status() == 0
    assert worker.spooled(job.lease) is None
    data = records.kept(str(worker.record_path))
    assert data is not None
    kept = spool.decode(data)
    assert (kept.store, kept.seq, kept.run) == (worker.store, job.seq, job.run)
    assert (kept.end.lease, kept.end.reason) == (job.lease, Reason.EXIT)
    found = records.read(str(worker.record_path))
    assert found is not None
    assert found.lease == job.lease


def no_room_behind_the_record(worker: WorkerHarness) -> None:
    """Make it a worker that found none when it started."""
    os.truncate(worker.record_path, records.SIZE)


def test_no_room_anywhere(worker: WorkerHarness) -> None:
    """The worker tries again until the result is kept."""
    job = waiting_job(worker)
    no_room_behind_the_record(worker)
    obstacle = worker.spool_dir / f"{job.lease}.json.tmp"
    obstacle.mkdir()
    worker.vanish()
    go_on(worker)
    waiting.until(lambda: not worker.processes(), "the job's end")
    obstacle.rmdir()
    assert worker.exit_status() == 0
    assert worker.spooled(job.lease) is not None


def test_giving_up_on_the_spool(worker: WorkerHarness) -> None:
    """SIGTERM ends the wait: the result is lost, and the status says so."""

    def has_ended() -> bool:
        # The first may come while the job's end is not known yet, and is for the job.
        worker.signal(signal.SIGTERM)
        return bool(select.select([worker.pidfd], [], [], 0.02)[0])

    job = waiting_job(worker)
    no_room_behind_the_record(worker)
    (worker.spool_dir / f"{job.lease}.json.tmp").mkdir()
    worker.vanish()
    go_on(worker)
    waiting.until(lambda: not worker.processes(), "the job's end")
    waiting.until(has_ended, "the worker's end")
    assert worker.exit_status() == 1
    assert worker.record_path.exists()


def test_spool_that_is_gone(worker: WorkerHarness) -> None:
    """Without a state directory nobody will ask: no worker waits for ever."""
    waiting_job(worker)
    worker.spool_dir.rmdir()
    worker.vanish()
    go_on(worker)
    assert worker.exit_status() == 1


# The output directory resists


def blocked_job(worker: WorkerHarness) -> tuple[messages.RunJob, Path]:
    """Give a job whose output files cannot be created; return it and the obstacle."""
    job = worker.job("echo x")
    obstacle = worker.output_dir / str(job.seq // outputs.SHARD)
    obstacle.write_text("in the way")
    worker.send(job)
    trouble = worker.receive(messages.Trouble)
    assert trouble.lease == job.lease
    assert job.id in trouble.message
    assert "trying again" in trouble.message
    return job, obstacle


def test_output_without_room(worker: WorkerHarness) -> None:
    """The job waits, the operator is told once, and then it runs."""
    _, obstacle = blocked_job(worker)
    obstacle.unlink()
    assert worker.finished().exit_code == 0
    assert len(worker.troubles) == 1


def test_cancel_while_waiting_for_room(worker: WorkerHarness) -> None:
    """A run that waits can be called off; it never started."""
    job, obstacle = blocked_job(worker)
    worker.send(messages.End(job.lease, Reason.CANCELLED, 5))
    end = worker.finished()
    assert (end.lease, end.reason, end.started_at) == (
        job.lease, Reason.CANCELLED, None,
    )  # fmt: skip
    obstacle.unlink()
    assert worker.run("true").exit_code == 0


def test_daemon_dies_while_waiting_for_room(worker: WorkerHarness) -> None:
    """A run that never started is nobody's loss: no file of it, no result."""
    job, _ = blocked_job(worker)
    worker.vanish()
    assert worker.exit_status() == 0
    assert worker.spooled(job.lease) is None
    assert not worker.record_path.exists()


# Stop and signals


def test_stop_when_idle(worker: WorkerHarness) -> None:
    """An idle worker goes at once."""
    worker.send(messages.Stop())
    assert worker.exit_status() == 0
    assert not worker.record_path.exists()


def test_stop_when_busy(worker: WorkerHarness) -> None:
    """A busy one finishes, tells, and waits until that is committed."""
    job = waiting_job(worker)
    worker.send(messages.Stop())
    go_on(worker)
    assert worker.finished().exit_code == 5
    assert worker.record_path.exists()
    worker.send(messages.Ack(job.lease))
    assert worker.exit_status() == 0
    assert not worker.record_path.exists()
    assert worker.spooled(job.lease) is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_signal_when_idle(worker: WorkerHarness, number: int) -> None:
    """It goes, as after a stop."""
    worker.signal(number)
    assert worker.exit_status() == 0
    assert not worker.record_path.exists()


def test_sigterm_when_busy(worker: WorkerHarness) -> None:
    """The job is interrupted with its grace; its end is told and committed first."""
    job = worker.start("trap 'exit 3' TERM; echo up; while :; do sleep 0.01; done")
    worker.says(job, "up")
    worker.signal(signal.SIGTERM)
    end = worker.finished()
    assert (end.reason, end.exit_code) == (Reason.INTERRUPTED, 3)
    worker.send(messages.Ack(job.lease))
    assert worker.exit_status() == 0


def test_sigterm_twice(worker: WorkerHarness) -> None:
    """The second one leaves the job no time."""
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
    """SIGQUIT means at once, where two SIGTERM might arrive as one."""
    job = worker.start(STUBBORN, kill_grace=600)
    worker.says(job, "up")
    worker.signal(signal.SIGTERM)
    worker.signal(signal.SIGQUIT)
    end = worker.finished()
    assert (end.reason, end.signal) == (Reason.INTERRUPTED, 9)


def test_sigterm_without_a_daemon(worker: WorkerHarness) -> None:
    """The next daemon ends an adopted worker so, and finds the result in the spool."""
    job = worker.start("exec sleep 600")
    worker.vanish()
    worker.signal(signal.SIGTERM)
    assert worker.exit_status() == 0
    end = worker.spooled(job.lease)
    assert end is not None
    assert (end.reason, end.signal) == (Reason.INTERRUPTED, 15)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_signals_of_a_terminal(worker: WorkerHarness, number: int) -> None:
    """They are meant for the daemon: a worker stays."""
    job = waiting_job(worker)
    worker.signal(number)
    go_on(worker)
    assert worker.finished().lease == job.lease
    worker.send(messages.Ack(job.lease))
    assert worker.run("true").exit_code == 0


def test_run_after_sigterm(worker: WorkerHarness) -> None:
    """A run that meets a leaving worker is not started, and so not counted."""
    job = worker.job("true")
    worker.signal(signal.SIGSTOP)
    worker.signal(signal.SIGTERM)
    worker.send(job)
    worker.signal(signal.SIGCONT)
    assert worker.exit_status() == 0
    assert outputs.sizes(str(worker.output_dir), job.seq, 1, job.lease) is None


# A daemon that makes no sense


def test_other_version_of_the_link(tmp_path: Path) -> None:
    """A worker of another version says so and goes."""
    harness = WorkerHarness(tmp_path)
    harness.send(harness.hello(version=messages.VERSION + 1))
    assert "restart the daemon" in harness.receive(messages.Trouble).message
    assert harness.exit_status() == 1
    assert harness.close() == []


def test_record_that_cannot_be_written(tmp_path: Path) -> None:
    """A worker that could not be found again does not begin."""
    harness = WorkerHarness(tmp_path)
    harness.record_path.mkdir()
    harness.send(harness.hello())
    assert "cannot begin" in harness.receive(messages.Trouble).message
    assert harness.exit_status() == 1
    assert harness.close() == []


@pytest.mark.parametrize(
    "nonsense",
    [
        encode_frame(b"\xc1"),
        messages.encode(messages.Ready(1)),
        messages.encode(
            messages.RunJob(99, 99, 1, "second", "true", None, None, None, 0, 5, 0)
        ),
        b"\xff\xff\xff\xff",
    ],
)  # fmt: skip
def test_nonsense_on_the_link(worker: WorkerHarness, nonsense: bytes) -> None:
    """The worker leaves such a daemon as if it had died; the job is not harmed."""
    job = waiting_job(worker)
    worker.socket.sendall(nonsense)
    assert "leaves its daemon" in worker.receive(messages.Trouble).message
    go_on(worker)
    assert worker.exit_status() == 0
    end = worker.spooled(job.lease)
    assert end is not None
    assert end.exit_code == 5


def test_a_record_left_by_a_dead_worker(tmp_path: Path) -> None:
    """A worker takes over the file of one that died, longer garbage included."""
    (tmp_path / "1.json").write_bytes(b"x" * 2 * records.SIZE)
    with worker_harness.worker(tmp_path) as worker:
        record = worker.record()
        assert record is not None
        assert record.pid == worker.pid
        waiting.until(
            lambda: worker.record_path.stat().st_size == records.ROOM, "it has room"
        )
        assert records.kept(str(worker.record_path)) is None
