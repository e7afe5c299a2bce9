"""How jobs look to people."""

from typing import Any

import pytest

from queuectl.cli.view import job_view, output, text, times
from queuectl_protocol import units
from queuectl_protocol.vocabulary import JobState

START = "2026-12-01T10:00:00.000Z"
NOW = times.seconds(START) + 90


def _at(seconds: float) -> str:
    return units.format_time(round((NOW + seconds) * 1000))


def _job(state: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": "12",
        "command": "make test",
        "state": state,
        "attempts": 1,
        "max_retries": 3,
        "created_at": START,
        "run_at": None,
        "priority": 0,
        "timeout": 300,
        "backoff_base": 2,
        "backoff_max": 3600,
        "output_limit": 0,
        "cwd": "/srv",
        "umask": "0022",
        "exit_code": None,
        "signal": None,
        "reason": None,
        "message": None,
        "worker": None,
        "started_at": None,
        "finished_at": None,
        "label": None,
        "submitter": 1000,
        "cancel_requested": False,
        **fields,
    }


RUNNING = {
    "run": 1,
    "worker": 3,
    "started_at": _at(-5),
    "finished_at": None,
    **dict.fromkeys(("reason", "exit_code", "signal", "message", "max_rss")),
    **dict.fromkeys(("user_ms", "system_ms", "stdout_bytes", "stderr_bytes")),
}


def _ended(state: str, reason: str, **fields: Any) -> dict[str, Any]:
    span = {"started_at": START, "finished_at": _at(-30)}
    return _job(state, reason=reason, **span, **fields)


@pytest.mark.parametrize(
    ("job", "detail"),
    [
        (_job("pending"), ""),
        (_job("pending", run_at=_at(3600)), "in 1h"),
        (_job("pending", run_at=_at(-5)), ""),
        (_job("processing", started_at=_at(-12)), "running 12s"),
        (
            _job("processing", started_at=_at(-12), cancel_requested=True),
            "running 12s, cancelling",
        ),
        (_ended("completed", "exit", exit_code=0), "took 1m"),
        (
            _ended("failed", "exit", exit_code=7, run_at=_at(4)),
            "exit 7, again in 4s",
        ),
        (_ended("failed", "lost", run_at=_at(-1)), "lost, again now"),
        (_ended("dead", "signal", signal=9), "SIGKILL"),
        (_ended("dead", "signal", signal=63), "signal 63"),
        (_ended("dead", "spawn_error"), "spawn error"),
        (_ended("cancelled", "cancelled"), ""),
    ],
)
def test_a_row_tells_what_matters_in_its_state(
    job: dict[str, Any], detail: str
) -> None:
    """When it runs, how long it has run, how it ended, when it runs again."""
    assert job_view.detail(job, NOW) == detail


@pytest.mark.parametrize(
    ("job", "sentence"),
    [
        (_ended("completed", "exit", exit_code=0), "12: completed"),
        (_ended("dead", "exit", exit_code=7), "12: dead (exit 7)"),
        (_ended("dead", "timeout"), "12: dead (timeout)"),
        (_ended("cancelled", "cancelled"), "12: cancelled"),
        (_job("pending"), "12: pending"),
        (_ended("pending", "cancelled"), "12: pending"),
    ],
)
def test_a_sentence_tells_the_reason_of_a_failure(
    job: dict[str, Any], sentence: str
) -> None:
    """The state, and the reason where the state does not say it."""
    assert job_view.sentence(job) == sentence


def test_an_argument_vector_is_shown_with_its_quotes() -> None:
    """What is shown can be pasted into a shell and means the same."""
    assert job_view.command(["rsync", "-a", "my dir"]) == "rsync -a 'my dir'"
    assert job_view.command("a | b") == "a | b"


def test_facts_leave_out_what_is_not_so() -> None:
    """A job that has not run has no result, no start and no worker."""
    facts = dict(job_view.facts(_job("pending"), now=NOW))
    assert facts["Created"].endswith("(1m ago)")
    assert facts["Output limit"] == "none"
    assert facts["Runs"] == "1 of at most 4"
    assert not facts["Result"] + facts["Started"] + facts["Worker"] + facts["Label"]


@pytest.mark.parametrize(
    ("fields", "limits", "rlimits"),
    [
        ({}, "", ""),
        ({"nice": 0, "memory_max": 0, "cpu_quota": 0, "rlimits": {}}, "", ""),
        (
            {"nice": -5, "memory_max": 1 << 29, "cpu_quota": 12.5, "tasks_max": 64},
            "memory 512.0 MiB, cpu 12.5%, 64 tasks, nice -5",
            "",
        ),
        (
            {"rlimits": {"core": -1, "cpu": 600, "fsize": 1024, "nofile": 0, "new": 7}},
            "",
            "core infinity, cpu 10m, fsize 1.0 KiB, nofile 0, new 7",
        ),
    ],
    ids=["from an older daemon", "none", "of the whole job", "of each process"],
)
def test_limits_are_shown_where_there_are_any(
    fields: dict[str, Any], limits: str, rlimits: str
) -> None:
    """With their units; what is 0 limits nothing."""
    facts = dict(job_view.facts(_job("pending", **fields), now=NOW))
    assert (facts["Limits"], facts["Rlimits"]) == (limits, rlimits)


def test_the_memory_of_all_processes_is_shown_beside_that_of_one() -> None:
    """Where the job had a cgroup; an older daemon does not tell."""
    names = [column.title for column in job_view.ATTEMPT_COLUMNS]
    place = names.index("PEAK")
    assert names[place - 1] == "MEMORY"
    ended = {**RUNNING, "reason": "oom", "max_rss": 1 << 20}
    assert job_view.attempt_row(ended, now=NOW)[place] == ""
    row = job_view.attempt_row({**ended, "memory_peak": 1 << 30}, now=NOW)
    assert row[place - 2 : place + 1] == ("", "1.0 MiB", "1.0 GiB")
    assert row[names.index("RESULT")] == "oom"


def test_rows_fit_their_columns() -> None:
    """Rows have a cell for each column, also of an attempt that still runs."""
    attempt = job_view.attempt_row(RUNNING, now=NOW)
    assert len(attempt) == len(job_view.ATTEMPT_COLUMNS)
    assert attempt[3] == "running 5s"
    assert len(job_view.row(_job("pending"), now=NOW)) == len(job_view.COLUMNS)


def test_every_state_has_its_colour() -> None:
    """No state is left without a style that exists."""
    assert set(output.STATE_STYLES) == set(JobState)
    assert set(output.STATE_STYLES.values()) <= set(text.SGR)
