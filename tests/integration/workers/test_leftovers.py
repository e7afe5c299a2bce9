"""The processes that a dead worker's job left are killed, and no others."""

import contextlib
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers import waiting
from helpers.worker_harness import ENV, WorkerHarness
from queuectld.clock import SystemClock
from queuectld.linux import pidfd, procfs
from queuectld.linux.procfs import ProcessId
from queuectld.workers.daemon_side import leftovers
from queuectld.workers.daemon_side.leftovers import Leftovers, Traces
from queuectld.workers.shared import marker, outputs

CLOCK = SystemClock()


@pytest.fixture
def stranger() -> Iterator["Stranger"]:
    one = Stranger()
    yield one
    one.end()


class Stranger:
    """Processes that the test starts itself: some to be found, some to be spared."""

    def __init__(self) -> None:
        self.store = str(uuid.uuid4())
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, script: str, env: dict[str, str], **how: object) -> procfs.Process:
        """Start a script in a session of its own; wait until it prints that it runs."""
        started = subprocess.Popen(
            ["/bin/sh", "-c", script],
            env=ENV | env,
            stdout=subprocess.PIPE,
            start_new_session=True,
            **how,  # type: ignore[call-overload]
        )
        self._started.append(started)
        assert started.stdout is not None
        assert started.stdout.readline()
        found = procfs.process(started.pid)
        assert found is not None
        return found

    def traces(self, lease: int = 1, leader: ProcessId | None = None) -> Traces:
        """Return the traces of an attempt of this store."""
        return Traces(store=self.store, lease=lease, leader=leader)

    def mark(self, lease: int = 1) -> dict[str, str]:
        """Return the marker of a job of this store."""
        return {marker.NAME: marker.value(self.store, lease)}

    def alive(self, entry: procfs.Process) -> bool:
        """Whether a process still runs."""
        now = procfs.process(entry.pid)
        return now is not None and now.alive and now.id == entry.id

    def end(self) -> None:
        """End all of them."""
        for started in self._started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(started.pid, signal.SIGKILL)
            started.wait()
            assert started.stdout is not None
            started.stdout.close()


def kill(traces: Traces, within: float = waiting.DEADLINE) -> Leftovers:
    return leftovers.kill_leftovers(traces, within=within, clock=CLOCK)


def test_worker_that_was_killed(worker: WorkerHarness) -> None:
    """Processes of a killed worker's job are found by their marker."""
    script = (
        "trap '' TERM; setsid sleep 600 & (setsid sh -c 'sleep 600 & sleep 600' &);"
        " sleep 600 & echo up; sleep 600"
    )
    job = worker.start(script)
    worker.says(job, "up")
    waiting.until(lambda: len(worker.processes()) == 7, "seven processes")
    worker.signal(signal.SIGKILL)
    assert worker.exit_status() == -signal.SIGKILL
    assert len(worker.processes()) == 7
    found = kill(Traces(store=worker.store, lease=job.lease))
    assert len(found.ended) == 7
    assert found.left == ()
    assert worker.processes() == []


def test_job_that_forks_for_ever_without_its_worker(worker: WorkerHarness) -> None:
    """A job that forks without end is killed whole, also after its worker's death."""
    job = worker.start("echo up; while :; do sleep 600 & done")
    worker.says(job, "up")
    worker.signal(signal.SIGKILL)
    worker.exit_status()
    found = kill(Traces(store=worker.store, lease=job.lease))
    assert found.ended
    assert found.left == ()
    assert worker.processes() == []


def test_nothing_to_find(stranger: Stranger) -> None:
    """For an attempt that left no process, the search returns at once."""
    assert kill(stranger.traces()) == Leftovers(ended=(), left=())


@pytest.mark.parametrize("lease", ["9" * 5000, "-1", "\u0663", "x", ""])
def test_a_marker_that_is_none(stranger: Stranger, lease: str) -> None:
    """A marker that is no lease is ignored: any process can have one."""
    mark = {marker.NAME: f"{stranger.store}:{lease}"}
    stranger.start("echo up; sleep 600", mark)
    assert marker.leases(stranger.store) == set()


def test_marker_of_another_run(stranger: Stranger) -> None:
    """Leases are compared whole: 1 is not 12, and another store is another."""
    one = stranger.start("echo up; sleep 600", stranger.mark(lease=12))
    two = stranger.start(
        "echo up; sleep 600", {marker.NAME: marker.value(str(uuid.uuid4()), 1)}
    )
    three = stranger.start(
        "echo up; sleep 600", {"X": marker.variable(stranger.store, 1)}
    )
    assert kill(stranger.traces(lease=1)).ended == ()
    assert all(stranger.alive(entry) for entry in (one, two, three))
    assert kill(stranger.traces(lease=12)).ended[0].id == one.id


def test_cleared_environment_in_the_session(stranger: Stranger) -> None:
    """A process without the marker is found by its session while the leader lives."""
    entry = stranger.start("sleep 600 & echo up; wait", {})
    found = kill(stranger.traces(leader=entry.id))
    assert {p.session for p in found.ended} == {entry.pid}
    assert len(found.ended) == 2


def test_cleared_environment_beside_a_marked_process(stranger: Stranger) -> None:
    """Without the leader, one marked process shows that the session is the job's."""
    script = "env -i sleep 600 & sleep 600 & echo up"
    entry = stranger.start(script, stranger.mark())
    waiting.until(lambda: not stranger.alive(entry), "the leader's end")
    leader = ProcessId(entry.pid, entry.ticks)
    assert len(kill(stranger.traces(leader=leader)).ended) == 2


def test_session_number_that_was_used_again(stranger: Stranger) -> None:
    """A session whose leader is another process is spared."""
    entry = stranger.start("echo up; exec sleep 600", {})
    earlier = ProcessId(entry.pid, entry.ticks - 1)
    later = ProcessId(entry.pid, entry.ticks + 1)
    assert kill(stranger.traces(leader=earlier)).ended == ()
    assert kill(stranger.traces(leader=later)).ended == ()
    assert stranger.alive(entry)


def test_known_by_its_output(stranger: Stranger, tmp_path: Path) -> None:
    """A process without marker, session and parent is found by its output file."""
    file = tmp_path / outputs.path(str(tmp_path), 1, 1, 1, outputs.Stream.STDOUT)
    file.parent.mkdir()
    script = f"env -i setsid sleep 600 >>{file} & echo up"
    entry = stranger.start(script, {})
    waiting.until(lambda: not stranger.alive(entry), "the parent's end")
    traces = Traces(store=stranger.store, lease=1, outputs=(str(file),))
    (found,) = waiting.until(lambda: kill(traces).ended, "the process to be found")
    assert found.pid != entry.pid


def test_reader_of_the_output_is_spared(stranger: Stranger, tmp_path: Path) -> None:
    """A process that reads a job's output is spared."""
    file = tmp_path / "1.1.1.out"
    file.write_text("line\n")
    entry = stranger.start(f"exec tail -f {file}", {})
    traces = Traces(store=stranger.store, lease=1, outputs=(str(file),))
    assert kill(traces).ended == ()
    assert stranger.alive(entry)


def test_descendants_are_taken_along(stranger: Stranger) -> None:
    """A child without marker and session is found by its marked parent."""
    script = "env -i setsid sleep 600 & echo up; wait"
    stranger.start(script, stranger.mark())
    traces = stranger.traces()
    waiting.until(lambda: len(leftovers.find(traces)) == 2, "parent and child")
    assert len(kill(traces).ended) == 2
    assert leftovers.find(traces) == []


CALLER = """
import os, sys
from queuectld.clock import SystemClock
from queuectld.workers.daemon_side import leftovers
traces = leftovers.Traces(store=sys.argv[1], lease=1)
found = leftovers.kill_leftovers(traces, within=20, clock=SystemClock())
print(len(found.ended), len(found.left), flush=True)
"""


def test_caller_inside_the_job_is_spared(stranger: Stranger) -> None:
    """A daemon that a job started spares itself and its ancestors."""
    store = stranger.store
    done = subprocess.run(
        [
            "/bin/sh",
            "-c",
            '"$@"; echo alive',
            "sh",
            sys.executable,
            "-c",
            CALLER,
            store,
        ],
        env={**os.environ, **stranger.mark()},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "0 0\nalive\n"


def test_deadline(stranger: Stranger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that does not end in time is reported."""
    entry = stranger.start("echo up; exec sleep 600", stranger.mark())
    monkeypatch.setattr(signal, "pidfd_send_signal", lambda *_: None)
    found = kill(stranger.traces(), within=0.05)
    assert found.ended == ()
    assert [p.id for p in found.left] == [entry.id]


def test_not_ours_to_kill(stranger: Stranger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that runs as another user is reported at once."""

    def refuse(*_: object) -> None:
        raise PermissionError

    entry = stranger.start("echo up; exec sleep 600", stranger.mark())
    monkeypatch.setattr(signal, "pidfd_send_signal", refuse)
    found = kill(stranger.traces())
    assert found.ended == ()
    assert [p.id for p in found.left] == [entry.id]


def test_signal_for_an_earlier_process(stranger: Stranger) -> None:
    """A pid that belongs to another process now is not signalled."""
    entry = stranger.start("echo up; exec sleep 600", {})
    assert not pidfd.send(ProcessId(entry.pid, entry.ticks - 1), signal.SIGKILL)
    assert stranger.alive(entry)
    assert pidfd.send(entry.id, 0)


def test_signal_for_nobody() -> None:
    """A signal to a pid without a process is no error."""
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert not pidfd.send(ProcessId(gone.pid, 1), signal.SIGKILL)
