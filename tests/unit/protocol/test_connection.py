"""The two ends of a connection, driven by bytes alone."""

from typing import Any

import pytest

from helpers import feeding, vectors
from queuectl_protocol.connection import ClientConnection, ServerConnection
from queuectl_protocol.errors import ErrorCode, FrameTooLargeError, ProtocolError
from queuectl_protocol.frames import encode_frame
from queuectl_protocol.messages import (
    BadMessageError,
    Failure,
    Greeting,
    Reply,
    Request,
    StreamEvent,
)

ALL = vectors.load("messages")
REQUESTS = [vector for vector in ALL if vector.get("kind") == "request"]
TO_CLIENTS = [v for v in ALL if "kind" in v and v["kind"] != "request"]
BAD = [vector for vector in ALL if "error" in vector]
PING = encode_frame(bytes.fromhex(ALL[0]["hex"]))


def frame(vector: dict[str, Any]) -> bytes:
    """Return a vector's payload in its frame."""
    return encode_frame(bytes.fromhex(vector["hex"]))


@pytest.mark.parametrize("vector", REQUESTS, ids=vectors.name_of)
def test_the_server_reads_requests_however_they_arrive(vector: dict[str, Any]) -> None:
    """A request means the same whole, byte by byte, and with trailing data."""
    (request,) = feeding.received_to_the_end(ServerConnection, frame(vector))
    assert request == Request(**vectors.from_json(vector["message"]))


@pytest.mark.parametrize("vector", TO_CLIENTS, ids=vectors.name_of)
def test_the_client_reads_messages_however_they_arrive(vector: dict[str, Any]) -> None:
    """What a server sends means the same however it was split."""
    (message,) = feeding.received_to_the_end(ClientConnection, frame(vector))
    kinds = {
        "reply": Reply,
        "failure": Failure,
        "event": StreamEvent,
        "greeting": Greeting,
    }
    assert type(message) is kinds[vector["kind"]]


@pytest.mark.parametrize("vector", BAD, ids=vectors.name_of)
def test_the_server_goes_on_after_a_bad_message(vector: dict[str, Any]) -> None:
    """A bad message takes its place in the order, and the next request is read."""
    data = frame(vector) + PING
    error, request = feeding.received_to_the_end(ServerConnection, data)
    assert isinstance(error, BadMessageError)
    assert error.id == vector["id"]
    assert request == Request(1, "ping", {})


@pytest.mark.parametrize("vector", BAD, ids=vectors.name_of)
def test_the_client_refuses_a_bad_message(vector: dict[str, Any]) -> None:
    """A server that sends no message of ours is not to be trusted further."""
    assert isinstance(feeding.refused(ClientConnection, frame(vector)), BadMessageError)


@pytest.mark.parametrize("vector", TO_CLIENTS, ids=vectors.name_of)
def test_the_server_takes_requests_only(vector: dict[str, Any]) -> None:
    """Replies and events from a client are bad messages, and the connection goes on."""
    error, request = feeding.received_to_the_end(ServerConnection, frame(vector) + PING)
    assert isinstance(error, BadMessageError)
    assert isinstance(request, Request)


def test_the_client_takes_no_requests() -> None:
    """A server that sends a request breaks the protocol."""
    assert type(feeding.refused(ClientConnection, PING)) is ProtocolError


def test_the_limit_of_a_frame_is_the_connections_own() -> None:
    """Each end refuses frames over the limit that it was made with."""
    error = feeding.refused(lambda: ServerConnection(max_frame=8), PING)
    assert isinstance(error, FrameTooLargeError)
    error = feeding.refused(lambda: ClientConnection(max_frame=8), PING)
    assert isinstance(error, FrameTooLargeError)


def test_requests_are_numbered() -> None:
    """Each request has an id of its own, counted from 1 in each connection."""
    client = ClientConnection()
    assert [client.send_request("ping", {}) for _ in range(3)] == [1, 2, 3]
    assert ClientConnection().send_request("ping", {}) == 1


def test_what_was_taken_to_send_is_not_sent_twice() -> None:
    """``data_to_send`` hands out everything queued, once and in order."""
    client, server = ClientConnection(), ServerConnection()
    client.send_request("ping", {})
    client.send_request("get", {"id": "job1"})
    received = server.receive_data(client.data_to_send())
    assert received == [Request(1, "ping", {}), Request(2, "get", {"id": "job1"})]
    assert client.data_to_send() == b""


def test_a_whole_conversation() -> None:
    """Greeting, request, event, reply and failure cross from one end to the other."""
    client, server = ClientConnection(), ServerConnection()
    server.send_greeting({"server": "queuectld", "api": 1})
    follow = client.send_request("logs.follow", {"id": "job1"})
    (request,) = server.receive_data(client.data_to_send())
    assert isinstance(request, Request)
    server.send_event(request.id, 1, {"type": "attempt", "run": 1})
    server.send_reply(request.id, {"job": {"id": "job1"}})
    server.send_failure(None, ErrorCode.SHUTTING_DOWN, "the daemon is stopping")
    assert client.receive_data(server.data_to_send()) == [
        Greeting({"server": "queuectld", "api": 1}),
        StreamEvent(follow, 1, {"type": "attempt", "run": 1}),
        Reply(follow, {"job": {"id": "job1"}}),
        Failure(None, "shutting_down", "the daemon is stopping", None, retryable=True),
    ]


def test_the_greeting_is_remembered() -> None:
    """The client has no greeting until it came, and keeps it then."""
    client, server = ClientConnection(), ServerConnection()
    assert client.greeting is None
    server.send_greeting({"server": "queuectld", "max_frame": 100})
    client.receive_data(server.data_to_send())
    assert client.greeting == {"server": "queuectld", "max_frame": 100}


def test_a_reply_over_the_limit_is_not_queued() -> None:
    """The server learns that its reply is too large before the client does."""
    server = ServerConnection(max_frame=64)
    with pytest.raises(FrameTooLargeError):
        server.send_reply(1, {"data": bytes(64)})
    assert server.data_to_send() == b""
    server.send_reply(1, {})
    assert ClientConnection(64).receive_data(server.data_to_send()) == [Reply(1, {})]


def test_the_bytes_that_wait_are_counted() -> None:
    """``outgoing_size`` is what ``data_to_send`` would return, until it did."""
    server = ServerConnection()
    assert server.outgoing_size == 0
    server.send_reply(1, {})
    server.send_event(2, 1, {"type": "data"})
    size = server.outgoing_size
    assert size == len(server.data_to_send())
    assert server.outgoing_size == 0
