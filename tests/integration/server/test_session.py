"""A connection to the server: replies, limits, broken input."""

import os
import struct
import threading
from typing import Any

import pytest

from helpers.gated import KIB, Gated, push
from helpers.serving import serving
from queuectl_protocol import messages, packing
from queuectl_protocol.errors import ErrorCode
from queuectl_protocol.frames import encode_frame
from queuectl_protocol.messages import Failure


@pytest.fixture
def handlers() -> Gated:
    return Gated()


def test_the_server_greets_first(handlers: Gated) -> None:
    """The greeting comes unasked, and tells the client's uid and role."""
    with serving(handlers.table()) as served, served.connect() as client:
        greeting = client.greeting()
        assert greeting["server"] == "queuectld"
        assert greeting["api"] == 1
        assert greeting["max_frame"] == 8 * KIB * KIB
        assert greeting["you"] == {"uid": os.getuid(), "role": "admin"}


def test_requests_may_be_pipelined(handlers: Gated) -> None:
    """A thousand requests in one write get a thousand replies."""
    with serving(handlers.table()) as served, served.connect() as client:
        ids = [client.wire.send_request("ping", {}) for _ in range(1000)]
        client.socket.sendall(client.wire.data_to_send())
        assert [client.result(each) for each in ids] == [{}] * 1000


def test_replies_come_in_the_order_in_which_requests_end(handlers: Gated) -> None:
    """A request that takes long does not hold up the next one."""
    with serving(handlers.table()) as served, served.connect() as client:
        slow = client.send("hold")
        quick = client.send("ping")
        assert client.next().id == quick  # type: ignore[union-attr]
        client.send("open")
        assert client.result(slow) == {"gate": 0}


def test_one_byte_at_a_time(handlers: Gated) -> None:
    """How the bytes were split in transit does not matter."""
    with serving(handlers.table()) as served, served.connect() as client:
        ids = [client.wire.send_request("echo", {"text": "é" * n}) for n in (1, 50)]
        for byte in client.wire.data_to_send():
            client.socket.sendall(bytes([byte]))
        assert [client.result(each)["text"] for each in ids] == ["é", "é" * 50]


def test_no_more_requests_run_than_the_limit_allows(handlers: Gated) -> None:
    """The requests over the limit start when earlier ones have ended."""
    with (
        serving(handlers.table(), max_inflight=3) as served,
        served.connect() as client,
        served.connect() as other,
    ):
        ids = [client.send("hold", gate=gate) for gate in range(5)]
        handlers.started.wait(3)
        other.call("ping")
        assert handlers.started.count == 3
        other.call("open", gate=1)
        client.result(ids[1])
        handlers.started.wait(4)
        for gate in (0, 2, 3, 4):
            other.call("open", gate=gate)
        assert [client.result(each)["gate"] for each in ids if each != ids[1]]


def test_over_the_limit_the_client_waits_in_its_own_write(handlers: Gated) -> None:
    """The number of unanswered requests that are read is limited."""
    with (
        serving(handlers.table(), max_inflight=1) as served,
        served.connect() as client,
    ):
        client.send("hold")
        handlers.started.wait()
        assert push(client, "echo", text="x" * 100) < 2 * KIB * KIB
        with served.connect() as other:
            other.call("open")
        assert client.next() is not None


def test_large_requests_count_by_their_size(handlers: Gated) -> None:
    """Requests at work have about as many bytes as one frame at most."""
    load = {"of": "x" * 40_000}
    with (
        serving(handlers.table(), max_frame=100_000) as served,
        served.connect() as client,
        served.connect() as other,
    ):
        ids = [client.send("hold", load=load) for _ in range(4)]
        handlers.started.wait(3)
        other.call("ping")
        assert handlers.started.count == 3
        other.call("open")
        assert [client.result(each) for each in ids] == [{"gate": 0}] * 4


def test_waits_do_not_hold_up_other_requests(handlers: Gated) -> None:
    """Waiting requests leave room for the request that ends them."""
    with (
        serving(handlers.table(), max_inflight=3) as served,
        served.connect() as client,
    ):
        waits = [client.send("wait") for _ in range(3)]
        refused = client.refused("wait")
        assert refused.code == ErrorCode.TOO_MANY_REQUESTS
        assert refused.retryable
        client.call("open")
        assert [client.result(each) for each in waits] == [{"gate": 0}] * 3


def test_an_unknown_method_is_refused_with_the_nearest(handlers: Gated) -> None:
    """The message names a similar method; the connection goes on."""
    with serving(handlers.table()) as served, served.connect() as client:
        failure = client.refused("pong")
        assert failure.code == ErrorCode.UNKNOWN_METHOD
        assert failure.message == "there is no method 'pong'; did you mean ping?"
        assert client.call("ping") == {}


def test_an_unknown_parameter_is_refused_by_name(handlers: Gated) -> None:
    """A misspelt parameter is refused, not ignored."""
    with serving(handlers.table()) as served, served.connect() as client:
        failure = client.refused("hold", gates=1)
        assert failure.code == ErrorCode.INVALID_PARAMS
        assert failure.data == {"param": "gates"}
        assert "did you mean gate?" in failure.message


def test_what_is_no_message_is_refused_and_the_next_one_answered(
    handlers: Gated,
) -> None:
    """A bad message is answered with an error, and the connection goes on."""
    bad = b"\xc1", b"\x93\x01\x02\x03", b"\x81\xa2id\x07", b"\x81\xa6method\xa4ping"
    with serving(handlers.table()) as served, served.connect() as client:
        for payload in bad:
            client.socket.sendall(struct.pack(">I", len(payload)) + payload)
        ping = client.send("ping")
        ids = []
        for _ in bad:
            failure = client.next()
            assert isinstance(failure, Failure)
            assert failure.code == ErrorCode.BAD_REQUEST
            ids.append(failure.id)
        assert ids == [None, None, 7, None]
        assert client.result(ping) == {}


def test_a_huge_frame_is_refused_before_it_is_read(handlers: Gated) -> None:
    """It is refused by its announced length, and the connection ends."""
    with (
        serving(handlers.table(), max_frame=1000) as served,
        served.connect() as client,
    ):
        client.call("ping")
        client.socket.sendall(struct.pack(">I", 1001))
        failure = client.next()
        assert isinstance(failure, Failure)
        assert (failure.id, failure.code) == (None, ErrorCode.FRAME_TOO_LARGE)
        assert client.at_end()


def test_a_reply_that_does_not_fit_is_an_error(handlers: Gated) -> None:
    """The client gets an error instead of a frame that it would have to refuse."""
    with (
        serving(handlers.table(), max_frame=1000) as served,
        served.connect() as client,
    ):
        failure = client.refused("large", size=1001)
        assert failure.code == ErrorCode.FRAME_TOO_LARGE
        assert client.call("ping") == {}


def test_an_id_in_use_is_refused(handlers: Gated) -> None:
    """The id of an unanswered request cannot name a second one."""
    with serving(handlers.table()) as served, served.connect() as client:
        held = client.send("hold")
        again = messages.encode(messages.Request(held, "ping"))
        client.socket.sendall(again)
        failure = client.next()
        assert isinstance(failure, Failure)
        assert (failure.id, failure.code) == (None, ErrorCode.BAD_REQUEST)
        assert client.call("open") == {}
        assert client.result(held) == {"gate": 0}


@pytest.mark.parametrize(
    "bad",
    [{"method": 5}, {"method": b"ping"}, {"method": "ping", "params": []}, {}],
    ids=repr,
)
def test_an_id_in_use_has_one_answer_also_when_it_comes_again_in_no_request(
    handlers: Gated, bad: dict[str, Any]
) -> None:
    """The failure of a bad message does not carry the id of a request at work."""
    with serving(handlers.table()) as served, served.connect() as client:
        held = client.send("hold")
        client.socket.sendall(encode_frame(packing.pack({"id": held, **bad})))
        failure = client.next()
        assert isinstance(failure, Failure)
        assert (failure.id, failure.code) == (None, ErrorCode.BAD_REQUEST)
        assert client.call("open") == {}
        assert client.result(held) == {"gate": 0}


def test_at_shutdown_an_id_in_use_has_one_answer(handlers: Gated) -> None:
    """A request that did not start is refused without the id of one at work."""
    with (
        serving(handlers.table(), max_inflight=1) as served,
        served.connect() as client,
    ):
        held = client.wire.send_request("hold", {})
        sent = client.wire.data_to_send()  # all in one piece: it is read as one
        for again in (held, held + 1):
            sent += messages.encode(messages.Request(again, "ping"))
        client.socket.sendall(sent)
        handlers.started.wait()
        closing = threading.Thread(target=served.close)
        closing.start()
        ends = [client.next() for _ in range(2)]
        served.run(lambda: handlers._gate(0).set())
        assert client.result(held) == {"gate": 0}
        closing.join()
        assert [(end.id, end.code) for end in ends if isinstance(end, Failure)] == [
            (None, ErrorCode.SHUTTING_DOWN),
            (held + 1, ErrorCode.SHUTTING_DOWN),
        ]


def test_a_mistake_of_ours_tells_nothing_of_our_insides(handlers: Gated) -> None:
    """The client gets ``internal``; the log has the details."""
    with serving(handlers.table()) as served, served.connect() as client:
        failure = client.refused("fail")
        assert failure.code == ErrorCode.INTERNAL
        assert "secret" not in failure.message
        assert client.call("ping") == {}
