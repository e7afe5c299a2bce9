"""All processes that a job started end with it, even if they resist."""

import sys
from pathlib import Path

import pytest

from helpers import waiting
from helpers.worker_harness import WorkerHarness
from queuectl_protocol.vocabulary import Reason
from queuectld.linux import procfs
from queuectld.workers.shared import messages

SHORT = 0.3  # seconds of grace or timeout in tests that must see it pass


def python(script: str) -> tuple[str, ...]:
    """Return a command that runs ``script`` without Python's slower start-up."""
    return (sys.executable, "-I", "-S", "-c", script)


def cancel(job: messages.RunJob, grace: float = 60) -> messages.End:
    return messages.End(job.lease, Reason.CANCELLED, grace)


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
    """Children, own sessions and double forks end before the end is reported."""
    job = started_family(worker)
    assert len(worker.processes()) == 4
    worker.send(cancel(job, grace))
    end = worker.finished()
    assert (end.reason, end.signal) == (Reason.CANCELLED, 15 if grace else 9)
    assert worker.processes() == []
    assert worker.zombies() == []


def test_family_is_ended_on_timeout(worker: WorkerHarness) -> None:
    """A timeout ends all processes that the job started."""
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
    """Leftovers get the grace, then SIGKILL; the reason is the main process's own."""
    script = "trap '' TERM; (while :; do sleep 0.01; done) & exit 0"
    end = worker.run(script, kill_grace=SHORT)
    assert (end.reason, end.exit_code) == (Reason.EXIT, 0)
    assert "left behind" in (end.message or "")
    assert worker.processes() == []


def test_cancel_while_leftovers_are_ended(worker: WorkerHarness) -> None:
    """A cancel while leftovers end only speeds it up: the job had ended by itself."""
    script = "trap '' TERM; (while :; do sleep 0.01; done) & echo up; exit 3"
    job = worker.start(script, kill_grace=600)
    worker.says(job, "up")
    main = main_of(worker)
    waiting.until(lambda: procfs.process(main) is None, "the main process to be reaped")
    worker.send(cancel(job, grace=0))
    end = worker.finished()
    assert (end.reason, end.exit_code) == (Reason.EXIT, 3)


def test_what_ends_a_moment_later_is_left_in_peace(worker: WorkerHarness) -> None:
    """A process that ends right after its parent is not reported as a leftover."""
    job = worker.start("{ read x; sleep 0.02; echo $x; } < fifo & echo in > fifo",
                         cwd=worker.fifo())  # fmt: skip
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
    """Each process gets SIGTERM once: for many programs a second one means to hurry."""
    job = worker.start(python(COUNTER))
    waiting.until(lambda: worker.output(job).count("up") == 3, "three processes")
    worker.send(cancel(job, grace=SHORT))
    worker.finished()
    lines = sorted(worker.output(job).split("\n"))
    assert [line for line in lines if "TERM" in line] == [
        "TERM False", "TERM None", "TERM True",
    ]  # fmt: skip


def test_a_stopped_job_can_still_clean_up(worker: WorkerHarness) -> None:
    """A stopped job gets SIGCONT, so that it handles SIGTERM."""
    job = worker.start("trap 'echo bye; exit 0' TERM; echo up; kill -STOP $$; sleep 9")
    main = main_of(worker)
    waiting.until(lambda: (p := procfs.process(main)) and p.state == "T", "the stop")
    worker.send(cancel(job))
    assert worker.finished().exit_code == 0
    assert worker.output(job) == "up\nbye\n"


# Jobs that resist


def test_job_that_forks_for_ever(worker: WorkerHarness) -> None:
    """A job that forks without end is killed whole before its end is reported."""
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
    """A process that forks and exits, again and again, is killed."""
    job = worker.start(python(RUNNER.format(escape=escape)))
    worker.says(job, "up")
    worker.send(cancel(job, grace=0))
    assert worker.finished().reason is Reason.CANCELLED
    assert worker.processes() == []


def test_job_that_kills_its_own_group(worker: WorkerHarness) -> None:
    """A job that signals its process group ends itself alone."""
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
    """A job that removes its directory harms neither itself nor the next job."""
    (tmp_path / "here").mkdir()
    job = worker.start('rmdir "$PWD"; echo $?', cwd=str(tmp_path / "here"))
    assert worker.finished().exit_code == 0
    assert worker.output(job) == "0\n"
    assert worker.run("true").exit_code == 0


def test_job_that_closes_its_outputs(worker: WorkerHarness) -> None:
    """A job that closes its output goes on."""
    end = worker.run("exec >&- 2>&-; sleep 0.1; exit 3")
    assert (end.reason, end.exit_code) == (Reason.EXIT, 3)


def test_job_that_deletes_its_outputs(worker: WorkerHarness) -> None:
    """The sizes of removed output files are reported."""
    end = worker.run(f"echo hello; rm -r {worker.output_dir}/*; exit 3")
    assert (end.reason, end.exit_code, end.stdout_bytes) == (Reason.EXIT, 3, 6)


def test_orphans_are_reaped_while_the_job_runs(worker: WorkerHarness) -> None:
    """Processes that fork twice and exit are reaped while the job runs."""
    script = "for i in $(seq 50); do (true & ); done; echo up; exec sleep 600"
    job = worker.start(script)
    worker.says(job, "up")
    waiting.until(lambda: not worker.zombies(), "every orphan to be reaped")
    worker.send(cancel(job))
    worker.finished()
