"""The life of a job in the log of a real daemon."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from helpers.daemon import Daemon, a_daemon

SECRET = "hunter2"
"""Part of each job's command, environment and output."""

LIFE = {
    "job_enqueued", "attempt_started", "attempt_finished", "attempt_failed",
    "job_dead", "job_cancelled", "job_retried",
}  # fmt: skip


@pytest.fixture(scope="module")
def talkative() -> Iterator[Daemon]:
    """A daemon that logs all it can, as JSON, with one worker."""
    with a_daemon("--log-level", "debug", "--log-format", "json") as daemon:
        daemon.call("workers.start", count=1)
        yield daemon


def enqueue(daemon: Daemon, command: str, **fields: Any) -> str:
    command = f": {SECRET}; echo $PASSWORD; {command}"
    job = {"command": command, "env": {"PASSWORD": SECRET}, "backoff_max": 0}
    added = daemon.call("enqueue", job={**job, "max_retries": 0, **fields})
    job_id: str = added["job"]["id"]
    return job_id


def life(daemon: Daemon, job_id: str) -> list[dict[str, Any]]:
    """Return what the log tells of a job's life, in order, less the frame."""
    records = [json.loads(line) for line in daemon.log.read_text().splitlines()]
    return [
        {key: record[key] for key in record if key not in {"time", "logger"}}
        for record in records
        if record.get("job_id") == job_id and record["event"] in LIFE
    ]


def test_a_jobs_life_is_in_the_log(talkative: Daemon) -> None:
    """From enqueue to its end, with what a search needs, and no more."""
    job_id = enqueue(talkative, "true", label="mail")
    talkative.call("wait", id=job_id)
    added, started, finished = life(talkative, job_id)
    about = {"level": "debug", "job_id": job_id, "queue": "default"}
    assert added == {**about, "event": "job_enqueued", "state": "pending"}
    run = {key: started[key] for key in ("worker", "run", "lease")}
    assert (run["worker"], run["run"]) == (1, 1)
    assert run["lease"] > 0
    assert started == {
        **about, "event": "attempt_started", "state": "processing", **run
    }  # fmt: skip
    assert finished == {
        **about, "event": "attempt_finished", "state": "completed", **run,
        "reason": "exit", "exit_code": 0,
    }  # fmt: skip


def test_failures_are_told_to_the_operator(talkative: Daemon) -> None:
    """One that is tried again at info, with when; the last at warning."""
    job_id = enqueue(talkative, "exit 3", max_retries=1)
    talkative.call("wait", id=job_id)
    told = life(talkative, job_id)
    assert [(record["event"], record["level"]) for record in told] == [
        ("job_enqueued", "debug"),
        ("attempt_started", "debug"),
        ("attempt_failed", "info"),
        ("attempt_started", "debug"),
        ("job_dead", "warning"),
    ]
    failed, dead = told[2], told[4]
    assert (failed["state"], failed["exit_code"], failed["run"]) == ("failed", 3, 1)
    assert failed["next_run_at"].endswith("Z")
    assert (dead["state"], dead["exit_code"], dead["run"]) == ("dead", 3, 2)
    assert "next_run_at" not in dead


def test_a_signal_is_told(talkative: Daemon) -> None:
    """Instead of an exit code."""
    job_id = enqueue(talkative, "kill -9 $$")
    talkative.call("wait", id=job_id)
    dead = life(talkative, job_id)[-1]
    assert (dead["event"], dead["reason"], dead["signal"]) == ("job_dead", "signal", 9)
    assert "exit_code" not in dead


def test_cancel_and_retry_are_told(talkative: Daemon) -> None:
    """For a job that waits, one that runs, and many at once."""
    waits = enqueue(talkative, "true", run_at="2096-10-02T07:06:40Z")
    talkative.call("cancel", id=waits)
    added, cancelled = life(talkative, waits)
    assert added["next_run_at"] == "2096-10-02T07:06:40.000Z"
    assert (cancelled["event"], cancelled["state"]) == ("job_cancelled", "cancelled")
    runs = enqueue(talkative, "sleep 60; :")
    while not any(r["event"] == "attempt_started" for r in life(talkative, runs)):
        talkative.call("wait", id=runs, timeout=0.01)
    talkative.call("cancel", id=runs)
    talkative.call("wait", id=runs)
    told = [(record["event"], record["state"]) for record in life(talkative, runs)]
    assert told[2:] == [
        ("job_cancelled", "processing"),
        ("attempt_finished", "cancelled"),
    ]
    retried = talkative.call("retry_all", state="cancelled")
    assert retried == {"retried": 2, "skipped": 0}
    talkative.call("cancel", id=runs)
    assert [record["event"] for record in life(talkative, runs)][4] == "job_retried"
    talkative.call("wait", id=waits)
    told = [(record["event"], record["state"]) for record in life(talkative, waits)]
    assert told[2] == ("job_retried", "pending")
    assert told[-1] == ("attempt_finished", "completed")


def test_what_may_be_secret_is_not_told(talkative: Daemon) -> None:
    """No command, no environment and no output, at any level."""
    job_id = enqueue(talkative, "exit 1", label=SECRET, max_retries=1)
    talkative.call("wait", id=job_id)
    assert SECRET not in talkative.log.read_text()


def test_at_info_a_job_that_ends_well_is_not_told() -> None:
    """What is logged of it costs nothing; the one that dies is told."""
    with a_daemon("--log-format", "json") as daemon:
        daemon.call("workers.start", count=1)
        well = enqueue(daemon, "true")
        ill = enqueue(daemon, "exit 1")
        for job_id in (well, ill):
            daemon.call("wait", id=job_id)
        assert life(daemon, well) == []
        assert [record["event"] for record in life(daemon, ill)] == ["job_dead"]
