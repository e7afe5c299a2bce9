"""A connection to the server: order, limits, broken input, and its end."""

import asyncio
import os
import struct
import threading
from typing import Any, cast

import pytest

from helpers.rawclient import RawClient
from helpers.serving import Moment, Served, serving
from queuectl_protocol import messages, packing
from queuectl_protocol.errors import ErrorCode
from queuectl_protocol.frames import encode_frame
from queuectl_protocol.messages import Failure, StreamEvent
from queuectld.server.call import Call
from queuectld.server.connection.registry import Registry
from queuectld.server.methods.logs import Logs
from queuectld.server.schema import params
from queuectld.server.schema.method import Method, Result
from queuectld.server.schema.params import request_id

KIB = 1024


class Handlers:
    """Methods whose course a test decides."""

    def __init__(self) -> None:
        self.started, self.ended, self.cancelled = Moment(), Moment(), Moment()
        self.produced = Moment()
        self._gates: dict[int, asyncio.Event] = {}

    async def ping(self, _call: Call) -> Result:
        """Answer."""
        return {}

    async def echo(self, _call: Call, *, text: str) -> Result:
        """Answer what was asked."""
        return {"text": text}

    async def hold(
        self, _call: Call, *, gate: int, load: dict[str, Any] | None
    ) -> Result:
        """Hold until ``open`` opens the gate."""
        del load
        self.started.happen()
        try:
            await self._gate(gate).wait()
        except asyncio.CancelledError:
            self.cancelled.happen()
            raise
        self.ended.happen()
        return {"gate": gate}

    async def open(self, _call: Call, *, gate: int) -> Result:
        """Let go who holds at the gate."""
        self._gate(gate).set()
        return {}

    async def large(self, _call: Call, *, size: int) -> Result:
        """Answer with that many bytes."""
        self.produced.happen()
        return {"data": b"x" * size}

    async def pour(self, call: Call) -> Result:
        """Send events until the client has enough."""
        with call.stream() as stream:
            while not stream.ended:
                await stream.ready()
                stream.send({"data": b"x" * 64 * KIB})
                self.produced.happen()
        return {"poured": True}

    async def fail(self, _call: Call) -> Result:
        """Make a mistake."""
        raise RuntimeError("a secret of ours")

    def _gate(self, gate: int) -> asyncio.Event:
        return self._gates.setdefault(gate, asyncio.Event())

    def table(self) -> dict[str, Method]:
        """Return the methods; what they are called is in the tests."""
        gate = (params.whole("gate", "which", default=0),)
        hold = (*gate, params.fields("load", "anything"))
        size = (params.whole("size", "bytes"),)
        text = (params.text("text", "anything", required=True),)
        rows = (
            Method(name="ping", doc="", handler=self.ping),
            Method(name="echo", doc="", handler=self.echo, params=text),
            Method(name="hold", doc="", handler=self.hold, params=hold),
            Method(name="wait", doc="", handler=self.hold, params=hold, waits=True),
            Method(name="open", doc="", handler=self.open, params=gate),
            Method(name="large", doc="", handler=self.large, params=size),
            Method(name="bulk", doc="", handler=self.large, params=size, bulky=True),
            Method(name="pour", doc="", handler=self.pour, waits=True),
            Method(name="fail", doc="", handler=self.fail),
            Method(
                name="unfollow",
                doc="",
                handler=Logs(*[cast("Any", None)] * 4).unfollow,
                params=(request_id("sub", "which"),),
            ),
        )
        return {row.name: row for row in rows}


@pytest.fixture
def handlers() -> Handlers:
    return Handlers()


def test_the_server_greets_first(handlers: Handlers) -> None:
    """The greeting comes unasked, and says who may do what."""
    with serving(handlers.table()) as served, served.connect() as client:
        greeting = client.greeting()
        assert greeting["server"] == "queuectld"
        assert greeting["api"] == 1
        assert greeting["max_frame"] == 8 * KIB * KIB
        assert greeting["you"] == {"uid": os.getuid(), "role": "admin"}


def test_requests_may_be_pipelined(handlers: Handlers) -> None:
    """A thousand requests in one write get a thousand replies."""
    with serving(handlers.table()) as served, served.connect() as client:
        ids = [client.wire.send_request("ping", {}) for _ in range(1000)]
        client.socket.sendall(client.wire.data_to_send())
        assert [client.result(each) for each in ids] == [{}] * 1000


def test_replies_come_in_the_order_in_which_requests_end(handlers: Handlers) -> None:
    """A request that takes long does not hold up the next one."""
    with serving(handlers.table()) as served, served.connect() as client:
        slow = client.send("hold")
        quick = client.send("ping")
        assert client.next().id == quick  # type: ignore[union-attr]
        client.send("open")
        assert client.result(slow) == {"gate": 0}


def test_one_byte_at_a_time(handlers: Handlers) -> None:
    """How the bytes were split in transit does not matter."""
    with serving(handlers.table()) as served, served.connect() as client:
        ids = [client.wire.send_request("echo", {"text": "é" * n}) for n in (1, 50)]
        for byte in client.wire.data_to_send():
            client.socket.sendall(bytes([byte]))
        assert [client.result(each)["text"] for each in ids] == ["é", "é" * 50]


def test_no_more_requests_run_than_the_limit_allows(handlers: Handlers) -> None:
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


def test_over_the_limit_the_client_waits_in_its_own_write(handlers: Handlers) -> None:
    """What is not answered yet is not read without end."""
    with (
        serving(handlers.table(), max_inflight=1) as served,
        served.connect() as client,
    ):
        client.send("hold")
        handlers.started.wait()
        assert _push(client, "echo", text="x" * 100) < 2 * KIB * KIB
        with served.connect() as other:
            other.call("open")
        assert client.next() is not None


def test_large_requests_count_by_their_size(handlers: Handlers) -> None:
    """No more bytes of requests are at work than fit into about one frame."""
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


def test_waits_do_not_hold_up_other_requests(handlers: Handlers) -> None:
    """Any number of waits leave room for the request that ends them."""
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


def test_an_unknown_method_is_refused_with_the_nearest(handlers: Handlers) -> None:
    """The message says what was probably meant; the connection goes on."""
    with serving(handlers.table()) as served, served.connect() as client:
        failure = client.refused("pong")
        assert failure.code == ErrorCode.UNKNOWN_METHOD
        assert failure.message == "there is no method 'pong'; did you mean ping?"
        assert client.call("ping") == {}


def test_an_unknown_parameter_is_refused_by_name(handlers: Handlers) -> None:
    """A misspelt parameter is no parameter that was left out."""
    with serving(handlers.table()) as served, served.connect() as client:
        failure = client.refused("hold", gates=1)
        assert failure.code == ErrorCode.INVALID_PARAMS
        assert failure.data == {"param": "gates"}
        assert "did you mean gate?" in failure.message


def test_what_is_no_message_is_refused_and_the_next_one_answered(
    handlers: Handlers,
) -> None:
    """A bad message costs its sender an error, and not the connection."""
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


def test_a_huge_frame_is_refused_before_it_is_read(handlers: Handlers) -> None:
    """The announced length is enough to be refused, and the connection ends."""
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


def test_a_reply_that_does_not_fit_is_an_error(handlers: Handlers) -> None:
    """The client is told instead of sent what it would have to refuse."""
    with (
        serving(handlers.table(), max_frame=1000) as served,
        served.connect() as client,
    ):
        failure = client.refused("large", size=1001)
        assert failure.code == ErrorCode.FRAME_TOO_LARGE
        assert client.call("ping") == {}


def test_an_id_in_use_is_refused(handlers: Handlers) -> None:
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
    handlers: Handlers, bad: dict[str, Any]
) -> None:
    """What is no message does not look like the end of the request with its id."""
    with serving(handlers.table()) as served, served.connect() as client:
        held = client.send("hold")
        client.socket.sendall(encode_frame(packing.pack({"id": held, **bad})))
        failure = client.next()
        assert isinstance(failure, Failure)
        assert (failure.id, failure.code) == (None, ErrorCode.BAD_REQUEST)
        assert client.call("open") == {}
        assert client.result(held) == {"gate": 0}


def test_at_shutdown_an_id_in_use_has_one_answer(handlers: Handlers) -> None:
    """What was not begun is refused without the id that is at work."""
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


def test_a_mistake_of_ours_tells_nothing_of_our_insides(handlers: Handlers) -> None:
    """The client learns that it was our fault; the log has the rest."""
    with serving(handlers.table()) as served, served.connect() as client:
        failure = client.refused("fail")
        assert failure.code == ErrorCode.INTERNAL
        assert "secret" not in failure.message
        assert client.call("ping") == {}


def test_one_connection_too_many_is_told_so(handlers: Handlers) -> None:
    """It gets an error in place of the greeting; those that are there stay."""
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
    handlers: Handlers,
) -> None:
    """A request that changes something is carried out, read reply or not."""
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
            assert len(_connections(served)) == 1


def test_a_client_that_never_reads_gets_no_more_events(handlers: Handlers) -> None:
    """A stream stops where its reader stopped, and goes on when it reads."""
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


def test_events_are_numbered_from_one(handlers: Handlers) -> None:
    """Each stream counts its own events."""
    with serving(handlers.table()) as served, served.connect() as client:
        streams = [client.send("pour"), client.send("pour")]
        for stream in streams:
            assert [client.event(stream).seq for _ in range(3)] == [1, 2, 3]


def test_a_client_that_never_reads_gets_no_more_bulky_replies(
    handlers: Handlers,
) -> None:
    """Large replies are made one at a time, when there is room for one."""
    with serving(handlers.table()) as served, served.connect() as client:
        ids = [client.send("bulk", size=KIB * KIB) for _ in range(50)]
        assert _until_it_stops(handlers.produced, served) <= 3
        assert all(len(client.result(each)["data"]) == KIB * KIB for each in ids)


def test_a_client_that_vanishes_unread_leaves_nothing_behind(
    handlers: Handlers,
) -> None:
    """What waited for it to read is given up."""
    with serving(handlers.table()) as served:
        with served.connect() as client:
            for _ in range(10):
                client.send("bulk", size=KIB * KIB)
            client.send("pour")
            _until_it_stops(handlers.produced, served)
        served.released.wait()
        _until_it_stops(handlers.produced, served)
        assert served.run(lambda: len(_connections(served))) == 0


def test_a_client_that_never_reads_is_not_read_from(handlers: Handlers) -> None:
    """Its replies pile up to a limit, then its requests stay in its own buffers."""
    with serving(handlers.table()) as served, served.connect() as client:
        assert _push(client, "large", size=10 * KIB) < 2 * KIB * KIB
        assert handlers.produced.count * 10 * KIB < 20 * KIB * KIB


def test_at_shutdown_who_waits_is_told_and_the_rest_is_answered(
    handlers: Handlers,
) -> None:
    """A wait ends in shutting_down, a request at work in its reply, then it is over."""
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
    handlers: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon does not wait for it longer than its grace."""
    monkeypatch.setattr("queuectld.server.connection.listener.CLOSE_GRACE", 0.05)
    with serving(handlers.table()) as served, served.connect() as client:
        client.send("pour")
        _until_it_stops(handlers.produced, served)
        served.close()
        served.released.wait()
        assert not list(_connections(served))


def _push(client: RawClient, method: str, **arguments: Any) -> int:
    """Send requests until nothing is taken any more; return how many bytes were."""
    client.socket.settimeout(0.5)
    pushed = 0
    try:
        while pushed < 64 * KIB * KIB:
            client.wire.send_request(method, arguments)
            data = client.wire.data_to_send()
            client.socket.sendall(data)
            pushed += len(data)
    except TimeoutError:
        client.socket.settimeout(20)
        return pushed
    raise AssertionError("all of it was taken")


def _until_it_stops(moment: Moment, served: Served) -> int:
    """Return how often it has happened when the server has come to rest."""
    seen = -1
    while seen != moment.count:
        seen = moment.count
        for _ in range(20):
            served.run(lambda: None)
    return seen


def _connections(served: Served) -> Registry:
    return served.connections
