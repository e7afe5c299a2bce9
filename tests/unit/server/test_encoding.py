"""Jobs, attempts and the rest in the form that travels."""

import pytest

from helpers.jobs import NOW, a_job, an_end
from queuectl_protocol import packing
from queuectl_protocol.units import format_time
from queuectl_protocol.vocabulary import JobState, Reason
from queuectld.core import histogram, statistics
from queuectld.core.job import Attempt
from queuectld.core.limits import RLIMITS, Limits, Means
from queuectld.core.settings import SETTINGS
from queuectld.server import encoding


def test_a_job_has_the_documented_form() -> None:
    """Times are RFC 3339, the umask is octal, whole numbers are whole."""
    job = a_job(JobState.DEAD, umask=0o22, timeout=300.0, command=("a", "b c"))
    told = packing.unpack(packing.pack(encoding.job(job)))
    assert told == {
        "id": "7",
        "command": ["a", "b c"],
        "state": "dead",
        "attempts": 1,
        "max_retries": 0,
        "created_at": format_time(NOW - 60_000),
        "updated_at": format_time(NOW - 60_000),
        "run_at": None,
        "priority": 0,
        "timeout": 300,
        "backoff_base": 2,
        "backoff_max": 3600,
        "backoff_jitter": 0,
        "output_limit": 0,
        "cwd": None,
        "umask": "0022",
        "queue": "default",
        "exit_code": 1,
        "signal": None,
        "reason": "exit",
        "message": None,
        "worker": 2,
        "started_at": format_time(NOW - 9_000),
        "finished_at": format_time(NOW - 8_000),
        "label": None,
        "submitter": None,
        "runs": 1,
        "cancel_requested": False,
        "nice": 0,
        "memory_max": 0,
        "cpu_quota": 0,
        "tasks_max": 0,
        "rlimits": {},
        "shell": None,
        "foreground": False,
        "expires": None,
    }
    assert isinstance(told["timeout"], int)


def test_limits_of_a_job_are_told_one_by_one() -> None:
    """Flat fields, and resource limits as a map; infinity is -1."""
    limited = Limits(-5, 1 << 30, 50.0, 64, (("core", -1), ("nofile", 1024)))
    told = packing.unpack(packing.pack(encoding.job(a_job(limits=limited))))
    assert (told["nice"], told["memory_max"], told["tasks_max"]) == (-5, 1 << 30, 64)
    assert (told["cpu_quota"], type(told["cpu_quota"])) == (50, int)
    assert told["rlimits"] == {"core": -1, "nofile": 1024}


@pytest.mark.parametrize(
    ("controllers", "missing"),
    [(set(), "why not"), ({"memory"}, "why not"), ({"cpu", "memory", "pids"}, None)],
    ids=["none", "some", "all"],
)
def test_what_jobs_can_be_held_to(controllers: set[str], missing: str | None) -> None:
    """The controllers in order, and why there are not all of them."""
    told = encoding.means(Means(frozenset(controllers), "why not"))
    assert told == {"controllers": sorted(controllers), "missing": missing}


@pytest.mark.parametrize("ms", [0, 1, 999, 1000, NOW, NOW + 1, NOW + 999])
def test_times_are_those_of_the_protocol(ms: int) -> None:
    """The quick way to write a time gives the same as the plain one."""
    assert encoding.time(ms) == format_time(ms)


@pytest.mark.parametrize(
    "command",
    ["x" * 100_000, "\U0001f600" * 10_000, ("",) * 10_000, "\udcff" * 1000],
)
def test_a_jobs_weight_is_never_too_little(command: str | tuple[str, ...]) -> None:
    """What a page reserves for a job is at least what it takes."""
    job = a_job(
        JobState.DEAD,
        command=command,
        name="n" * 128,
        label="é" * 256,
        cwd="/" * 4096,
        message="m" * 300,
        output_limit=2**50,
        limits=Limits(-20, 2**50, 99.9, 2**22, tuple((n, 2**63 - 1) for n in RLIMITS)),
        priority=-1_000_000,
        max_retries=1_000_000,
        timeout=0.1,
        backoff_base=1.1,
        backoff_max=0.1,
        backoff_jitter=0.1,
        run_at=NOW,
        expires=NOW,
        umask=0o22,
        signal=9,
        worker=2**40,
        submitter=2**32 - 2,
        attempts=1_000_000,
        runs=10**9,
        reason=Reason.OUTPUT_LIMIT,
    )
    assert len(packing.pack(encoding.job(job))) <= encoding.weight(job)


def test_a_running_attempt_has_no_end() -> None:
    """Everything that is known only afterwards is null."""
    told = encoding.attempt(Attempt(1, 41, 2, NOW, None))
    assert told["started_at"] == format_time(NOW)
    known = {"run", "lease", "worker", "started_at"}
    assert all(value is None for key, value in told.items() if key not in known)


def test_a_finished_attempt_tells_how() -> None:
    """Zero is a value, not an absence."""
    end = an_end(Reason.EXIT, exit_code=0, stdout_bytes=0, user_ms=0)
    told = encoding.attempt(Attempt(1, 41, 2, NOW, end))
    assert told["finished_at"] == format_time(NOW - 10)
    assert (told["reason"], told["exit_code"], told["user_ms"]) == ("exit", 0, 0)
    assert told["stdout_bytes"] == 0
    assert told["signal"] is None


def test_an_attempts_weight_is_never_too_little() -> None:
    """What a reply reserves for an attempt is at least what it takes."""
    numbers = dict.fromkeys(
        ("max_rss", "user_ms", "system_ms", "stdout_bytes", "stderr_bytes"), 2**62
    )
    message = "é" * 300
    end = an_end(Reason.SPAWN_ERROR, message=message, memory_peak=2**62, **numbers)
    attempt = Attempt(10**9, 2**62, 2**40, NOW, end._replace(exit_code=255, signal=64))
    assert len(packing.pack(encoding.attempt(attempt))) <= encoding.attempt_weight(
        attempt
    )


def test_a_spread_of_nothing_is_null() -> None:
    """No percentiles are made up."""
    counts = {histogram.bucket(1000): 3}
    told = encoding.stats(
        statistics.summarize({"run": (counts, 3000)}, since=NOW, now=NOW + 60_000)
    )
    assert told["since"] == format_time(NOW)
    assert (told["run"]["count"], told["run"]["average"]) == (3, 1)
    assert told["wait"] is None


def test_a_setting_says_whether_it_was_set() -> None:
    """Even when it was set to its default."""
    setting = SETTINGS["timeout"]
    told = encoding.setting(setting, {"timeout": 300.0})
    assert (told["value"], told["is_default"]) == (300, False)
    assert encoding.setting(setting, {})["is_default"]
