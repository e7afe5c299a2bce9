"""How a run is ended: timeout, cancel, limits, and everything that resists."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers import waiting, worker_harness
from helpers.worker_harness import WorkerHarness
from queuectl_protocol.vocabulary import Reason
from queuectld.linux import procfs
from queuectld.workers.shared import messages

LONG = "exec sleep 600"
SHORT = 0.3  # seconds of grace or timeout in tests that must see it pass


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[WorkerHarness]:
    with worker_harness.worker(tmp_path) as ready:
        yield ready


def python(script: str) -> tuple[str, ...]:
    """Return a command that runs ``script`` without Python's slower start-up."""
    return (sys.executable, "-I", "-S", "-c", script)


def cancel(job: messages.RunJob, grace: float = 60) -> messages.End:
    return messages.End(job.lease, Reason.CANCELLED, grace)


# Timeout


def test_timeout(worker: WorkerHarness) -> None:
    """A run that takes too long gets SIGTERM and is told as what it was."""
    end = worker.run(LONG, timeout=SHORT)
    assert (end.reason, end.signal, end.exit_code) == (Reason.TIMEOUT, 15, None)
    assert end.message == "ran longer than 0.3s; ended with SIGTERM"
    assert end.started_at is not None
    assert end.finished_at - end.started_at >= SHORT * 1000 - 1


def test_timeout_of_a_job_that_cleans_up(worker: WorkerHarness) -> None:
    """A job may use its grace; it is a timeout all the same, with its own exit code."""
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
    """0 means none, and a year is not too long for poll(2)."""
    assert worker.run("sleep 0.05", timeout=0).exit_code == 0
    assert worker.run("sleep 0.05", timeout=366 * 86_400).exit_code == 0


# Cancel


def test_cancel(worker: WorkerHarness) -> None:
    """A cancelled run tells so, with the signal that it got."""
    job = worker.start(LONG)
    worker.send(cancel(job))
    end = worker.finished()
    assert (end.reason, end.signal, end.message) == (Reason.CANCELLED, 15, None)


def test_interrupt(worker: WorkerHarness) -> None:
    """An interrupted run tells so, with the exit code that it chose."""
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
    """A smaller grace counts from when it comes; a larger one changes nothing."""
    job = worker.start("trap '' TERM; echo up; while :; do sleep 0.01; done")
    worker.says(job, "up")
    worker.send(cancel(job, grace=600), cancel(job, grace=0), cancel(job, 600))
    end = worker.finished()
    assert (end.reason, end.signal) == (Reason.CANCELLED, 9)


def test_end_in_the_same_breath_as_the_run(worker: WorkerHarness) -> None:
    """An end that arrives before the start was told ends that run."""
    job = worker.job(LONG)
    worker.send(job, cancel(job))
    end = worker.finished()
    assert (end.reason, end.lease) == (Reason.CANCELLED, job.lease)


def test_end_of_another_run(worker: WorkerHarness) -> None:
    """An end for a lease that is not running is ignored: earlier, later or unknown."""
    first = worker.job("true")
    worker.send(first)
    assert worker.finished().reason is Reason.EXIT
    worker.send(cancel(first, grace=0))
    job = worker.start("echo up; read line < fifo; exit 5", cwd=fifo(worker))
    worker.says(job, "up")
    worker.send(cancel(first, 0), messages.End(job.lease + 1, Reason.CANCELLED, 0))
    worker.send(messages.Ack(first.lease))
    (worker.home / "fifo").write_text("go on\n")
    end = worker.finished()
    assert (end.lease, end.reason, end.exit_code) == (job.lease, Reason.EXIT, 5)


def test_an_end_that_comes_too_late(worker: WorkerHarness) -> None:
    """A run that ended by itself before the end arrived tells its own end."""
    job = worker.start("echo up; read line < fifo; exit 5", cwd=fifo(worker))
    worker.says(job, "up")
    record = worker.record()
    assert record is not None
    main = record.job_pid
    assert main is not None
    # Both wait for the worker: the job's end, and the daemon's wish.
    worker.signal(signal.SIGSTOP)
    (worker.home / "fifo").write_text("go on\n")
    waiting.until(lambda: (p := procfs.process(main)) and not p.alive, "the job's end")
    worker.send(cancel(job))
    worker.signal(signal.SIGCONT)
    end = worker.finished()
    assert (end.reason, end.exit_code) == (Reason.EXIT, 5)


def fifo(worker: WorkerHarness) -> str:
    """Make a fifo that a job can wait on; return the directory it is in."""
    os.mkfifo(worker.home / "fifo")
    return str(worker.home)


# Everything the job started


FAMILY = """
import os, time
def hold(name):
    print(name, flush=True)
    time.sleep(600)
if os.fork() == 0:                      # a child in the job's own group
    hold("child")
if os.fork() == 0:                      # a child in a session of its own
    os.setsid()
    hold("setsid")
if os.fork() == 0:                      # a double fork, as daemons do it
    os.setsid()
    if os.fork() == 0:
        os.environ.clear()
        os.execve("/bin/sh", ["sh", "-c", "echo daemon; exec sleep 600"], {})
    os._exit(0)
hold("main")
"""


def started_family(worker: WorkerHarness, script: str = FAMILY) -> messages.RunJob:
    job = worker.start(python(script))
    for name in ("main", "child", "setsid", "daemon"):
        worker.says(job, name)
    return job


@pytest.mark.parametrize("grace", [60, 0])
def test_whole_family_is_ended(worker: WorkerHarness, grace: float) -> None:
    """Children, own sessions and double forks end with the run, before it is told."""
    job = started_family(worker)
    assert len(worker.processes()) == 4
    worker.send(cancel(job, grace))
    end = worker.finished()
    assert (end.reason, end.signal) == (Reason.CANCELLED, 15 if grace else 9)
    assert worker.processes() == []
    assert worker.zombies() == []


def test_family_is_ended_on_timeout(worker: WorkerHarness) -> None:
    """A timeout reaches everything the job started, too."""
    job = worker.job(python(FAMILY), timeout=1.5)
    worker.send(job)
    assert worker.finished().reason is Reason.TIMEOUT
    assert worker.processes() == []


def test_what_a_job_left_behind(worker: WorkerHarness) -> None:
    """Processes that outlive the main process are ended, and the owner is told."""
    script = FAMILY.replace('hold("main")', "os._exit(4)")
    end = worker.run(python(script))
    assert (end.reason, end.exit_code) == (Reason.EXIT, 4)
    assert end.message == "ended 3 processes that it left behind"
    assert worker.processes() == []


def test_what_a_job_left_behind_and_ignores_sigterm(worker: WorkerHarness) -> None:
    """They get the grace, then SIGKILL; the run's own end is what is told."""
    script = "trap '' TERM; (while :; do sleep 0.01; done) & exit 0"
    end = worker.run(script, kill_grace=SHORT)
    assert (end.reason, end.exit_code) == (Reason.EXIT, 0)
    assert "left behind" in (end.message or "")
    assert worker.processes() == []


def test_cancel_while_leftovers_are_ended(worker: WorkerHarness) -> None:
    """A cancel then only makes it faster: the job had ended by itself."""
    script = "trap '' TERM; (while :; do sleep 0.01; done) & echo up; exit 3"
    job = worker.start(script, kill_grace=600)
    worker.says(job, "up")
    main = main_of(worker)
    waiting.until(lambda: procfs.process(main) is None, "the main process to be reaped")
    worker.send(cancel(job, grace=0))
    end = worker.finished()
    assert (end.reason, end.exit_code) == (Reason.EXIT, 3)


def test_what_ends_a_moment_later_is_left_in_peace(worker: WorkerHarness) -> None:
    """A process that ends right after its parent is no leftover to speak of."""
    job = worker.start("{ read x; sleep 0.02; echo $x; } < fifo & echo in > fifo",
                         cwd=fifo(worker))  # fmt: skip
    end = worker.finished()
    assert (end.exit_code, end.message) == (0, None)
    assert worker.output(job) == "in\n"


def main_of(worker: WorkerHarness) -> int:
    record = worker.record()
    assert record is not None
    assert record.job_pid is not None
    return record.job_pid


COUNTER = """
import os, signal, time
for own_session in (False, True):
    if os.fork() == 0:
        break
else:
    own_session = None
if own_session:
    os.setsid()
signal.signal(signal.SIGTERM, lambda *_: print("TERM", own_session, flush=True))
print("up", flush=True)
while True:
    time.sleep(0.01)
"""


def test_sigterm_comes_once(worker: WorkerHarness) -> None:
    """Programs take a second SIGTERM for impatience, so each process gets one."""
    job = worker.start(python(COUNTER))
    waiting.until(lambda: worker.output(job).count("up") == 3, "three processes")
    worker.send(cancel(job, grace=SHORT))
    worker.finished()
    lines = sorted(worker.output(job).split("\n"))
    assert [line for line in lines if "TERM" in line] == [
        "TERM False", "TERM None", "TERM True",
    ]  # fmt: skip


def test_a_stopped_job_can_still_clean_up(worker: WorkerHarness) -> None:
    """SIGTERM reaches a stopped job because it is made to go on."""
    job = worker.start("trap 'echo bye; exit 0' TERM; echo up; kill -STOP $$; sleep 9")
    main = main_of(worker)
    waiting.until(lambda: (p := procfs.process(main)) and p.state == "T", "the stop")
    worker.send(cancel(job))
    assert worker.finished().exit_code == 0
    assert worker.output(job) == "up\nbye\n"


# Jobs that resist


def test_job_that_forks_for_ever(worker: WorkerHarness) -> None:
    """More and more processes: none is left when the end is told."""
    job = worker.start("trap '' TERM; while :; do sleep 600 & done")
    waiting.until(lambda: len(worker.processes()) > 50, "a crowd")
    worker.send(cancel(job, grace=0))
    assert worker.finished().reason is Reason.CANCELLED
    assert worker.processes() == []


RUNNER = """
import os, time
if os.fork():
    time.sleep(600)
print("up", flush=True)
while True:
    if os.fork():
        os._exit(0)
    {escape}
"""


@pytest.mark.parametrize("escape", ["pass", "os.setsid()"])
def test_job_that_runs_away(worker: WorkerHarness, escape: str) -> None:
    """A process that forks and exits, again and again, is caught on the run."""
    job = worker.start(python(RUNNER.format(escape=escape)))
    worker.says(job, "up")
    worker.send(cancel(job, grace=0))
    assert worker.finished().reason is Reason.CANCELLED
    assert worker.processes() == []


def test_job_that_kills_its_own_group(worker: WorkerHarness) -> None:
    """It ends itself and nobody else."""
    end = worker.run("kill -TERM 0; sleep 600")
    assert (end.reason, end.signal) == (Reason.SIGNAL, 15)
    assert worker.run("true").exit_code == 0


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "QUIT"])
def test_job_that_signals_its_worker(worker: WorkerHarness, name: str) -> None:
    """A job cannot interrupt itself for ever by sending signals to its worker."""
    job = worker.start(f"kill -{name} $PPID; kill -{name} -- -$PPID; exit 6")
    end = worker.finished()
    assert (end.reason, end.exit_code) == (Reason.EXIT, 6)
    if name in {"TERM", "QUIT"}:
        assert worker.troubles[0].lease == job.lease
        assert f"ignores SIG{name}" in worker.troubles[0].message
    assert worker.run("true").exit_code == 0


def test_job_that_removes_its_cwd(worker: WorkerHarness, tmp_path: Path) -> None:
    """Neither that job nor the next one is troubled by it."""
    (tmp_path / "here").mkdir()
    job = worker.start('rmdir "$PWD"; echo $?', cwd=str(tmp_path / "here"))
    assert worker.finished().exit_code == 0
    assert worker.output(job) == "0\n"
    assert worker.run("true").exit_code == 0


def test_job_that_closes_its_outputs(worker: WorkerHarness) -> None:
    """Closed outputs are no sign of an end."""
    end = worker.run("exec >&- 2>&-; sleep 0.1; exit 3")
    assert (end.reason, end.exit_code) == (Reason.EXIT, 3)


def test_job_that_deletes_its_outputs(worker: WorkerHarness) -> None:
    """The sizes are those of the files that it wrote to."""
    end = worker.run(f"echo hello; rm -r {worker.output_dir}/*; exit 3")
    assert (end.reason, end.exit_code, end.stdout_bytes) == (Reason.EXIT, 3, 6)


def test_orphans_are_reaped_while_the_job_runs(worker: WorkerHarness) -> None:
    """What double-forks and ends leaves no zombie, however long the job runs."""
    script = "for i in $(seq 50); do (true & ); done; echo up; exec sleep 600"
    job = worker.start(script)
    worker.says(job, "up")
    waiting.until(lambda: not worker.zombies(), "every orphan to be reaped")
    worker.send(cancel(job))
    worker.finished()


# Output limit


def test_output_limit(worker: WorkerHarness) -> None:
    """A run that writes too much is ended and told so."""
    end = worker.run("exec yes", output_limit=1 << 20)
    assert (end.reason, end.signal) == (Reason.OUTPUT_LIMIT, 15)
    assert end.message == "wrote more than 1.0 MiB of output; ended with SIGTERM"
    assert end.stdout_bytes is not None
    assert end.stdout_bytes > 1 << 20


def test_output_limit_counts_both_streams(worker: WorkerHarness) -> None:
    """Both together count, not each for itself."""
    script = "head -c 600 /dev/zero; head -c 600 /dev/zero >&2; exec sleep 600"
    assert worker.run(script, output_limit=1000).reason is Reason.OUTPUT_LIMIT


def test_output_under_the_limit(worker: WorkerHarness) -> None:
    """A run within its limit is left alone when it is looked at."""
    end = worker.run("head -c 1000 /dev/zero; exec sleep 1.1", output_limit=1000)
    assert (end.reason, end.exit_code, end.stdout_bytes) == (Reason.EXIT, 0, 1000)
