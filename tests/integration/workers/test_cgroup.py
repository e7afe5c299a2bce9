"""A job's cgroup: it contains the whole job, ends with it, and is removed.

Here without controllers; the limits themselves are shown in tests/controllers.
"""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers import cgroups, waiting, worker_harness
from helpers.worker_harness import WorkerHarness
from queuectl_protocol.vocabulary import Reason
from queuectld.core.limits import INFINITY, Limits, Means
from queuectld.linux import procfs
from queuectld.workers.shared import cgroup, messages

ASTRAY = "setsid env -i sh -c 'sleep 1000 & sleep 1000 & echo there; wait' & wait"
"""A job some of whose processes have left its session and its environment."""


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[Path]:
    """The directory in which job cgroups are made."""
    mounts = tmp_path / "cgroup"
    mounts.mkdir()
    with cgroups.a_cgroup(mounts) as group:
        yield group
        left = [each.name for each in group.iterdir() if each.is_dir()]
    assert not [name for name in left if not name.endswith(".another")]


@pytest.fixture
def worker(tmp_path: Path, parent: Path) -> Iterator[WorkerHarness]:
    """A worker whose jobs have cgroups."""
    with worker_harness.worker(tmp_path, cgroup=str(parent)) as ready:
        yield ready


@pytest.fixture
def free(tmp_path: Path) -> Iterator[WorkerHarness]:
    """A worker whose jobs have none."""
    with worker_harness.worker(tmp_path) as ready:
        yield ready


def group_of(parent: Path, worker: WorkerHarness, job: messages.RunJob) -> Path:
    """Return a run's cgroup."""
    where = (worker.store, job.seq, job.run, job.lease)
    return Path(cgroup.path(str(parent), *where))


def output_of(worker: WorkerHarness, command: str, **say: object) -> str:
    """Run a command that succeeds and return its stdout."""
    job = worker.job(command, **say)
    worker.send(job)
    end = worker.finished()
    assert (end.reason, end.exit_code) == (Reason.EXIT, 0), end
    return worker.output(job).strip()


# -- the cgroup -----------------------------------------------------------------------


def test_a_job_is_born_in_its_own(worker: WorkerHarness, parent: Path) -> None:
    """A job starts in a cgroup of its own, which is removed after it."""
    job = worker.job("cat /proc/self/cgroup")
    worker.send(job)
    end = worker.finished()
    group = group_of(parent, worker, job)
    (line,) = [x for x in worker.output(job).splitlines() if x.startswith("0::")]
    assert line.endswith(f"/{parent.name}/{group.name}")
    assert not group.exists()
    assert (end.reason, end.exit_code) == (Reason.EXIT, 0)
    assert end.user_ms is not None
    assert end.memory_peak is None, "there is no memory controller here"


def test_all_of_a_job_is_in_it(worker: WorkerHarness, parent: Path) -> None:
    """Processes that left session and environment are in it, and end with it."""
    job = worker.start(ASTRAY)
    group = group_of(parent, worker, job)
    pids = waiting.until(
        lambda: len(found := cgroups.members(group)) == 4 and found, "four processes"
    )
    worker.send(messages.End(job.lease, Reason.CANCELLED, 0))
    assert worker.finished().reason is Reason.CANCELLED
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert not group.exists()


def test_what_another_user_runs_is_ended(worker: WorkerHarness, parent: Path) -> None:
    """Processes of another user are ended: cgroup.kill asks for no permission."""
    line = "exec setpriv --reuid 65534 sh -c 'trap \"\" TERM; echo; exec sleep 1000'"
    job = worker.start(line)
    group = group_of(parent, worker, job)
    waiting.until(lambda: worker.output(job), "it to ignore SIGTERM")
    worker.send(messages.End(job.lease, Reason.CANCELLED, 0.01))
    assert worker.finished().signal == signal.SIGKILL
    assert not group.exists()


def test_groups_below_it_go_as_well(worker: WorkerHarness, parent: Path) -> None:
    """Cgroups that a job makes below its own are removed with it."""
    job = worker.job(f"cd {parent}/job-* && mkdir -p a/b && echo $$ >a/b/cgroup.procs")
    worker.send(job)
    assert worker.finished().exit_code == 0
    assert not group_of(parent, worker, job).exists()


def test_groups_in_groups(worker: WorkerHarness, parent: Path) -> None:
    """Cgroups that a job nests are removed, as deep as a path can be."""
    job = worker.job(
        f"cd {parent}/job-* && mkdir -p $(yes a/ | head -700 | tr -d '\\n')"
    )
    worker.send(job)
    assert worker.finished().exit_code == 0
    assert not group_of(parent, worker, job).exists()


def test_a_stranger_in_it(worker: WorkerHarness, parent: Path) -> None:
    """A process that somebody moved into it does not outlive the job."""
    pid = os.posix_spawn("/bin/sleep", ["sleep", "1000"], {})
    job = worker.start("exec sleep 1000")
    group = group_of(parent, worker, job)
    (group / "cgroup.procs").write_text(str(pid))
    worker.send(messages.End(job.lease, Reason.CANCELLED, 5))
    assert worker.finished().reason is Reason.CANCELLED
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    assert not group.exists()


def test_a_cgroup_of_that_name(worker: WorkerHarness, parent: Path) -> None:
    """A cgroup of that name, from before a backup was restored, is replaced."""
    job = worker.job("true")
    group = group_of(parent, worker, job)
    (group / "below").mkdir(parents=True)
    worker.send(job)
    assert worker.finished().exit_code == 0
    assert not group.exists()


def test_without_room_for_a_cgroup_it_waits(
    worker: WorkerHarness, parent: Path
) -> None:
    """A job whose cgroup cannot be made waits, and the operator is told."""
    (parent / "cgroup.max.descendants").write_text("0")
    job = worker.job("true")
    worker.send(job)
    trouble = worker.receive(messages.Trouble)
    assert "cgroup of job" in trouble.message
    (parent / "cgroup.max.descendants").write_text("max")
    assert worker.finished().exit_code == 0


def test_a_daemon_finds_and_ends_what_is_left(
    worker: WorkerHarness, parent: Path
) -> None:
    """A daemon ends the cgroups that dead workers left, and none of another store."""
    job = worker.start(ASTRAY)
    group = group_of(parent, worker, job)
    pids = waiting.until(
        lambda: len(found := cgroups.members(group)) == 4 and found, "four processes"
    )
    other = parent / "job-1.1.1.another"
    other.mkdir()
    worker.signal(signal.SIGKILL)
    assert worker.exit_status() == -signal.SIGKILL
    assert cgroup.leases(str(parent), worker.store) == {job.lease: str(group)}
    cgroup.remove_all(str(parent), worker.store, {job.lease}, within=20)
    assert group.exists(), "it is kept"
    cgroup.remove_all(str(parent), worker.store, (), within=20)
    assert not group.exists()
    # Whoever reaps orphans here may take its time.
    found = [procfs.process(pid) for pid in pids]
    assert not [each for each in found if each and each.alive]
    assert other.exists()


# -- what a run starts with, with and without a cgroup --------------------------------


@pytest.fixture(params=["worker", "free"])
def either(request: pytest.FixtureRequest) -> WorkerHarness:
    """A worker with cgroups, and one without: they fork in different ways."""
    found: WorkerHarness = request.getfixturevalue(request.param)
    return found


SOME = Limits(nice=3, rlimits=(("nofile", 50), ("core", INFINITY)))


def test_nice_and_rlimits(either: WorkerHarness) -> None:
    """Niceness and limits, soft and hard, apply to this job alone."""
    line = "nice; ulimit -n; ulimit -Hn; ulimit -c"
    own = output_of(either, "nice; ulimit -n").splitlines()
    assert output_of(either, line, limits=SOME).splitlines() == [
        str(int(own[0]) + 3), "50", "50", "unlimited",
    ]  # fmt: skip
    assert output_of(either, "nice; ulimit -n").splitlines() == own


def test_a_limit_that_is_hit(either: WorkerHarness) -> None:
    """A job that exceeds a limit gets the kernel's signal."""
    limits = Limits(rlimits=(("cpu", 1),))
    end = either.run("while :; do :; done", limits=limits)
    assert (end.reason, end.signal) == (Reason.SIGNAL, signal.SIGKILL)
    assert end.message == "used up the 1s of processor time that it had"


def test_the_same_beginning(either: WorkerHarness, tmp_path: Path) -> None:
    """Directory, umask, signals, descriptors and session are as without limits."""
    line = (
        "pwd; umask; ls -l /proc/self/fd | grep -c pipe; grep Sig[BI] /proc/self/status"
        "; read _ && echo read; ps -o pid= -o sid= -p $$; echo err >&2"
    )
    say = {"cwd": str(tmp_path), "umask": 0o027}
    plain = output_of(either, line, **say).splitlines()
    forked = output_of(either, line, limits=SOME, **say).splitlines()
    assert plain[:-1] == forked[:-1]
    pid, session = forked[-1].split()
    assert pid == session


@pytest.mark.parametrize(
    ("command", "say"),
    [
        (("no-such-program",), {}),
        (("/no/such/program",), {}),
        (("/etc/passwd",), {}),
        ("true", {"cwd": "/no/such/directory"}),
        (("true", "x" * 2_000_000), {}),
    ],
)
def test_what_cannot_start(
    either: WorkerHarness,
    command: str | tuple[str, ...],
    say: dict[str, object],
) -> None:
    """The message about a failed start is that of a job without limits."""
    ends = [either.run(command, limits=limits, **say) for limits in (Limits(), SOME)]
    assert {end.reason for end in ends} == {Reason.SPAWN_ERROR}
    assert ends[0].message
    assert ends[1].message == ends[0].message


def test_a_limit_that_cannot_be_enforced(either: WorkerHarness) -> None:
    """A limit that cannot be enforced is an error of the job."""
    end = either.run("true", limits=Limits(memory_max=2**20))
    assert end.reason is Reason.SPAWN_ERROR
    assert end.message is not None
    assert end.message.startswith("memory_max cannot be enforced: ")
    assert either.run("true").exit_code == 0


def test_a_limit_that_nobody_expected_to_fail(tmp_path: Path, parent: Path) -> None:
    """A controller that is disabled later is an error of the job."""
    means = Means(controllers=frozenset({"pids"}))
    with worker_harness.worker(tmp_path, cgroup=str(parent), means=means) as worker:
        end = worker.run("true", limits=Limits(tasks_max=5))
    assert end.reason is Reason.SPAWN_ERROR
    assert end.message is not None
    assert "cannot set the limits of" in end.message
    assert not [each for each in parent.iterdir() if each.is_dir()]


@pytest.mark.parametrize(
    ("percent", "text"),
    [
        (150, "150000 100000"),
        (1, "1000 100000"),
        (0.5, "5000 1000000"),
        (0.01, "1000 1000000"),
    ],
)
def test_quotas(percent: float, text: str) -> None:
    """The kernel accepts a quota of at least 1 ms, and periods up to 1 s."""
    assert cgroup.cpu_max(percent) == text
