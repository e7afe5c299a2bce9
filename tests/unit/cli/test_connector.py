"""Long waits outlive a daemon, and never start one that was stopped."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers.fakeclient import FakeClient
from queuectl import errors, paths
from queuectl.cli import connector, policy
from queuectl.cli.connector import Connector
from queuectl.cli.requests.wait import Waiting
from queuectl.cli.view import output
from queuectl.sync import session

Opener = Callable[[bool], Any]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Give answers to attempts to connect: clients, or errors to raise."""
    answers: list[Any] = []

    def client(_socket: str | None, *, autostart: bool, **_queue: str | None) -> Any:
        answer = answers.pop(0)
        if callable(answer):
            answer = answer(autostart)
        if isinstance(answer, errors.QueuectlError):
            raise answer
        return answer

    monkeypatch.setattr(session, "Session", client)
    monkeypatch.setattr(connector, "PAUSE", 0)
    monkeypatch.setattr(policy, "current", lambda: policy.BEGINS)
    return answers


def _read(client: Any) -> Any:
    return client.call("wait", {})


def _waits(answer: Any) -> FakeClient:
    return FakeClient(wait=lambda _: answer)


def test_a_crashed_daemon_is_started_again(opened: list[Any]) -> None:
    """A connection that is lost without a word is opened anew, with autostart."""
    asked: list[bool] = []

    def second(autostart: bool) -> FakeClient:
        asked.append(autostart)
        return _waits("done")

    opened += [_waits(errors.ConnectionLostError()), second]
    assert Connector(None, True).persist(_read) == "done"
    assert asked == [True]


def test_a_stopped_daemon_is_waited_for(opened: list[Any]) -> None:
    """After "shutting down" the next daemon is waited for, and not started."""
    asked: list[bool] = []

    def nobody(autostart: bool) -> errors.QueuectlError:
        asked.append(autostart)
        return errors.DaemonNotRunningError()

    opened += [_waits(errors.ShuttingDownError()), nobody, nobody, _waits("done")]
    assert Connector(None, True).persist(_read) == "done"
    assert asked == [False, False]


def test_patience_ends(opened: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that was stopped and not started again ends the wait."""
    monkeypatch.setattr(connector, "PATIENCE", -1)
    opened += [_waits(errors.ShuttingDownError()), errors.DaemonNotRunningError()]
    with pytest.raises(errors.DaemonNotRunningError):
        Connector(None, True).persist(_read)


def test_a_daemon_that_always_dies_ends_the_wait(opened: list[Any]) -> None:
    """What loses every connection is not asked for ever."""
    lost = errors.ConnectionLostError()
    opened += [_waits(lost) for _ in range(connector.RECONNECTS)]
    with pytest.raises(errors.ConnectionLostError):
        Connector(None, True).persist(_read)
    assert opened == []


def test_no_autostart_holds_everywhere(opened: list[Any]) -> None:
    """--no-autostart outweighs what a command would like."""
    asked: list[bool] = []

    def answer(autostart: bool) -> FakeClient:
        asked.append(autostart)
        return _waits("done")

    opened += [answer, answer]
    Connector(None, False).connect()
    Connector(None, True).connect(autostart=False)
    assert asked == [False, False]


def test_a_command_that_looks_waits_for_the_next_daemon(
    opened: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that crashed is started by somebody else; at first none is waited for."""
    monkeypatch.setattr(policy, "current", lambda: policy.LOOKS)
    nobody = errors.DaemonNotRunningError()
    opened += [_waits(errors.ConnectionLostError()), nobody, _waits("done")]
    assert Connector(None, True).persist(_read) == "done"
    opened.append(nobody)
    with pytest.raises(errors.DaemonNotRunningError):
        Connector(None, True).persist(_read)
    assert opened == []


def test_waiting_goes_on_with_the_jobs_left() -> None:
    """Jobs whose end is known are not asked for again on a new connection."""
    jobs = {"1": {"state": "completed"}, "2": errors.ConnectionLostError()}
    waiting = Waiting(("1", "2"), None)
    probes: list[str] = []

    def wait(params: Any) -> Any:
        if params.get("timeout") == 0:
            probes.append(params["id"])
            return {"job": {"state": "pending"}, "timed_out": True}
        answer = jobs[params["id"]]
        return answer if isinstance(answer, Exception) else {"job": answer}

    with pytest.raises(errors.ConnectionLostError):
        waiting.run(FakeClient(wait=wait))  # type: ignore[arg-type]
    jobs["2"] = {"state": "dead"}
    client = FakeClient(wait=wait)
    waiting.run(client)  # type: ignore[arg-type]
    assert probes == ["1", "2"]
    assert [params["id"] for _, params in client.sent] == ["2"]
    assert {key: job["state"] for key, job in waiting.jobs.items()} == {
        "1": "completed",
        "2": "dead",
    }


@pytest.mark.parametrize(
    ("rule", "there", "said"),
    [
        (policy.BEGINS, True, True),
        (policy.ALTERS, True, True),
        (policy.ACTS, True, True),
        (policy.LOOKS, True, False),
        (policy.BEGINS, False, False),
    ],
)
def test_a_change_names_its_queue_where_there_are_two(
    opened: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    rule: policy.Rule,
    there: bool,
    said: bool,
) -> None:
    """Once, on stderr; not if the queue was chosen, nor for who only looks."""
    notes: list[str] = []
    for name in ("QUEUECTL_HOME", "QUEUECTL_SOCKET", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    own = tmp_path / ".local/state/queuectl"
    own.mkdir(parents=True)
    (own / "lock").touch()
    monkeypatch.setattr(output, "note", notes.append)
    monkeypatch.setattr(policy, "current", lambda: rule)
    monkeypatch.setattr(paths, "system_is_there", lambda: there)
    opened += [_waits("done")] * 3
    usual = Connector(None, True)
    usual.connect()
    usual.connect()
    Connector(None, True, "user").connect()
    note = f"in your own queue, {own}; for the system's: queuectl --system"
    assert notes == [note] * said
