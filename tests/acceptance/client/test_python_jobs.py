"""Jobs with ``queuectl.Client`` and ``queuectl.AsyncClient``, as one suite."""

import os
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from helpers.cli import Cli
from queuectl import errors
from queuectl_protocol.vocabulary import JobState, Reason

NEVER = {"delay": timedelta(days=1)}
FINAL = {"max_retries": 0}
SECOND = timedelta(seconds=1)


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
        "expires": datetime(2099, 12, 2, 10, tzinfo=UTC),
    }
    q.enqueue(["printf", "%s", Path("a b")], inherit=False, **options)
    job = q.get(options["id"], env=True)
    told = {name: getattr(job, name) for name in options}
    assert told == options | {"timeout": 120, "cwd": "/usr", "umask": "0027"}
    assert job.command == ("printf", "%s", "a b")


def test_an_expiry_is_a_time_or_a_duration(q: Any) -> None:
    """Counted by the daemon; a job that could never start is refused."""
    for given in (timedelta(hours=1), 3600):
        job = q.enqueue("true", expires=given, delay=60)
        assert abs(job.expires - job.created_at - timedelta(hours=1)) < SECOND
    with pytest.raises(errors.InvalidParamsError, match="has passed already"):
        q.enqueue("true", expires=datetime(2001, 1, 1, tzinfo=UTC))
    with pytest.raises(errors.InvalidParamsError, match="could never start"):
        q.enqueue("true", expires=timedelta(hours=1), **NEVER)


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
