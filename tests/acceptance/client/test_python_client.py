"""``queuectl.Client`` and ``queuectl.AsyncClient`` against the daemon, as one suite."""

import asyncio
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from helpers import waiting
from helpers.blocking import Blocking
from helpers.cli import Cli, shared
from queuectl import AsyncClient, Client, errors
from queuectl_protocol import __version__
from queuectl_protocol.vocabulary import JobState, Reason

cli = shared(workers=2)

Connect = Callable[..., Any]

NEVER = {"delay": timedelta(days=1)}
FINAL = {"max_retries": 0}
SECOND = timedelta(seconds=1)


@pytest.fixture(scope="module", params=["Client", "AsyncClient"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """What makes a client of either kind."""
    if request.param == "Client":
        yield Client
        return
    with asyncio.Runner() as runner:
        yield lambda *args, **options: Blocking(runner, AsyncClient(*args, **options))


@pytest.fixture(scope="module")
def q(cli: Cli, connect: Connect) -> Iterator[Any]:
    """A client that the tests share."""
    with connect(str(cli.home.socket)) as client:
        yield client


def test_a_job_is_enqueued_waited_for_and_read(q: Any) -> None:
    """The whole of it in four lines."""
    job = q.enqueue("echo out; echo err >&2; exit 3", **FINAL)
    done = q.wait(job.id)
    assert (done.state, done.exit_code, done.reason) == ("dead", 3, Reason.EXIT)
    assert b"".join(q.logs(job.id)) == b"out\n"
    assert b"".join(q.logs(job.id, "stderr")) == b"err\n"


def test_a_new_job_is_told_with_its_types(q: Any) -> None:
    """Times are aware, states are words of their enumeration."""
    job = q.enqueue("true", **NEVER)
    assert job.state is JobState.PENDING
    assert not job.is_final
    assert datetime.now(UTC) - job.created_at < timedelta(minutes=1)
    assert abs(job.run_at - job.created_at - NEVER["delay"]) < SECOND
    assert job.submitter == os.geteuid()
    assert q.get(job.id) == job


def test_every_option_of_a_job(q: Any) -> None:
    """In Python's own types, and back."""
    options: dict[str, Any] = {
        "id": f"options-{id(q)}",
        "priority": -3,
        "max_retries": 1,
        "timeout": timedelta(minutes=2),
        "backoff_base": 3,
        "backoff_max": 60,
        "backoff_jitter": 0,
        "output_limit": 1 << 20,
        "run_at": datetime(2099, 12, 1, 10, tzinfo=UTC),
        "cwd": Path("/usr"),
        "umask": 0o027,
        "env": {"A": "1"},
        "label": "ünï",
        "nice": 5,
        "memory_max": 0,
        "cpu_quota": 0,
        "tasks_max": 0,
        "rlimits": {"core": 0, "nofile": 64},
        "queue": "default",
    }
    q.enqueue(["printf", "%s", Path("a b")], inherit=False, **options)
    job = q.get(options["id"], env=True)
    told = {name: getattr(job, name) for name in options}
    assert told == options | {"timeout": 120, "cwd": "/usr", "umask": "0027"}
    assert job.command == ("printf", "%s", "a b")


def test_a_job_inherits_from_the_program(q: Any, tmp_path: Path) -> None:
    """Directory and environment, unless it says otherwise or nothing is to be lent."""
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        lent, own = q.enqueue("true", **NEVER), q.enqueue("true", cwd="sub", **NEVER)
        none = q.enqueue("true", inherit=False, **NEVER)
        gone = tmp_path / "gone"
        gone.mkdir()
        os.chdir(gone)
        gone.rmdir()
        with pytest.raises(errors.CurrentDirectoryError):
            q.enqueue("true")
        with pytest.raises(errors.CurrentDirectoryError):
            q.enqueue_many([{"command": "true", "cwd": "/"}, "true"])
        assert q.enqueue("true", cwd="/", **NEVER).cwd == "/"
        assert len(q.enqueue_many([{"command": "true", "cwd": "/", **NEVER}])) == 1
    finally:
        os.chdir(before)
    assert (lent.cwd, own.cwd, none.cwd) == (str(tmp_path), f"{tmp_path}/sub", None)
    assert q.get(lent.id, env=True).env["PATH"] == os.environ["PATH"]
    assert q.get(none.id, env=True).env is None


def test_many_jobs_are_enqueued_in_batches(q: Any) -> None:
    """Their ids come in order; of a bad one its place, and what is stored."""
    kinds = ["true", ["echo", "a b"], {"command": "x", **NEVER}]
    commands = [q.get(job).command for job in q.enqueue_many(kinds)]
    assert commands == ["true", ("echo", "a b"), "x"]
    ids = q.enqueue_many({"command": f": {n}", **NEVER} for n in range(1001))
    assert q.get(ids[1000]).command == ": 1000"
    jobs = [{"command": "true", **NEVER}] * 1500 + [{"command": "x", "priority": "?"}]
    with pytest.raises(errors.InvalidParamsError, match="priority") as caught:
        q.enqueue_many(jobs)
    assert caught.value.data["index"] == 1500
    assert len(caught.value.data["ids"]) == 1000


def test_an_id_that_is_taken(q: Any) -> None:
    """Is an error; or the same job, or a conflict."""
    name = f"taken-{id(q)}"
    again = partial(q.enqueue, "true", id=name, if_exists="return", **FINAL)
    first = again()
    assert again().id == first.id == name
    with pytest.raises(errors.AlreadyExistsError) as caught:
        q.enqueue("true", id=name)
    assert caught.value.data["id"] == name
    with pytest.raises(errors.ConflictError):
        q.enqueue("false", id=name, if_exists="return")


def test_attempts_are_told(q: Any) -> None:
    """Each run, with what it took."""
    job = q.enqueue("exit $((QUEUECTL_ATTEMPT < 2))", backoff_max=0)
    assert q.wait(job.id).state == "completed"
    first, second = q.attempts(job.id)
    assert (first.run, first.exit_code, second.run, second.exit_code) == (1, 1, 2, 0)
    assert first.reason is Reason.EXIT
    assert first.finished_at >= first.started_at
    assert first.stdout_bytes == 0


def test_jobs_are_listed_page_by_page(q: Any) -> None:
    """Newest first, as many as are asked for, of one state alone."""
    ids = q.enqueue_many([{"command": "true", **NEVER}] * 1200)
    assert [job.id for job in q.list(limit=1100)] == ids[::-1][:1100]
    assert [job.id for job in q.list("pending", limit=2)] == [ids[-1], ids[-2]]
    assert {job.state for job in q.list("completed", limit=5)} <= {"completed"}
    assert sum(1 for _ in q.list("pending")) == q.status().pending


def test_a_waiting_job_is_cancelled_and_retried(q: Any) -> None:
    """Only in the state in which it was thought to be."""
    job = q.enqueue("true", **NEVER)
    with pytest.raises(errors.InvalidStateError):
        q.cancel(job.id, if_state="processing")
    assert q.cancel(job.id).state == "cancelled"
    with pytest.raises(errors.InvalidStateError) as caught:
        q.cancel(job.id)
    assert caught.value.data["state"] == "cancelled"
    with pytest.raises(errors.InvalidStateError):
        q.retry(job.id, if_state="dead")
    assert q.retry(job.id).state == "pending"
    assert q.wait(job.id).state == "completed"


def test_a_running_job_is_cancelled(q: Any, cli: Cli) -> None:
    """It is gone on return; without wait that comes later."""
    for wait in (True, False):
        job = q.enqueue("sleep 608")
        cli.home.until_state(job.id, "processing")
        cancelled = q.cancel(job.id, wait=wait)
        assert cancelled.is_final or not wait
        assert q.wait(job.id).state == "cancelled"


def test_a_job_is_started_before_its_time_and_deleted_after_it(q: Any) -> None:
    """What does not wait, or is not over, is refused."""
    job = q.enqueue("true", **NEVER)
    with pytest.raises(errors.InvalidStateError, match="cancel it first"):
        q.delete(job.id)
    assert q.start(job.id).run_at <= datetime.now(UTC) + SECOND
    assert q.wait(job.id).state == "completed"
    with pytest.raises(errors.InvalidStateError, match="queuectl retry"):
        q.start(job.id)
    assert q.delete(job.id).state is JobState.COMPLETED
    with pytest.raises(errors.NotFoundError):
        q.get(job.id)


def test_many_jobs_are_changed_together(q: Any) -> None:
    """Each is told by itself, in order; more than a request takes are several."""
    ids = q.enqueue_many([{"command": "exec sleep 600", **NEVER}] * 1500)
    asked = [*ids, "nope"]
    for change, state in (
        (q.cancel_many, "cancelled"),
        (q.retry_many, "pending"),
        (q.cancel_many, "cancelled"),
        (q.delete_many, "cancelled"),
    ):
        *done, missed = change(job_id for job_id in asked)
        assert [each.id for each in done] == ids
        assert {each.job.state for each in done} == {state}
        assert isinstance(missed.error, errors.NotFoundError)
        assert (missed.job, missed.error.data) == (None, {"id": "nope"})
    assert q.cancel_many([]) == ()
    with pytest.raises(TypeError, match="not one id"):
        q.cancel_many(ids[0])


def test_many_jobs_are_changed_if_they_are_in_a_state(q: Any) -> None:
    """Those that are in another are refused; of the dead, by their group."""
    late, other = (q.enqueue("true", **NEVER) for _ in range(2))
    q.cancel(other.id)
    first, second = q.start_many([late.id, other.id], if_state="pending")
    assert first.error is None
    assert isinstance(second.error, errors.InvalidStateError)
    q.wait(late.id)
    dead = q.enqueue("exit 1", **FINAL)
    q.wait(dead.id)
    for change, state in ((q.dlq.retry_many, "pending"), (q.dlq.delete_many, "dead")):
        done, refused = change([dead.id, late.id])
        assert (done.error, done.job.state) == (None, state)
        assert isinstance(refused.error, errors.InvalidStateError)
        if state == "pending":
            q.wait(dead.id)


def test_waiting_has_an_end(q: Any) -> None:
    """A TimeoutError like others."""
    job = q.enqueue("true", **NEVER)
    with pytest.raises(TimeoutError, match="still pending") as caught:
        q.wait(job.id, 0.05)
    assert isinstance(caught.value, errors.WaitTimeoutError)


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
