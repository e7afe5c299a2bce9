"""The mailbox: which reply belongs to which request, and what an end means."""

import pytest

from queuectl import errors
from queuectl.mailbox import Mailbox
from queuectl.sync.client import Client
from queuectl_protocol.connection import ServerConnection
from queuectl_protocol.errors import ErrorCode
from queuectl_protocol.frames import encode_frame
from queuectl_protocol.messages import Request


class Pair:
    """A mailbox and the server's end of its connection."""

    def __init__(self, timeout: float | None = None) -> None:
        self.mailbox = Mailbox(timeout)
        self.server = ServerConnection()

    def request(self, method: str = "ping", *, stream: bool = False) -> int:
        """Open a request, and let the server see it."""
        request_id, data = self.mailbox.request(method, {}, stream=stream)
        (seen,) = self.server.receive_data(data)
        assert isinstance(seen, Request)
        assert (seen.id, seen.method) == (request_id, method)
        return request_id

    def deliver(self) -> list[int | str]:
        """Move what the server has said to the mailbox."""
        return self.mailbox.receive_data(self.server.data_to_send())


@pytest.fixture
def pair() -> Pair:
    return Pair()


def test_replies_find_their_requests_in_any_order(pair: Pair) -> None:
    """The second request may be answered first."""
    first, second = pair.request(), pair.request()
    pair.server.send_reply(second, "b")
    assert pair.deliver() == [second]
    assert not pair.mailbox.answered(first)
    pair.server.send_reply(first, "a")
    pair.deliver()
    assert (pair.mailbox.take(first), pair.mailbox.take(second)) == ("a", "b")


def test_a_failure_is_raised_when_it_is_taken(pair: Pair) -> None:
    """The exception is the one of its code."""
    request = pair.request()
    pair.server.send_failure(request, ErrorCode.NOT_FOUND, "no job 7")
    pair.deliver()
    with pytest.raises(errors.NotFoundError, match="no job 7"):
        pair.mailbox.take(request)


def test_events_come_before_the_reply_and_in_order(pair: Pair) -> None:
    """A stream's events are kept until they are asked for."""
    request = pair.request("logs.follow", stream=True)
    pair.server.send_event(request, 1, {"n": 1})
    pair.server.send_event(request, 2, {"n": 2})
    pair.server.send_reply(request, "end")
    pair.deliver()
    events = [pair.mailbox.event(request) for _ in range(3)]
    assert events == [{"n": 1}, {"n": 2}, None]
    assert pair.mailbox.take(request) == "end"


def test_what_comes_for_a_forgotten_request_is_dropped(pair: Pair) -> None:
    """Nothing is kept that nobody will take."""
    call, stream = pair.request(), pair.request(stream=True)
    pair.mailbox.forget(call)
    pair.mailbox.forget(stream)
    pair.server.send_reply(call, "late")
    pair.server.send_event(stream, 1, {})
    assert pair.deliver() == []
    assert pair.mailbox.idle


def test_an_end_is_the_answer_to_all_that_is_open(pair: Pair) -> None:
    """The error names the method and says that its outcome is unknown."""
    request = pair.request("enqueue")
    pair.mailbox.receive_eof()
    assert pair.mailbox.answered(request)
    with pytest.raises(
        errors.ConnectionLostError, match=r"enqueue: whether .* unknown"
    ):
        pair.mailbox.take(request)


def test_a_reply_that_came_before_the_end_counts(pair: Pair) -> None:
    """What the daemon acknowledged is not called unknown."""
    request = pair.request()
    pair.server.send_reply(request, 1)
    pair.deliver()
    pair.mailbox.receive_eof()
    assert pair.mailbox.take(request) == 1


def test_a_reason_given_before_the_end_is_what_is_raised(pair: Pair) -> None:
    """A failure without an id is about the connection."""
    request = pair.request()
    pair.server.send_failure(None, ErrorCode.TOO_MANY_CONNECTIONS, "full")
    pair.deliver()
    pair.mailbox.receive_eof()
    with pytest.raises(errors.TooManyConnectionsError, match="full"):
        pair.mailbox.take(request)


def test_a_daemon_that_cannot_start_is_not_running(pair: Pair) -> None:
    """Its farewell comes in place of a greeting; after one, it is about to end."""
    request = pair.request()
    pair.server.send_failure(None, ErrorCode.SHUTTING_DOWN, "it cannot start")
    pair.deliver()
    with pytest.raises(errors.DaemonNotRunningError, match="it cannot start"):
        pair.mailbox.take(request)


def test_an_ended_connection_takes_no_request(pair: Pair) -> None:
    """It is said that this one was not sent."""
    pair.mailbox.receive_eof()
    with pytest.raises(errors.ConnectionLostError, match="ping was not sent"):
        pair.mailbox.request("ping", {})


@pytest.mark.parametrize(("oldest", "newest"), [(2, 3), (0, 0)])
def test_a_daemon_of_another_protocol_is_refused(
    pair: Pair, oldest: int, newest: int
) -> None:
    """Newer and older alike, and the error says what to do."""
    pair.server.send_greeting({"server": "q", "min_api": oldest, "api": newest})
    pair.deliver()
    with pytest.raises(errors.IncompatibleDaemonError, match="same queuectl"):
        raise pair.mailbox.end_error()


def test_a_newer_daemon_that_still_speaks_our_version_is_fine(pair: Pair) -> None:
    """``min_api`` decides, not ``api``."""
    pair.server.send_greeting({"server": "q", "min_api": 1, "api": 9})
    pair.deliver()
    assert pair.mailbox.greeting is not None


@pytest.mark.parametrize(
    "data", [b"HTTP/1.1 400 Bad Request\r\n", encode_frame(b"\xc1")]
)
def test_what_is_no_protocol_of_ours_is_named_so(pair: Pair, data: bytes) -> None:
    """Connecting to some other program's socket is explained."""
    pair.mailbox.receive_data(data)
    with pytest.raises(errors.ProtocolViolationError, match="does not speak"):
        raise pair.mailbox.end_error()


def test_a_request_that_the_daemon_would_refuse_is_not_sent(pair: Pair) -> None:
    """The limit is the one in the greeting, and the connection goes on."""
    pair.server.send_greeting({"server": "q", "max_frame": 100})
    pair.deliver()
    with pytest.raises(errors.FrameTooLargeError):
        pair.mailbox.request("enqueue", {"job": "x" * 100})
    assert pair.mailbox.idle
    pair.request()


def test_the_timeout_is_only_for_the_daemons_own_work() -> None:
    """Waiting for a job is not limited by it, but added to the wait's own."""
    mailbox = Mailbox(2.0, Client._waits)

    def limit(method: str, **params: object) -> float | None:
        return mailbox.limit(mailbox.request(method, params)[0])

    assert limit("status") == 2.0
    assert limit("wait") is None
    assert limit("wait", timeout=10) == 12.0
    assert limit("workers.stop") is None


def test_an_expired_request_is_forgotten(pair: Pair) -> None:
    """Its late reply is dropped, and the connection is of use again."""
    request = pair.request()
    assert "may still" in str(pair.mailbox.expire(request))
    pair.server.send_reply(request, "late")
    pair.deliver()
    assert pair.mailbox.idle


def test_a_stream_does_not_keep_a_mailbox_from_being_idle(pair: Pair) -> None:
    """A stream has its own hold on its connection."""
    pair.request(stream=True)
    assert pair.mailbox.idle
    pair.request()
    assert not pair.mailbox.idle


def test_taking_what_was_never_asked_is_a_mistake(pair: Pair) -> None:
    """It does not wait for ever."""
    with pytest.raises(LookupError):
        pair.mailbox.take(7)
