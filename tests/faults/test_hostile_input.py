"""Malformed and malicious bytes, sent to a real daemon.

What single functions make of such input is tested with them (``unit/protocol``,
``unit/core``), what the command line shows of it in ``acceptance/cli``;
``make fuzz`` looks for more.
"""

import random
import struct
from collections.abc import Iterator

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.fuzz import mutations, targets
from faults.resource_use import Watch
from helpers.daemon import Daemon, a_daemon
from helpers.rawclient import RawClient
from queuectl_protocol import messages, packing
from queuectl_protocol.errors import BadMessageError, ErrorCode
from queuectl_protocol.frames import encode_frame
from queuectl_protocol.limits import MAX_BATCH, MAX_FRAME
from queuectl_protocol.messages import Failure, Reply, Request
from queuectld.server.schema.wire_limits import CONTAINERS_OF_A_JOB

BEGIN = b"\x83\xa2id\x01\xa6method"
"""How most requests begin."""

DEEP, DEEPER = b"\x91" * 1100 + b"\xc0", b"\x91" * 10**6 + b"\xc0"


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """A daemon without workers: what is enqueued here is never run."""
    with a_daemon() as served:
        yield served
        assert b"raceback" not in served.log.read_bytes()


@pytest.fixture
def client(daemon: Daemon) -> Iterator[RawClient]:
    """A client that sends malformed frames."""
    with daemon.connect() as connected:
        connected.greeting()
        yield connected


def answer(client: RawClient, payload: bytes) -> Reply | Failure:
    """Send a frame; return the one answer to it."""
    client.socket.sendall(encode_frame(payload))
    end = client.next()
    assert isinstance(end, Reply | Failure)
    return end


def request(method: str, packed_params: bytes) -> bytes:
    """Return the payload of a request whose params are packed by hand."""
    return BEGIN + msgpack.packb(method) + b"\xa6params" + packed_params


# -- any bytes ------------------------------------------------------------------------

VALID = [
    packing.pack({"id": 1, "method": "status", "params": {}}),
    packing.pack({"id": "x", "method": "get", "params": {"id": "1", "env": True}}),
    packing.pack(
        {"id": 2, "method": "enqueue", "params": {"job": {"command": ["true", "é"]}}}
    ),
    packing.pack({"id": 3, "method": "list", "params": {"limit": 5, "before": 9}}),
]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Give a request in which some bytes were changed, removed or put in."""
    payload = bytearray(draw(st.sampled_from(VALID)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(payload) - 1)))
        match draw(st.sampled_from(["change", "remove", "insert", "cut"])):
            case "change" if payload:
                payload[at] = draw(st.integers(0, 255))
            case "remove":
                del payload[at : at + draw(st.integers(1, 4))]
            case "insert":
                payload[at:at] = draw(st.binary(max_size=6))
            case _:
                del payload[at:]
    return bytes(payload)


@given(payloads=st.lists(damaged() | st.binary(max_size=40), max_size=8))
@settings(
    max_examples=150,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_whatever_frames_hold_the_next_request_is_answered(
    daemon: Daemon, payloads: list[bytes]
) -> None:
    """Each frame is answered too: by a reply, or by an error with the reason."""
    with daemon.connect() as client:
        last = messages.encode(Request("the last", "ping"))
        client.socket.sendall(b"".join(map(encode_frame, payloads)) + last)
        for _ in payloads:
            end = client.next()
            while not isinstance(end, Reply | Failure):
                end = client.next()  # an event of a stream that chance has opened
            assert not isinstance(end, Failure) or end.code != ErrorCode.INTERNAL
            assert not isinstance(end, Failure) or end.code in set(ErrorCode)


SEEDS = targets.seeds()


def test_bytes_are_read_or_refused_and_nothing_else() -> None:
    """The short form of `make fuzz`."""
    for seed in range(4000):
        chance = random.Random(seed)
        data = mutations.worse(chance.choice(SEEDS), chance)
        try:
            targets.receive(data)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {data.hex()}") from error


STRANGE = {
    "a key twice": (
        b"\x84\xa2id\x01\xa6method\xa4ping\xa6method\xa6status\xa6params\x80",
        None,
    ),
    "a number as a key": (
        b"\x84\xa2id\x01\xa6method\xa4ping\xa6params\x80\x07\x08",
        "bad_request",
    ),
    "a number as a name": (request("ping", b"\x81\x07\x08"), "bad_request"),
    "nil as a name": (request("ping", b"\x81\xc0\x08"), "bad_request"),
    "a list as a name": (request("ping", b"\x81\x90\x08"), "bad_request"),
    "bytes as a name": (request("ping", b"\x81\xc4\x01x\x08"), "bad_request"),
    "an extension": (request("get", b"\x81\xa2id\xd4\x05\x00"), "bad_request"),
    "a timestamp": (request("get", b"\x81\xa2id\xd6\xff\0\0\0\0"), "invalid_params"),
    "a torn timestamp": (request("get", b"\x81\xa2id\xd4\xff\x00"), "bad_request"),
    "no UTF-8": (request("get", b"\x81\xa2id\xa2\xff\xfe"), "invalid_params"),
    "a surrogate": (request("get", b"\x81\xa2id\xa3\xed\xa0\x80"), "invalid_params"),
    "a NUL": (request("get", b"\x81\xa2id\xa1\0"), "invalid_params"),
    "no method": (request("\x1b[2J\r\n\0", b"\x80"), "unknown_method"),
    "a thousand levels": (request("ping", b"\x81\xa1x" + DEEP), "bad_request"),
    "a million levels": (request("ping", b"\x81\xa1x" + DEEPER), "bad_request"),
    "a list of 4,000,000,000": (
        request("ping", b"\x81\xa1x\xdd\xff\xff\xff\xff"),
        "bad_request",
    ),
    "a text of 4,000,000,000": (
        request("ping", b"\x81\xa1x\xdb\xff\xff\xff\xff"),
        "bad_request",
    ),
    "nothing": (b"", "bad_request"),
}


@pytest.mark.parametrize(("payload", "code"), STRANGE.values(), ids=STRANGE)
def test_what_is_strange_is_answered_and_the_connection_goes_on(
    client: RawClient, payload: bytes, code: str | None
) -> None:
    """The sender receives an error, and the connection stays open."""
    end = answer(client, payload)
    assert (end.code if isinstance(end, Failure) else None) == code
    assert client.call("ping") == {}


@pytest.mark.parametrize("length", [MAX_FRAME + 1, 2**31, 2**32 - 1])
def test_a_huge_length_costs_nothing(daemon: Daemon, length: int) -> None:
    """No memory is reserved for a length that was only announced."""
    with daemon.connect() as other:
        other.call("ping")
        watch = Watch(daemon.process.pid)
        for _ in range(20):
            with daemon.connect() as client:
                client.socket.sendall(struct.pack(">I", length))
                end = client.end(None)
                assert isinstance(end, Failure)
                assert end.code == ErrorCode.FRAME_TOO_LARGE
                assert client.at_end()
            watch.ping(other)
        assert watch.grown() < 5


# -- what becomes large in memory -----------------------------------------------------

WIDE = {
    "empty lists": b"\x90",
    "empty maps": b"\x80",
    "lists in lists": b"\x92\x90\x90",
    "maps in maps": b"\x81\xa1x\x80",
}


@pytest.mark.parametrize("unit", WIDE.values(), ids=WIDE)
def test_a_frame_full_of_containers_is_no_message(daemon: Daemon, unit: bytes) -> None:
    """It once took 600 MiB, and all other clients waited 9 seconds."""
    count = (MAX_FRAME - 100) // len(unit)
    wide = b"\x81\xa1x\xdd" + struct.pack(">I", count) + unit * count
    with daemon.connect() as client, daemon.connect() as other:
        other.call("ping")
        watch = Watch(daemon.process.pid)
        client.socket.sendall(encode_frame(request("ping", wide)))
        watch.ping(other)
        end = client.next()
        assert isinstance(end, Failure)
        assert end.code == ErrorCode.BAD_REQUEST
        assert "lists and maps" in end.message
        assert client.call("ping") == {}
        watch.report("8 MiB of containers")
        assert watch.grown() < 60


def test_a_frame_full_of_anything_else_is_bounded(daemon: Daemon) -> None:
    """Small strings are the worst case: some 25 bytes in memory for each byte."""
    count = 2_700_000
    wide = b"\x81\xa1x\xdd" + struct.pack(">I", count) + b"\xa2ab" * count
    with daemon.connect() as client, daemon.connect() as other:
        other.call("ping")
        watch = Watch(daemon.process.pid)
        client.socket.sendall(encode_frame(request("ping", wide)))
        watch.ping(other)
        end = client.next()
        assert isinstance(end, Failure)
        assert end.code == ErrorCode.INVALID_PARAMS
        watch.report("8 MiB of small strings")
        assert watch.grown() < 300


def test_the_largest_batch_is_no_such_frame() -> None:
    """Ten thousand jobs of three containers each are read; so are ten times as many."""
    most = CONTAINERS_OF_A_JOB * MAX_BATCH
    job = {"command": ["true"], "env": {}}
    payload = packing.pack(
        {"id": 1, "method": "enqueue_many", "params": {"jobs": [job] * 30_000}}
    )
    assert isinstance(messages.decode(payload, most), Request)
    with pytest.raises(BadMessageError, match=f"more than {most}"):
        messages.decode(packing.pack([[]] * (most + 1)), most)
    small = packing.pack([[]] * 1000)
    assert packing.unpack(small, max_containers=1) == [[]] * 1000
