"""The blocking session against real sockets: what comes in what order, what breaks."""

import signal
import socket
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from helpers.stub_daemon import GREETING, Peer, Serve, answering, returning
from queuectl import errors
from queuectl.sync.client import Client
from queuectl_protocol import messages
from queuectl_protocol.errors import ErrorCode
from queuectl_protocol.messages import Greeting, Request

DEADLINE = 20.0
MAIN = threading.main_thread().ident or 0


def test_a_call_returns_the_result_as_it_is_on_the_wire(serve: Serve) -> None:
    """Parameters arrive as they were given."""
    daemon = serve(answering({"echo": lambda p, r: p.reply(r, r.params)}))
    with Client(daemon.path) as q:
        assert q.call("echo", {"a": [1, b"x"]}) == {"a": [1, b"x"]}


def test_a_refusal_is_raised(serve: Serve) -> None:
    """And the connection goes on."""
    daemon = serve(answering({"ping": returning({})}))
    with Client(daemon.path) as q:
        with pytest.raises(errors.UnknownMethodError, match="no method dance"):
            q.call("dance")
        q.ping()
    assert daemon.accepted == 1


def test_pipelined_requests_may_be_answered_in_any_order(serve: Serve) -> None:
    """Each is received by its id."""

    def last_first(peer: Peer) -> None:
        requests: list[Request] = []
        while len(requests) < 3:
            requests += peer.receive()
        peer.greet()
        for request in reversed(requests):
            peer.reply(request, request.params["n"])
        peer.receive()

    daemon = serve(last_first)
    with Client(daemon.path) as q:
        ids = [q.send("n", {"n": n}) for n in range(3)]
        assert [q.receive(i) for i in ids] == [0, 1, 2]


def test_the_greeting_is_waited_for(serve: Serve) -> None:
    """It says who answers, whole or in pieces."""

    def byte_by_byte(peer: Peer) -> None:
        for byte in messages.encode(Greeting(dict(GREETING))):
            peer.send_raw(bytes([byte]))
        peer.receive()

    daemon = serve(byte_by_byte)
    with Client(daemon.path) as q:
        assert q.greeting == GREETING


def test_full_buffers_on_both_sides_do_not_stop_the_client(serve: Serve) -> None:
    """It takes a large reply while it sends a large request."""
    large = b"x" * 4_000_000
    daemon = serve(answering({"echo": returning(large)}))
    with Client(daemon.path) as q:
        ids = [q.send("echo", {"data": large}) for _ in range(3)]
        assert all(q.receive(i) == large for i in ids)


def test_a_daemon_that_dies_in_a_reply_leaves_the_outcome_unknown(
    serve: Serve,
) -> None:
    """The error says so, and the next request finds the next daemon."""

    def die(peer: Peer, request: Request) -> None:
        reply = messages.encode(messages.Reply(request.id, "x" * 100))
        peer.send_raw(reply[:50])
        peer.close()

    daemon = serve(
        answering({"enqueue": die}), answering({"ping": returning({})}, instance="b")
    )
    with Client(daemon.path) as q:
        with pytest.raises(errors.ConnectionLostError, match=r"enqueue: .* unknown"):
            q.call("enqueue")
        q.ping()
        assert q.greeting["instance"] == "b"


def test_a_connection_lost_while_idle_is_no_error(serve: Serve) -> None:
    """Nothing was under way, so nothing is unknown."""

    def once(peer: Peer, request: Request) -> None:
        peer.reply(request, {})
        peer.close()

    daemon = serve(answering({"ping": once}))
    with Client(daemon.path) as q:
        for _ in range(3):
            q.ping()
            assert q.wait_closed(DEADLINE)
    assert daemon.accepted == 3


def test_requests_under_way_learn_of_the_end_before_it_is_mended(
    serve: Serve,
) -> None:
    """No reply of the new connection is taken for one of the old."""
    daemon = serve(
        answering({"a": lambda p, _r: p.close()}), answering({"a": returning(1)})
    )
    with Client(daemon.path) as q:
        first = q.send("a")
        assert q.wait_closed(DEADLINE)
        with pytest.raises(errors.ConnectionLostError, match="a was not sent"):
            q.send("a")
        with pytest.raises(errors.ConnectionLostError):
            q.receive(first)
        assert q.call("a") == 1


def farewell(peer: Peer) -> None:
    """Refuse the connection, and close it without reading."""
    peer.fail(None, ErrorCode.TOO_MANY_CONNECTIONS, "full")


@pytest.mark.parametrize("size", [0, 4_000_000])
def test_the_reason_for_a_closed_connection_is_raised(serve: Serve, size: int) -> None:
    """Also when it comes while the request is still being written."""
    daemon = serve(farewell)
    with Client(daemon.path) as q:
        with pytest.raises(errors.TooManyConnectionsError, match="full"):
            q.call("ping", {"data": b"x" * size})
        with pytest.raises(errors.TooManyConnectionsError, match="full"):
            _ = q.greeting


def test_another_programs_socket_is_recognized(serve: Serve) -> None:
    """The user is told that this is not queuectld."""
    daemon = serve(lambda peer: peer.send_raw(b"SSH-2.0-OpenSSH_9.7\r\n"))
    with (
        Client(daemon.path) as q,
        pytest.raises(errors.ProtocolViolationError, match="does not speak"),
    ):
        q.ping()


def test_a_late_reply_is_dropped(serve: Serve) -> None:
    """After a timeout the connection is of use, and nothing is mixed up."""
    given_up = threading.Event()

    def late(peer: Peer) -> None:
        peer.greet()
        (slow,) = peer.receive()
        assert given_up.wait(DEADLINE)
        peer.reply(slow, "late")
        (following,) = peer.receive()
        peer.reply(following, "in time")
        peer.receive()

    daemon = serve(late)
    with Client(daemon.path, timeout=0.05) as q:
        with pytest.raises(errors.RequestTimeoutError, match="slow in time"):
            q.call("slow")
        given_up.set()
        # Of this method the timeout is not the client's, so it is not in the way.
        assert q.call("cancel") == "in time"


def test_a_daemon_that_does_not_greet_is_given_up(serve: Serve) -> None:
    """With a timeout; without one it is waited for."""
    daemon = serve(lambda peer: peer.receive())
    with (
        Client(daemon.path, timeout=0.05) as q,
        pytest.raises(errors.RequestTimeoutError, match="greet"),
    ):
        _ = q.greeting


def test_a_daemon_that_does_not_accept_is_given_up(tmp_path: Path) -> None:
    """A full backlog counts as an answer that does not come."""
    path = str(tmp_path / "s")
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(path)
        listener.listen(0)
        stack.enter_context(socket.socket(socket.AF_UNIX)).connect(path)
        with pytest.raises(errors.RequestTimeoutError, match="did not accept"):
            Client(path, timeout=0.05)


def test_a_signal_does_not_disturb_a_call(serve: Serve) -> None:
    """Its handler runs, and the waiting goes on."""
    handled = threading.Event()

    def answer(peer: Peer, request: Request) -> None:
        signal.pthread_kill(MAIN, signal.SIGUSR1)
        assert handled.wait(DEADLINE)
        peer.reply(request, "here")

    before = signal.signal(signal.SIGUSR1, lambda *_: handled.set())
    try:
        daemon = serve(answering({"a": answer}))
        with Client(daemon.path) as q:
            assert q.call("a") == "here"
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_an_interrupted_call_leaves_a_client_of_use(serve: Serve) -> None:
    """Ctrl-C gives up the reply, not the connection."""
    sent = threading.Event()

    def interrupt(_peer: Peer, _request: Request) -> None:
        assert sent.wait(DEADLINE)  # in the middle of sending it would be another case
        signal.pthread_kill(MAIN, signal.SIGINT)

    daemon = serve(answering({"wait": interrupt, "cancel": returning("done")}))
    with Client(daemon.path) as q:
        request = q.send("wait")
        with pytest.raises(KeyboardInterrupt):  # noqa: PT012 - it may come at once
            sent.set()
            q.receive(request)
        assert q.call("cancel") == "done"
    assert daemon.accepted == 1


def test_a_closed_client_says_so(serve: Serve) -> None:
    """It does not connect again by itself."""
    daemon = serve(answering({}))
    q = Client(daemon.path)
    q.close()
    q.close()
    with pytest.raises(RuntimeError, match="closed"):
        q.ping()
