"""Connections whose client does not read or is gone, and the end of the server."""

import threading

import pytest

from helpers.gated import KIB, Gated, push
from helpers.serving import Moment, Served, serving
from queuectl_protocol.errors import ErrorCode
from queuectl_protocol.messages import Failure, StreamEvent


@pytest.fixture
def handlers() -> Gated:
    return Gated()


def test_one_connection_too_many_is_told_so(handlers: Gated) -> None:
    """It gets an error instead of the greeting; the open connections stay."""
    with (
        serving(handlers.table(), max_connections=2) as served,
        served.connect() as one,
        served.connect() as two,
    ):
        one.call("ping")
        two.call("ping")
        with served.connect() as three:
            failure = three.next()
            assert isinstance(failure, Failure)
            assert failure.code == ErrorCode.TOO_MANY_CONNECTIONS
            assert three.at_end()
        assert two.call("ping") == {}
        one.close()
        served.released.wait(2)
        with served.connect() as four:
            assert four.call("ping") == {}


def test_when_the_client_vanishes_its_waits_end_and_its_requests_do_not(
    handlers: Gated,
) -> None:
    """A request that changes something is carried out, even if the client is gone."""
    with serving(handlers.table()) as served:
        with served.connect() as client:
            client.send("wait", gate=1)
            client.send("hold", gate=2)
            handlers.started.wait(2)
        served.released.wait()
        handlers.cancelled.wait()
        with served.connect() as other:
            assert handlers.ended.count == 0
            other.call("open", gate=2)
            handlers.ended.wait()
            other.call("ping")
            assert len(served.connections) == 1


def test_a_client_that_never_reads_gets_no_more_events(handlers: Gated) -> None:
    """A stream pauses while its client does not read."""
    with serving(handlers.table()) as served, served.connect() as client:
        stream = client.send("pour")
        produced = _until_it_stops(handlers.produced, served)
        assert produced * 64 * KIB < 2 * KIB * KIB
        for _ in range(produced + 50):
            client.event(stream)
        client.call("unfollow", sub=stream)
        events, end = client.follow(stream)
        assert all(isinstance(event, StreamEvent) for event in events)
        assert end.result == {"poured": True}  # type: ignore[union-attr]


def test_events_are_numbered_from_one(handlers: Gated) -> None:
    """Each stream counts its own events."""
    with serving(handlers.table()) as served, served.connect() as client:
        streams = [client.send("pour"), client.send("pour")]
        for stream in streams:
            assert [client.event(stream).seq for _ in range(3)] == [1, 2, 3]


def test_a_client_that_never_reads_gets_no_more_bulky_replies(
    handlers: Gated,
) -> None:
    """Large replies are made one at a time, when there is room for one."""
    with serving(handlers.table()) as served, served.connect() as client:
        ids = [client.send("bulk", size=KIB * KIB) for _ in range(50)]
        assert _until_it_stops(handlers.produced, served) <= 3
        assert all(len(client.result(each)["data"]) == KIB * KIB for each in ids)


def test_a_client_that_vanishes_unread_leaves_nothing_behind(
    handlers: Gated,
) -> None:
    """Requests that waited for it to read are cancelled."""
    with serving(handlers.table()) as served:
        with served.connect() as client:
            for _ in range(10):
                client.send("bulk", size=KIB * KIB)
            client.send("pour")
            _until_it_stops(handlers.produced, served)
        served.released.wait()
        _until_it_stops(handlers.produced, served)
        assert served.run(lambda: len(served.connections)) == 0


def test_a_client_that_never_reads_is_not_read_from(handlers: Gated) -> None:
    """Its replies are limited; then its requests stay in its own buffers."""
    with serving(handlers.table()) as served, served.connect() as client:
        assert push(client, "large", size=10 * KIB) < 2 * KIB * KIB
        assert handlers.produced.count * 10 * KIB < 20 * KIB * KIB


def test_at_shutdown_who_waits_is_told_and_the_rest_is_answered(
    handlers: Gated,
) -> None:
    """A waiting request gets shutting_down, one at work its reply; then it closes."""
    with serving(handlers.table()) as served, served.connect() as client:
        wait = client.send("wait", gate=1)
        held = client.send("hold", gate=2)
        handlers.started.wait(2)
        closing = threading.Thread(target=served.close)
        closing.start()
        end = client.end(wait)
        assert isinstance(end, Failure)
        assert (end.code, end.retryable) == (ErrorCode.SHUTTING_DOWN, True)
        served.run(lambda: handlers._gate(2).set())
        assert client.result(held) == {"gate": 2}
        assert client.at_end()
        closing.join()
        with pytest.raises(FileNotFoundError):
            served.connect()


def test_at_shutdown_a_client_that_does_not_read_is_cut_off(
    handlers: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon waits for it at most ``CLOSE_GRACE``."""
    monkeypatch.setattr("queuectld.server.connection.listener.CLOSE_GRACE", 0.05)
    with serving(handlers.table()) as served, served.connect() as client:
        client.send("pour")
        _until_it_stops(handlers.produced, served)
        served.close()
        served.released.wait()
        assert not list(served.connections)


def _until_it_stops(moment: Moment, served: Served) -> int:
    """Return how often it has happened, once the server is idle."""
    seen = -1
    while seen != moment.count:
        seen = moment.count
        for _ in range(20):
            served.run(lambda: None)
    return seen
