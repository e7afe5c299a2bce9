"""Following: every byte once, whatever happens to the daemon."""

from typing import Any

from helpers.fakeclient import FakeClient, FakeStream
from queuectl import errors
from queuectl.cli.connector import Connector
from queuectl.cli.requests.follow import Follower


def _data(run: int, stream: str, offset: int, data: bytes) -> dict[str, Any]:
    event = {"run": run, "stream": stream, "offset": offset, "data": data}
    return {"type": "data", **event}


class _Connections(Connector):
    """Gives one client after the other."""

    def __init__(self, *clients: FakeClient) -> None:
        super().__init__(None, True)
        self._clients = iter(clients)

    def connect(self, *, autostart: bool = True) -> Any:  # noqa: ARG002
        return next(self._clients)


def _client(*streams: FakeStream) -> FakeClient:
    answers = iter(streams)
    return FakeClient(logs_follow=lambda _: next(answers))


def _job(runs: int) -> dict[str, Any]:
    return {"job": {"id": "7", "runs": runs, "state": "completed"}}


def _follow(*clients: FakeClient, **options: Any) -> tuple[list[Any], dict[str, Any]]:
    written: list[Any] = []
    follower = Follower("7", lambda *piece: written.append(piece), **options)
    return written, follower.follow(_Connections(*clients))


def test_output_goes_on_across_retries() -> None:
    """Each stream of each run is written from its own beginning."""
    events = [
        {"type": "attempt", "run": 1},
        _data(1, "stdout", 0, b"a"),
        _data(1, "stderr", 0, b"b"),
        _data(2, "stdout", 0, b"c"),
    ]
    written, job = _follow(_client(FakeStream(events, _job(2))))
    assert written == [("stdout", b"a"), ("stderr", b"b"), ("stdout", b"c")]
    assert job["state"] == "completed"


def test_a_restart_of_the_daemon_repeats_nothing() -> None:
    """On a new connection what was written is skipped, by its offset."""
    lost = [
        _data(1, "stdout", 0, b"one "),
        _data(1, "stdout", 4, b"two "),
        errors.ConnectionLostError(),
    ]
    again = [_data(1, "stdout", 0, b"one two th"), _data(1, "stdout", 10, b"ree")]
    rest = [*again, _data(2, "stdout", 0, b"four")]
    second = _client(FakeStream(again, _job(1)), FakeStream(rest, _job(2)))
    written, _ = _follow(_client(FakeStream(lost, None)), second)
    assert b"".join(data for _, data in written) == b"one two three" + b"four"


def test_runs_that_were_missed_are_caught_up_with() -> None:
    """Attempts that came and went while the connection was lost are shown too."""
    lost = [_data(1, "stdout", 0, b"1"), errors.ConnectionLostError()]
    first = [_data(1, "stdout", 0, b"1.")]
    second = [_data(2, "stdout", 0, b"2.")]
    third = [_data(3, "stdout", 0, b"3.")]
    client = _client(
        FakeStream(first, _job(3)),
        FakeStream(second, _job(3)),
        FakeStream(third, _job(3)),
        FakeStream(third, _job(3)),
    )
    written, _ = _follow(_client(FakeStream(lost, None)), client)
    assert b"".join(data for _, data in written) == b"1.2.3."
    assert [params.get("run") for _, params in client.sent] == [1, 2, 3, None]


def test_a_tail_is_asked_for_once() -> None:
    """After a lost connection the offset tells where to go on, not the tail."""
    lost = [_data(1, "stdout", 90, b"end"), errors.ConnectionLostError()]
    again = [_data(1, "stdout", 0, b"x" * 90 + b"end!")]
    first = _client(FakeStream(lost, None))
    second = _client(FakeStream(again, _job(1)), FakeStream(again, _job(1)))
    written, _ = _follow(first, second, tail=1)
    assert b"".join(data for _, data in written) == b"end!"
    assert first.sent[0][1]["tail"] == 1
    assert "tail" not in second.sent[0][1]


def test_one_attempt_alone_can_be_followed() -> None:
    """With a run given no other is asked for."""
    client = _client(FakeStream([_data(2, "stdout", 0, b"x")], _job(3)))
    _follow(client, run=2)
    assert [params["run"] for _, params in client.sent] == [2]
