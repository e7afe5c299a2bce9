"""A worker without a daemon, without room for its files, or with a bad daemon."""

import os
import select
import signal
from pathlib import Path

import pytest

from helpers import waiting, worker_harness
from helpers.worker_harness import WorkerHarness
from queuectl_protocol.frames import encode_frame
from queuectl_protocol.vocabulary import Reason
from queuectld.workers.shared import messages, outputs, records, spool

# The daemon is gone


def test_idle_worker_goes_with_its_daemon(worker: WorkerHarness) -> None:
    """An idle worker without a daemon exits and leaves no file."""
    worker.run("true")
    worker.vanish()
    assert worker.exit_status() == 0
    assert not worker.record_path.exists()
    assert spool.leases(str(worker.spool_dir)) == []


def test_busy_worker_finishes_and_spools(worker: WorkerHarness) -> None:
    """A job goes on without its daemon; result and record wait for the next one."""
    job = worker.start_waiting()
    worker.vanish()
    worker.go_on()
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
    """A worker does not poll its closed channel while the job runs."""
    worker.start_waiting()
    worker.vanish()
    where = Path(f"/proc/{worker.pid}/syscall")
    if os.uname().machine == "x86_64":
        waiting.until(lambda: where.read_text().startswith("7 "), "poll(2)")
    switches = Path(f"/proc/{worker.pid}/status")
    before = voluntary_switches(switches)
    select.poll().poll(50)
    assert voluntary_switches(switches) - before <= 1
    worker.go_on()
    assert worker.exit_status() == 0


def voluntary_switches(status: Path) -> int:
    (line,) = [x for x in status.read_text().splitlines() if x.startswith("voluntary")]
    return int(line.split()[1])


def test_timeout_without_a_daemon(worker: WorkerHarness) -> None:
    """A worker without a daemon enforces the timeout."""
    job = worker.start("exec sleep 600", timeout=0.5)
    worker.vanish()
    assert worker.exit_status() == 0
    end = worker.spooled(job.lease)
    assert end is not None
    assert (end.reason, end.signal) == (Reason.TIMEOUT, 15)


def test_result_that_was_told_but_not_taken(worker: WorkerHarness) -> None:
    """A result that is reported but not acknowledged goes to the spool."""
    job = worker.start("exit 4")
    told = worker.finished()
    worker.vanish()
    assert worker.exit_status() == 0
    assert worker.spooled(job.lease) == told
    assert worker.record_path.exists()


def test_spawn_error_that_was_not_taken(worker: WorkerHarness) -> None:
    """A spawn error is a result like any other: it is on record and in the spool."""
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
    """A result that cannot be sent, because the daemon is dead, goes to the spool."""
    job = worker.start_waiting()
    worker.signal(signal.SIGSTOP)
    worker.vanish()
    worker.go_on()
    worker.signal(signal.SIGCONT)
    assert worker.exit_status() == 0
    assert worker.spooled(job.lease) is not None


def test_worker_that_nobody_greets(tmp_path: Path) -> None:
    """A worker whose daemon dies before the hello exits."""
    harness = WorkerHarness(tmp_path)
    harness.vanish()
    assert harness.exit_status() == 0
    assert harness.close() == []


# The spool resists


def test_spool_without_room(worker: WorkerHarness) -> None:
    """The worker writes the result behind its record, and exits at once."""
    job = worker.start_waiting()
    (worker.spool_dir / f"{job.lease}.json.tmp").mkdir()
    worker.vanish()
    worker.go_on()
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
    """Cut off the room for a result, as if the disk had been full at the start."""
    os.truncate(worker.record_path, records.SIZE)


def test_no_room_anywhere(worker: WorkerHarness) -> None:
    """The worker tries again until it has written the result."""
    job = worker.start_waiting()
    no_room_behind_the_record(worker)
    obstacle = worker.spool_dir / f"{job.lease}.json.tmp"
    obstacle.mkdir()
    worker.vanish()
    worker.go_on()
    waiting.until(lambda: not worker.processes(), "the job's end")
    obstacle.rmdir()
    assert worker.exit_status() == 0
    assert worker.spooled(job.lease) is not None


def test_giving_up_on_the_spool(worker: WorkerHarness) -> None:
    """SIGTERM ends the wait for room: the result is lost; the exit status says so."""

    def has_ended() -> bool:
        # The first may come while the job's end is not known yet, and is for the job.
        worker.signal(signal.SIGTERM)
        return bool(select.select([worker.pidfd], [], [], 0.02)[0])

    job = worker.start_waiting()
    no_room_behind_the_record(worker)
    (worker.spool_dir / f"{job.lease}.json.tmp").mkdir()
    worker.vanish()
    worker.go_on()
    waiting.until(lambda: not worker.processes(), "the job's end")
    waiting.until(has_ended, "the worker's end")
    assert worker.exit_status() == 1
    assert worker.record_path.exists()


def test_spool_that_is_gone(worker: WorkerHarness) -> None:
    """A worker whose spool directory is gone does not wait for it."""
    worker.start_waiting()
    worker.spool_dir.rmdir()
    worker.vanish()
    worker.go_on()
    assert worker.exit_status() == 1


# The output directory resists


def blocked_job(worker: WorkerHarness) -> tuple[messages.RunJob, Path]:
    """Send a job whose output files cannot be created; return it and the obstacle."""
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
    """A job without output files waits; the operator is told once; then it runs."""
    _, obstacle = blocked_job(worker)
    obstacle.unlink()
    assert worker.finished().exit_code == 0
    assert len(worker.troubles) == 1


def test_cancel_while_waiting_for_room(worker: WorkerHarness) -> None:
    """A job that waits for its output files can be cancelled; it never started."""
    job, obstacle = blocked_job(worker)
    worker.send(messages.End(job.lease, Reason.CANCELLED, 5))
    end = worker.finished()
    assert (end.lease, end.reason, end.started_at) == (
        job.lease, Reason.CANCELLED, None,
    )  # fmt: skip
    obstacle.unlink()
    assert worker.run("true").exit_code == 0


def test_daemon_dies_while_waiting_for_room(worker: WorkerHarness) -> None:
    """An attempt that never started leaves no file and no result."""
    job, _ = blocked_job(worker)
    worker.vanish()
    assert worker.exit_status() == 0
    assert worker.spooled(job.lease) is None
    assert not worker.record_path.exists()


# A daemon that makes no sense


def test_other_version_of_the_channel(tmp_path: Path) -> None:
    """A worker of another version says so and exits."""
    harness = WorkerHarness(tmp_path)
    harness.send(harness.hello(version=messages.VERSION + 1))
    assert "restart the daemon" in harness.receive(messages.Trouble).message
    assert harness.exit_status() == 1
    assert harness.close() == []


def test_record_that_cannot_be_written(tmp_path: Path) -> None:
    """A worker that cannot write its record exits."""
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
def test_nonsense_on_the_channel(worker: WorkerHarness, nonsense: bytes) -> None:
    """A worker leaves a daemon that sends nonsense; its job goes on."""
    job = worker.start_waiting()
    worker.socket.sendall(nonsense)
    assert "leaves its daemon" in worker.receive(messages.Trouble).message
    worker.go_on()
    assert worker.exit_status() == 0
    end = worker.spooled(job.lease)
    assert end is not None
    assert end.exit_code == 5


def test_a_record_left_by_a_dead_worker(tmp_path: Path) -> None:
    """A worker replaces the record of a dead one, even if that is longer."""
    (tmp_path / "1.json").write_bytes(b"x" * 2 * records.SIZE)
    with worker_harness.worker(tmp_path) as worker:
        record = worker.record()
        assert record is not None
        assert record.pid == worker.pid
        waiting.until(
            lambda: worker.record_path.stat().st_size == records.ROOM, "it has room"
        )
        assert records.kept(str(worker.record_path)) is None
