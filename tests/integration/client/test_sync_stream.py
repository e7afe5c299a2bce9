"""The streams of the blocking client against real sockets."""

import gc
import threading
from collections.abc import Callable

import pytest

from helpers.stub_daemon import Peer, Script, Serve, answering, returning
from queuectl import errors
from queuectl.sync.client import Client
from queuectl_protocol.messages import Request

DEADLINE = 20.0


def events(count: int) -> Callable[[Peer, Request], None]:
    """Return an answer of so many events and a result."""

    def answer(peer: Peer, request: Request) -> None:
        for n in range(1, count + 1):
            peer.event(request, n, n=n)
        peer.reply(request, "end")

    return answer


def test_a_stream_yields_its_events_then_has_its_result(serve: Serve) -> None:
    """The result is the value of StopIteration too."""
    daemon = serve(answering({"follow": events(3)}))
    with Client(daemon.path) as q:
        stream = q.stream("follow")
        assert list(stream) == [{"n": 1}, {"n": 2}, {"n": 3}]
        assert stream.result == "end"
        with pytest.raises(StopIteration) as stop:
            next(stream)
        assert stop.value.value == "end"


def test_calls_can_be_made_while_a_stream_is_open(serve: Serve) -> None:
    """Events that come in between are kept."""

    def answer(peer: Peer, request: Request) -> None:
        events(3)(peer, opened[0])
        peer.reply(request, "pong")

    opened: list[Request] = []
    daemon = serve(
        answering({"follow": lambda _p, r: opened.append(r), "ping": answer})
    )
    with Client(daemon.path) as q:
        stream = q.stream("follow")
        assert q.call("ping") == "pong"
        assert len(list(stream)) == 3


def test_a_stream_that_is_refused_raises(serve: Serve) -> None:
    """Where its first event is asked for."""
    daemon = serve(answering({}))
    with Client(daemon.path) as q:
        stream = q.stream("follow")
        with pytest.raises(errors.UnknownMethodError):
            next(stream)
        with pytest.raises(StopIteration):
            next(stream)


def test_a_stream_ends_with_its_connection(serve: Serve) -> None:
    """After the events that came before."""

    def cut(peer: Peer, request: Request) -> None:
        peer.event(request, 1, n=1)
        peer.close()

    daemon = serve(answering({"follow": cut}))
    with Client(daemon.path) as q:
        stream = q.stream("follow")
        assert next(stream) == {"n": 1}
        with pytest.raises(errors.ConnectionLostError):
            next(stream)


class Unfollowed:
    """A script of a stream without end, and who ended it."""

    def __init__(self) -> None:
        self.subs: list[int] = []
        self.told = threading.Event()
        self.script: Script = answering(
            {
                "follow": lambda p, r: p.event(r, 1, id=r.id),
                "unfollow": self._unfollow,
                "ping": returning({}),
            }
        )

    def _unfollow(self, peer: Peer, request: Request) -> None:
        self.subs.append(request.params["sub"])
        peer.reply(request, {})
        self.told.set()


def test_a_closed_stream_is_ended_in_the_daemon(serve: Serve) -> None:
    """At once, by its id."""
    unfollowed = Unfollowed()
    daemon = serve(unfollowed.script)
    with Client(daemon.path) as q:
        with q.stream("follow") as stream:
            sub = next(stream)["id"]
        assert unfollowed.told.wait(DEADLINE)
        assert unfollowed.subs == [sub]
        assert list(stream) == []


def test_a_dropped_stream_is_ended_with_the_next_request(serve: Serve) -> None:
    """A loop that is left by break needs no more."""
    unfollowed = Unfollowed()
    daemon = serve(unfollowed.script)
    with Client(daemon.path) as q:
        for _ in q.stream("follow"):
            break
        gc.collect()
        q.ping()
    assert unfollowed.told.wait(DEADLINE)
