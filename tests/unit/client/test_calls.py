"""Every method: what it asks the daemon, and what it makes of the answer."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from queuectl import models
from queuectl.calls import config, daemon, dlq, enqueue, jobs, output, queue, workers
from queuectl.calls.call import Call
from queuectl.errors import (
    CurrentDirectoryError,
    ProtocolViolationError,
    WaitTimeoutError,
)
from queuectl_protocol.vocabulary import JobState, Reason

JOB: dict[str, Any] = {
    "id": "7",
    "command": ["cp", "a", "b"],
    "state": "completed",
    "attempts": 1,
    "max_retries": 3,
    "created_at": "2026-12-01T10:00:00.250Z",
    "updated_at": "2026-12-01T10:00:01.000Z",
    "run_at": None,
    "priority": 0,
    "timeout": 300,
    "queue": "default",
    "reason": "exit",
    "exit_code": 0,
    "runs": 1,
    "something_new": {"of": "a newer daemon"},
}


@pytest.mark.parametrize(
    ("call", "method", "params"),
    [
        (queue.ping(), "ping", {}),
        (jobs.get("7", env=True), "get", {"id": "7", "env": True}),
        (jobs.list_(), "list", {"limit": 1000}),
        (jobs.list_("dead", limit=20), "list", {"state": "dead", "limit": 20}),
        (jobs.list_(["dead"], limit=20), "list", {"state": "dead", "limit": 20}),
        (
            jobs.list_(("dead", "failed")),
            "list",
            {"states": ["dead", "failed"], "limit": 1000},
        ),
        (jobs.cancel("7"), "cancel", {"id": "7", "wait": True}),
        (dlq.retry("7"), "retry", {"id": "7", "if_state": "dead"}),
        (jobs.start("7"), "start", {"id": "7"}),
        (jobs.delete("7", if_state="dead"), "delete", {"id": "7", "if_state": "dead"}),
        (
            jobs.cancel_many(["7", "8"], wait=False)[0],
            "cancel_many",
            {"ids": ["7", "8"], "wait": False},
        ),
        (
            dlq.delete_many(["7"])[0],
            "delete_many",
            {"ids": ["7"], "if_state": "dead"},
        ),
        (jobs.wait("7"), "wait", {"id": "7"}),
        (
            jobs.wait("7", timedelta(minutes=1)),
            "wait",
            {"id": "7", "timeout": 60.0},
        ),
        (jobs.prune(), "prune", {"older_than": 0}),
        (
            dlq.purge(older_than=timedelta(days=1)),
            "prune",
            {"states": ["dead"], "older_than": 86400.0},
        ),
        (
            output.logs("7", "stderr", tail=10),
            "logs.read",
            {"id": "7", "stream": "stderr", "tail": 10, "limit": 1048576},
        ),
        (
            output.follow("7", run=2, streams=["stdout"]),
            "logs.follow",
            {"id": "7", "run": 2, "streams": ["stdout"]},
        ),
        (queue.stats(3600), "stats", {"since": 3600}),
        (
            config.set_("timeout", "5m"),
            "config.set",
            {"key": "timeout", "value": "5m"},
        ),
        (
            workers.start(2, bound=True),
            "workers.start",
            {"count": 2, "bound": True},
        ),
        (
            workers.stop(numbers=[1]),
            "workers.stop",
            {"now": False, "workers": [1]},
        ),
        (
            workers.stop(timeout=2, count=3),
            "workers.stop",
            {"timeout": 2.0, "now": False, "count": 3},
        ),
        (
            workers.scale(0, now=True),
            "workers.scale",
            {"count": 0, "now": True},
        ),
        (daemon.stop(now=True), "daemon.stop", {"now": True}),
    ],
)
def test_arguments_become_parameters(
    call: Call[Any], method: str, params: dict[str, Any]
) -> None:
    """What is not said is not sent."""
    assert (call.method, call.params) == (method, params)


def test_a_job_takes_what_it_lacks_from_what_is_inherited() -> None:
    """Options win over the caller's directory and mask."""
    call = enqueue.enqueue(
        {"command": "x", "cwd": "/srv"}, {"cwd": "/", "umask": "0022"}, "error"
    )
    assert call.params == {
        "job": {"command": "x", "cwd": "/srv", "umask": "0022"},
        "if_exists": "error",
    }


def test_a_job_is_read_with_its_types() -> None:
    """Times are aware, words are of their enumerations, new keys are ignored."""
    job = jobs.get("7", env=False).read({"job": JOB})
    assert job.created_at == datetime(2026, 12, 1, 10, 0, 0, 250_000, UTC)
    assert job.command == ("cp", "a", "b")
    assert job.state is JobState.COMPLETED
    assert job.reason is Reason.EXIT
    assert job.run_at is None
    assert job.is_final


def test_a_word_of_a_newer_daemon_stays_as_it_is() -> None:
    """A state that this version does not know does not break a listing."""
    job = models.Job.from_wire({**JOB, "state": "paused"})
    assert job.state == "paused"
    assert not job.is_final


def test_a_reason_of_a_newer_daemon_stays_as_it_is() -> None:
    """Neither in a job nor in an attempt does it break anything."""
    job = models.Job.from_wire({**JOB, "reason": "eclipse"})
    attempt = models.Attempt.from_wire({"run": 1, "lease": 2, "reason": "eclipse"})
    assert (job.reason, attempt.reason) == ("eclipse", "eclipse")


def test_limits_are_read() -> None:
    """A daemon that does not know them tells of a job that has none."""
    told = {"nice": 5, "memory_max": 1 << 30, "cpu_quota": 12.5, "rlimits": {"cpu": 9}}
    job = models.Job.from_wire({**JOB, **told})
    assert (job.nice, job.memory_max, job.cpu_quota) == (5, 1 << 30, 12.5)
    assert (job.tasks_max, job.rlimits) == (0, {"cpu": 9})
    older = models.Job.from_wire(JOB)
    assert (older.nice, older.memory_max, older.rlimits) == (0, 0, {})


def test_what_a_daemon_can_enforce_is_read() -> None:
    """None of a daemon from before there were limits."""
    told = {
        **dict.fromkeys(("pid", "connections", "rss"), 1),
        **dict.fromkeys(("version", "socket", "state_dir", "instance"), "x"),
        "uptime": 1.5,
        "started_at": "2026-12-01T10:00:00.250Z",
        "draining": False,
        "workers": {"active": 1, "busy": 0, "wanted": 1},
    }
    limits = {"controllers": ["memory"], "missing": "why"}
    found = daemon.status().read({**told, "limits": limits})
    assert found.limits == models.Enforced(("memory",), "why")
    assert daemon.status().read(told).limits is None


@pytest.mark.parametrize("result", [None, {}, {"job": {}}, {"job": {"id": "7"}}, 7])
def test_a_reply_that_is_not_as_specified_is_the_daemons_fault(result: Any) -> None:
    """It is no KeyError in the caller's face."""
    with pytest.raises(ProtocolViolationError, match="reply to get"):
        jobs.get("7", env=False).read(result)


def test_a_wait_that_ran_out_is_a_timeout() -> None:
    """It tells the state the job is in."""
    reply = {"job": {**JOB, "state": "processing"}, "timed_out": True}
    with pytest.raises(WaitTimeoutError, match="still processing") as caught:
        jobs.wait("7", 1).read(reply)
    assert caught.value.data == {"id": "7", "state": "processing"}


def test_a_listing_goes_on_until_there_is_no_next() -> None:
    """Each page asks for the one after it."""
    first = jobs.list_("dead").read({"jobs": [JOB], "next": 41})
    assert first.following is not None
    assert first.following.params == {"state": "dead", "limit": 1000, "before": 41}
    assert first.following.read({"jobs": [], "next": None}).following is None


def test_a_limited_listing_asks_for_what_is_left() -> None:
    """And for no page when nothing is."""
    first = jobs.list_(limit=3).read({"jobs": [JOB, JOB], "next": 41})
    assert first.following is not None
    assert first.following.params == {"limit": 1, "before": 41}
    assert first.following.read({"jobs": [JOB], "next": 40}).following is None


def test_logs_go_on_to_the_size_they_had() -> None:
    """In the same run, though the job may have another one by now."""
    first = output.logs("7").read(
        {"run": 2, "data": b"ab", "offset": 0, "next": 2, "size": 3}
    )
    assert first.items == (b"ab",)
    assert first.following is not None
    assert first.following.params == {
        "id": "7",
        "stream": "stdout",
        "run": 2,
        "offset": 2,
        "limit": 1048576,
    }
    last = first.following.read(
        {"run": 2, "data": b"c", "offset": 2, "next": 3, "size": 3}
    )
    assert last.following is None


def test_the_logs_of_a_job_that_never_ran_are_empty() -> None:
    """There is nothing to yield and nothing to ask for."""
    part = output.logs("7").read(
        {"run": None, "data": b"", "offset": 0, "next": 0, "size": 0}
    )
    assert (part.items, part.following) == ((), None)


def test_events_that_are_not_known_are_skipped() -> None:
    """A newer daemon may tell more."""
    event = output.follow("7").event
    assert event({"type": "attempt", "run": 1}) == models.AttemptStarted(1)
    assert event({"type": "data", "run": 1, "stream": "stdout", "offset": 0,
                  "data": b"x"}) == models.Output(1, "stdout", 0, b"x")  # fmt: skip
    gone = {"type": "gone", "run": 1, "stream": "stderr", "size": 9}
    assert event(gone) == models.OutputGone(1, "stderr", 9)
    cut = {**gone, "left": 4}
    assert event(cut) == models.OutputGone(1, "stderr", 9, left=4)
    assert event({"type": "weather"}) is None


def test_nested_values_have_their_types_too() -> None:
    """Spreads in statistics, counts of workers in a status."""
    spread = {"count": 1, "average": 1.0, "p50": 1, "p95": 1, "p99": 1}
    counts = dict.fromkeys(
        ["completed", "dead", "cancelled", "failed_attempts", "retries", "lost"], 0
    )
    stats = queue.stats().read(
        {
            "since": None,
            "minutes": 1,
            "success_rate": None,
            "per_minute": 0,
            "run": spread,
            "wait": None,
            **counts,
        }
    )
    assert stats.run == models.Spread(1, 1.0, 1, 1, 1)
    assert stats.wait is None
    status = queue.status().read(
        {**dict.fromkeys(JobState, 0), "workers": {"active": 2, "busy": 1}}
    )
    assert status.workers == models.WorkerCounts(2, 1)


def test_attempts_go_on_with_earlier_ones() -> None:
    """The daemon tells the last ones first, and all are returned, oldest first."""
    first = jobs.attempts("7")
    assert first.params == {"id": "7"}
    reply = {"attempts": [{"run": 2, "lease": 5}], "attempts_next": 1501}
    part = first.read(reply)
    assert part.items == ()
    assert part.following is not None
    assert part.following.params == {"id": "7", "attempts_before": 1501}
    reply = {"attempts": [{"run": 1, "lease": 4}], "attempts_next": None}
    last = part.following.read(reply)
    assert [attempt.run for attempt in last.items] == [1, 2]
    assert last.following is None


def test_an_older_daemon_tells_all_attempts_at_once() -> None:
    """It has no parts."""
    part = jobs.attempts("7").read({"attempts": [{"run": 1, "lease": 4}]})
    assert ([attempt.run for attempt in part.items], part.following) == ([1], None)


def test_many_ids_become_several_requests() -> None:
    """Each has as many as the daemon takes; one id is not taken for many."""
    sizes = [len(call.params["ids"]) for call in jobs.retry_many(map(str, range(2001)))]
    assert sizes == [1000, 1000, 1]
    with pytest.raises(TypeError, match="not one id"):
        jobs.retry_many("7")


def test_a_backup_in_a_directory_that_is_gone_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path leads nowhere then, and the error is queuectl's own."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(CurrentDirectoryError):
        queue.backup("copy.db")


def test_what_waits_is_read_where_it_is_told() -> None:
    """Ready and delayed are None from a daemon of before they were told."""
    states = dict.fromkeys(
        ("pending", "processing", "completed", "failed", "dead", "cancelled"), 4
    )
    told = {**states, "workers": {"active": 1, "busy": 0}, "draining": False}
    older = queue.status().read(told)
    assert (older.pending, older.ready, older.delayed) == (4, None, None)
    found = queue.status().read({**told, "ready": 3, "delayed": 5})
    assert (found.ready, found.delayed) == (3, 5)
