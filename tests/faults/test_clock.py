"""The wall clock is set an hour forward or back while jobs wait and run.

Where one clock is enough it is an injected one. The whole daemon, workers included,
gets its wall clock from a file (``sitecustomize``, which every Python imports that
finds one), and the daemon alone from libfaketime, where that is installed: its workers
then live in another time than it does.
"""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from helpers import hindered
from helpers.asynchronous import asynchronous
from helpers.home import Home, a_home
from helpers.supervised import Supervised, supervised
from queuectl_protocol.vocabulary import JobState
from queuectld.control.scheduler import LONGEST_WAIT
from queuectld.core.job import Job

HOUR = 3600

# -- one queue, with an injected clock -------------------------------------------------


async def runs_at_last(one: Supervised, job: Job) -> bool:
    """Take a turn; return whether the job may run."""
    await one.turn()
    return (await one.desk.now(job)).due is True


@asynchronous
async def test_a_step_forward_is_noticed_within_a_minute(tmp_path: Path) -> None:
    """A job that the step makes due runs then, and not an hour later."""
    async with supervised(tmp_path) as one:
        job = await one.desk.enqueue(run_at=one.desk.clock.now + HOUR * 1000)
        due = await one.turn()
        assert due is not None
        assert due <= LONGEST_WAIT
        one.desk.clock.step(HOUR)
        assert await runs_at_last(one, job)


@asynchronous
async def test_a_step_back_starts_nothing_early(tmp_path: Path) -> None:
    """What was asked for at a time waits for that time, and is looked at each minute.

    So does a retry: its time is on disk, as a time.
    """
    async with supervised(tmp_path) as one:
        desk = one.desk
        asked = await desk.enqueue(run_at=desk.clock.now + 10_000)
        failed = await desk.in_state(JobState.PROCESSING, max_retries=3)
        failed = (await desk.finish(failed, exit_code=1)).job or failed
        assert failed.state is JobState.FAILED
        desk.clock.step(-HOUR)
        for _ in range(3):
            desk.clock.advance(LONGEST_WAIT)
            assert not await runs_at_last(one, asked)
            assert not await runs_at_last(one, failed)
            due = await one.turn()
            assert due is not None
            assert 0 < due <= LONGEST_WAIT
        desk.clock.step(HOUR)
        assert await runs_at_last(one, asked)
        assert await runs_at_last(one, failed)


@asynchronous
@pytest.mark.parametrize("step", [HOUR, -HOUR])
async def test_what_begins_after_a_step_counts_from_it(
    tmp_path: Path, step: int
) -> None:
    """A delay and a backoff last as long as usual, in the new time."""
    async with supervised(tmp_path) as one:
        desk = one.desk
        exact = {"max_retries": 3, "backoff_base": 2, "backoff_jitter": 0}
        job = await desk.in_state(JobState.PROCESSING, **exact)
        desk.clock.step(step)
        failed = (await desk.finish(job, exit_code=1)).job
        assert failed is not None
        assert failed.run_at == desk.clock.now + 2000
        delayed = await desk.enqueue(run_at=desk.clock.now + 5000)
        desk.clock.advance(1.9)
        assert not await runs_at_last(one, failed)
        desk.clock.advance(0.2)
        assert await runs_at_last(one, failed)
        assert not await runs_at_last(one, delayed)
        desk.clock.advance(3)
        assert await runs_at_last(one, delayed)


@asynchronous
async def test_no_figure_is_negative(tmp_path: Path) -> None:
    """A run that ends before its start, by the clock, has no negative duration."""
    async with supervised(tmp_path) as one:
        desk = one.desk
        await desk.enqueue(max_retries=0)
        desk.clock.step(-HOUR)
        job = (await desk.claim()).job
        desk.clock.step(-HOUR)
        done = (await desk.finish(job)).job
        assert done is not None
        assert done.state is JobState.COMPLETED
        stats = await desk.broker.stats(None)
        assert stats.completed == 1
        assert stats.minutes >= 1
        for spread in (stats.run, stats.wait):
            assert min(spread.average, spread.p50, spread.p95, spread.p99) >= 0


# -- the whole daemon ------------------------------------------------------------------

FROM_FILE = """
import time
_real = time.time_ns
def time_ns():
    try:
        with open({file!r}) as file:
            return _real() + int(file.read() or 0) * 1_000_000_000
    except OSError:
        return _real()
time.time_ns = time_ns
time.time = lambda: time_ns() / 1e9
"""

Step = Callable[[int], None]


@pytest.fixture
def home() -> Iterator[Home]:
    """A home in which nothing runs yet."""
    with a_home() as made:
        yield made


def everybodys(home: Home) -> Step:
    """Give every Python process in the home a settable clock; return its setter."""
    clock = home.root / "clock"
    (home.root / "sitecustomize.py").write_text(FROM_FILE.format(file=str(clock)))
    home.environ["PYTHONPATH"] = str(home.root)
    return lambda seconds: put(clock, str(seconds))


def the_daemons(home: Home) -> Step:
    """Give only the daemon that clock: workers do not inherit its environment."""
    clock = home.root / "clock"
    clock.write_text("+0s")
    home.environ |= {
        "LD_PRELOAD": libfaketime(),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    return lambda seconds: put(clock, f"{seconds:+}s")


def put(clock: Path, text: str) -> None:
    """Set a clock in one moment."""
    draft = clock.with_suffix(".new")
    draft.write_text(text)
    draft.rename(clock)


def libfaketime() -> str:
    """Return the path of the library, or skip."""
    program = shutil.which("faketime")
    if program is None:
        pytest.skip("faketime is not installed")
    asked = [program, "-f", "+0s", "printenv", "LD_PRELOAD"]
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    path = done.stdout.strip().split(":")[-1]
    # The one for programs with threads lies beside it.
    return path.replace("libfaketime.so", "libfaketimeMT.so")


def offset(home: Home) -> float:
    """Return how far the daemon's clock is off the true one, in seconds."""
    job = home.ask("enqueue", job={"command": "true", "delay": 10**6})["job"]
    created = datetime.fromisoformat(job["created_at"])
    return created.timestamp() - time.time()


@pytest.mark.parametrize(
    ("whose", "seconds"),
    # libfaketime makes a daemon slow: once is enough.
    [(everybodys, HOUR), (everybodys, -HOUR), (the_daemons, -HOUR)],
)
def test_a_step_neither_ends_a_run_nor_saves_one(
    home: Home, whose: Callable[[Home], Step], seconds: int
) -> None:
    """Timeouts use the monotonic clock, and so do clients that wait for a job."""
    step = whose(home)
    home.serve()
    home.ask("workers.start", count=2)
    gate = home.gate()
    job = home.enqueue("echo >running; read _ <gate", timeout=60)
    home.appears("running")
    step(seconds)
    assert abs(offset(home) - seconds) < 60
    with home.connect() as client:
        begun = time.monotonic()
        reply = client.call("wait", id=job, timeout=0.3)
        assert reply["timed_out"]
        assert 0.3 <= time.monotonic() - begun < 20
    assert home.job(job)["state"] == "processing"
    begun = time.monotonic()
    late = home.enqueue("sleep 600", timeout=0.5, max_retries=0)
    assert home.ended(late)["reason"] == "timeout"
    assert 0.5 <= time.monotonic() - begun < 20
    gate.open()
    assert home.ended(job)["state"] == "completed"
    (attempt,) = home.attempts(job)
    assert attempt["started_at"] <= attempt["finished_at"]
    newest, *_, oldest = home.ask("list")["jobs"]
    assert (newest["id"], oldest["id"]) == (late, job)


def test_jobs_go_on_through_steps_to_and_fro(home: Home) -> None:
    """Each job runs once, retries included, at any clock time."""
    step = everybodys(home)
    home.serve()
    home.ask("workers.start", count=2)
    for seconds in (HOUR, 0, -HOUR, 0, -HOUR, HOUR, 0):
        step(seconds)
        jobs = [home.enqueue("true") for _ in range(5)]
        flaky = home.enqueue(
            "[ $QUEUECTL_ATTEMPT -gt 1 ]", max_retries=1, backoff_max=0
        )
        assert [home.ended(job)["state"] for job in jobs] == ["completed"] * 5
        assert home.ended(flaky)["state"] == "completed"
        assert home.reasons(flaky) == ["exit", "exit"]
    stats = home.ask("stats")
    assert stats["completed"] == 7 * 6
    assert stats["lost"] == 0
    assert home.ask("daemon.status")["uptime"] >= 0
    assert min(stats["run"].values()) >= 0
    assert min(stats["wait"].values()) >= 0


def test_a_delayed_job_runs_when_its_time_has_come_by_a_step(home: Home) -> None:
    """The daemon needs no other event to wake up."""
    step = everybodys(home)
    hindered.serve(home, constants={"control.scheduler.LONGEST_WAIT": 0.1})
    home.ask("workers.start")
    job = home.enqueue("true", delay=HOUR / 2)
    assert home.job(job)["state"] == "pending"
    step(HOUR)
    assert home.ended(job)["state"] == "completed"
