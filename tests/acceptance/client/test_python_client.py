"""Output, queue, workers and daemon with both clients, as one suite."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from helpers import waiting
from helpers.cli import Cli
from queuectl import errors
from queuectl_protocol import __version__

Connect = Callable[..., Any]

NEVER = {"delay": timedelta(days=1)}
FINAL = {"max_retries": 0}


def test_output_is_read_by_run_and_by_tail(q: Any) -> None:
    """In pieces, however much it is."""
    job = q.enqueue("seq 300000; exit $((QUEUECTL_ATTEMPT < 2))", backoff_max=0)
    q.wait(job.id)
    whole = b"".join(b"%d\n" % n for n in range(1, 300_001))
    pieces = list(q.logs(job.id, run=1))
    assert b"".join(pieces) == whole
    assert len(pieces) > 1
    assert b"".join(q.logs(job.id, tail=2)) == b"299999\n300000\n"
    with pytest.raises(errors.NotFoundError):
        list(q.logs(job.id, run=3))


def test_output_is_followed_across_retries(q: Any, cli: Cli) -> None:
    """Which run and which stream, byte for byte; the job comes last."""
    gate = cli.home.gate(f"follow-{id(q)}")
    script = "echo $QUEUECTL_ATTEMPT; echo e >&2; exit $((QUEUECTL_ATTEMPT < 3))"
    command = f"read _ <follow-{id(q)}; {script}"
    job = q.enqueue(command, cwd=cli.home.work, backoff_max=0)
    read: dict[tuple[int, str], bytes] = {}
    runs = []
    with q.follow(job.id) as events:
        for event in events:
            if hasattr(event, "data"):
                key = event.run, event.stream
                assert len(read.get(key, b"")) == event.offset
                read[key] = read.get(key, b"") + event.data
            else:
                runs.append(event.run)
                gate.open()
        assert events.result.state == "completed"
    assert runs == [1, 2, 3]
    out = {(run, "stdout"): b"%d\n" % run for run in runs}
    assert read == out | {(run, "stderr"): b"e\n" for run in runs}


def test_one_run_or_stream_is_followed(q: Any) -> None:
    """And left early without harm."""
    job = q.enqueue("seq 5; echo e >&2")
    q.wait(job.id)
    events = q.follow(job.id, run=1, tail=1, streams=["stdout"])
    assert [getattr(each, "data", None) for each in events] == [None, b"5\n"]
    with q.follow(job.id) as events:
        next(events)
    q.ping()


def test_the_dead_are_listed_retried_and_purged(q: Any) -> None:
    """The dead letter queue as one thing."""
    q.dlq.purge()
    job, other = (q.enqueue("exit 1", **FINAL) for _ in range(2))
    for each in (job, other):
        q.wait(each.id)
    assert [each.id for each in q.dlq.list()] == [other.id, job.id]
    assert [each.id for each in q.dlq.list(limit=1)] == [other.id]
    assert q.dlq.retry(job.id).state == "pending"
    q.wait(job.id)
    assert q.dlq.retry_all() == 2
    for each in (job, other):
        assert q.wait(each.id).runs >= 2
    assert q.dlq.purge(older_than=timedelta(hours=1)) == 0
    assert q.dlq.purge() == 2


def test_jobs_are_retried_and_pruned_by_state(q: Any) -> None:
    """All that are in it."""
    q.prune()
    job = q.enqueue("true", **NEVER)
    q.cancel(job.id)
    assert q.retry_all("cancelled") == 1
    q.wait(job.id)
    assert q.prune(["cancelled"]) == 0
    assert q.prune(older_than=3600) == 0
    assert q.prune() == 1
    with pytest.raises(errors.NotFoundError) as caught:
        q.get(job.id)
    assert caught.value.data == {"id": job.id}


def test_status_and_statistics(q: Any) -> None:
    """Numbers by name."""
    before = q.stats()
    q.wait(q.enqueue("true").id)
    status = q.status()
    assert status.completed >= 1
    assert (status.workers.active, status.draining) == (2, False)
    stats = q.stats(timedelta(hours=1))
    assert stats.completed == before.completed + 1
    assert 0 < stats.success_rate <= 1
    assert stats.run.count == before.run.count + 1
    assert stats.run.p50 <= stats.run.p99
    assert stats.since.tzinfo is not None


def test_settings_are_read_and_changed(q: Any) -> None:
    """By number or as people write them."""
    assert q.config.get("timeout").value == 300
    changed = q.config.set("timeout", "5m30s")
    assert (changed.value, changed.is_default, changed.kind) == (330, False, "duration")
    assert q.config.set("max-retries", 1).value == 1
    assert q.enqueue("true", **NEVER).max_retries == 1
    for key in ("timeout", "max_retries"):
        assert q.config.unset(key).is_default
    assert all(setting.is_default for setting in q.config.list())
    for key, value in (("nope", 1), ("timeout", -1)):
        with pytest.raises(errors.InvalidParamsError):
            q.config.set(key, value)


def test_workers_are_started_listed_and_stopped(
    q: Any, cli: Cli, connect: Connect
) -> None:
    """Those that are bound end with their client."""
    (started,) = q.workers.start()
    assert started.state == "idle"
    assert started in q.workers.list()
    assert q.workers.ensure(2) == 3
    assert q.workers.stop(numbers=[started.worker], timeout=5).stopped == 1
    with connect(str(cli.home.socket)) as other:
        (bound,) = other.workers.start(bound=True)
        assert bound.bound
        assert len(q.workers.list()) == 3
        assert q.workers.wait() is None, "it has no bound ones of its own"
    waiting.until(lambda: len(q.workers.list()) == 2, "it has left")


def test_the_daemon_describes_itself(q: Any) -> None:
    """What it is, what it can do and how it is."""
    daemon = q.daemon.status()
    assert daemon.version == q.greeting["version"] == __version__
    assert daemon.instance == q.greeting["instance"]
    assert daemon.workers.wanted == 2
    methods = {method["name"] for method in q.describe()["methods"]}
    assert "enqueue" in methods
    assert {check.level for check in q.doctor()} <= {"ok", "warning"}
    assert q.call("ping", {}) == {}
    with pytest.raises(errors.UnknownMethodError):
        q.call("dance")


def test_refusals_are_exceptions_with_data(q: Any) -> None:
    """A program can tell what is wrong without reading a message."""
    with pytest.raises(errors.InvalidParamsError) as caught:
        q.enqueue("true", timeout=-1)
    assert (caught.value.code, caught.value.data["field"]) == (
        "invalid_params",
        "timeout",
    )
    assert not caught.value.retryable
    q.config.set("max_queued", q.status().pending)
    try:
        with pytest.raises(errors.QueueFullError) as full:
            q.enqueue("true", **NEVER)
        assert full.value.retryable
    finally:
        q.config.unset("max_queued")


def test_a_client_goes_on_after_a_restart_of_the_daemon(q: Any, cli: Cli) -> None:
    """The next request finds the next daemon."""
    before = q.daemon.status().instance
    q.daemon.restart()
    q.wait_closed()
    cli.ok("daemon", "start")
    assert q.daemon.status().instance != before
    waiting.until(lambda: q.status().workers.active == 2, "the workers are back")


def test_a_daemon_is_started_when_asked_for(
    fresh: Cli, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the usual place, and only then; it can be stopped as well."""
    monkeypatch.setenv("QUEUECTL_HOME", str(fresh.home.root))
    monkeypatch.delenv("QUEUECTL_SOCKET", raising=False)
    monkeypatch.setenv("PATH", fresh.home.environ["PATH"])
    with pytest.raises(errors.DaemonNotRunningError) as caught, connect():
        raise AssertionError("nobody answers")
    assert caught.value.retryable
    with connect(autostart=True) as client:
        assert client.status().pending == 0
        client.daemon.stop(now=True)
        client.wait_closed()
    waiting.until(fresh.home.gone, "it has ended")
