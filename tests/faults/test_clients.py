"""Clients that disconnect, are slow, never read, or come by the thousand.

The figures are printed: ``pytest -rP tests/faults/test_clients.py`` shows them.
"""

import random
import struct
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from faults.resource_use import Watch, connections
from helpers import waiting
from helpers.daemon import Daemon, a_daemon
from helpers.rawclient import RawClient
from queuectl_protocol import messages
from queuectl_protocol.limits import MAX_FRAME
from queuectl_protocol.messages import Failure, Greeting, Request

NEVER = "2999-01-01T00:00:00Z"
SEED = 20261124


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """A daemon with 300 jobs that wait and one that has written 20 MB."""
    with a_daemon() as served, served.connect() as client:
        client.call("workers.start")
        job = {"id": "talker", "command": "head -c 20000000 /dev/zero"}
        client.call("enqueue", job=job)
        client.call("wait", id="talker")
        large = {"command": ["true", "x" * 3000], "run_at": NEVER}
        client.call("enqueue_many", jobs=[large] * 300)
        # What is opened once and for all is open before anybody counts.
        client.follow(client.send("logs.follow", id="talker", tail=1))
        client.close()
        yield served


@pytest.fixture
def other(daemon: Daemon) -> Iterator[RawClient]:
    """A client that only wants to be served."""
    with daemon.connect() as client:
        client.greeting()
        yield client


@pytest.fixture
def watch(daemon: Daemon, other: RawClient) -> Iterator[Watch]:
    """Watches the daemon; at the end all that a test opened must be closed."""
    waiting.until(lambda: connections(other) == 1, "earlier clients are gone")
    watching = Watch(daemon.process.pid)
    yield watching
    waiting.until(lambda: connections(other) == 1, "the clients are gone")
    waiting.until(watching.released, "what they had open is closed")


def pending(client: RawClient) -> int:
    """Return how many jobs wait."""
    count: int = client.call("status")["pending"]
    return count


def an_enqueue() -> bytes:
    """Return the frame of a request that is not idempotent."""
    job = {"command": "true", "run_at": NEVER}
    return messages.encode(Request(7, "enqueue", {"job": job}))


def take(client: RawClient, size: int) -> int:
    """Read some bytes, and not one more; return how many there were."""
    taken = 0
    while taken < size and (data := client.socket.recv(min(65_536, size - taken))):
        taken += len(data)
    return taken


# -- who vanishes ---------------------------------------------------------------------


def test_half_a_request_is_none(daemon: Daemon, other: RawClient, watch: Watch) -> None:
    """A request cut after any byte does nothing; a whole one is carried out."""
    before, frame = pending(other), an_enqueue()
    for cut in range(len(frame)):
        with daemon.connect() as client:
            client.socket.sendall(frame[:cut])
        watch.ping(other)
    assert pending(other) == before
    for _ in range(20):
        with daemon.connect() as client:
            client.greeting()
            client.socket.sendall(frame)
    waiting.until(lambda: pending(other) == before + 20, "whole requests are done")
    assert watch.grown() < 10
    watch.report(f"{len(frame)} vanished in a request")


def test_half_a_huge_request_is_forgotten_with_its_sender(
    daemon: Daemon, other: RawClient, watch: Watch
) -> None:
    """Eight mebibytes less one, thirty times, by clients that then disconnect."""
    announced = struct.pack(">I", MAX_FRAME)
    for _ in range(30):
        with daemon.connect() as client:
            client.socket.sendall(announced + bytes(MAX_FRAME - 1))
        watch.ping(other)
    assert watch.grown() < 60
    watch.report("30 vanished in a frame of 8 MiB")


def test_who_vanishes_in_a_reply_leaves_nothing(
    daemon: Daemon, other: RawClient, watch: Watch
) -> None:
    """The client reads some bytes of a page of a megabyte, and disconnects."""
    chance = random.Random(SEED)
    for _ in range(60):
        with daemon.connect() as client:
            client.send("list", limit=300)
            take(client, chance.randrange(900_000))
        watch.ping(other)
    assert watch.grown() < 60
    watch.report("60 vanished in a reply of 1 MB")


def test_who_vanishes_in_a_stream_leaves_nothing(
    daemon: Daemon, other: RawClient, watch: Watch
) -> None:
    """The client reads some bytes of twenty megabytes of output, and disconnects."""
    chance = random.Random(SEED)
    for _ in range(40):
        with daemon.connect() as client:
            client.send("logs.follow", id="talker")
            take(client, chance.randrange(2_000_000))
        watch.ping(other)
    assert watch.grown() < 30
    watch.report("40 vanished in a stream of 20 MB")


# -- who dawdles ----------------------------------------------------------------------


def test_a_byte_at_a_time_holds_up_nobody(
    daemon: Daemon, other: RawClient, watch: Watch
) -> None:
    """Fifty clients send byte by byte; each request is carried out once."""
    before, frame = pending(other), an_enqueue()
    with ExitStack() as stack:
        slow = [stack.enter_context(daemon.connect()) for _ in range(50)]
        for number in range(len(frame)):
            for client in slow:
                client.socket.sendall(frame[number : number + 1])
            watch.ping(other)
        for client in slow:
            assert client.result(7)["created"]
    assert pending(other) == before + 50
    assert watch.grown() < 10
    watch.report("50 sent a byte at a time")


def test_a_reply_may_be_read_a_byte_at_a_time(daemon: Daemon) -> None:
    """The client receives the whole reply."""
    with daemon.connect() as client:
        client.greeting()
        client.send("describe")
        received: list[object] = []
        while not received:
            received += client.wire.receive_data(client.socket.recv(1))
        assert not isinstance(received[0], Greeting | Failure)


def test_who_never_reads_is_not_remembered_for_ever(
    daemon: Daemon, other: RawClient, watch: Watch
) -> None:
    """Twenty ask for a megabyte a thousand times; a few replies each are held."""
    asked = b"".join(
        messages.encode(Request(number, "list", {"limit": 300}))
        for number in range(1000)
    )
    with ExitStack() as stack:
        for _ in range(20):
            client = stack.enter_context(daemon.connect())
            client.socket.settimeout(0)
            with suppress(BlockingIOError):
                client.socket.sendall(asked)
            watch.ping(other)
        for method in ("stats", "list", "daemon.status"):
            other.call(method)
        # A page each, and as many requests as max_inflight lets it begin.
        watch.report("20 never read their pages of 1 MB")
        assert watch.grown() < 20 * 6


def test_followers_who_never_read_cost_a_piece_each(
    daemon: Daemon, other: RawClient, watch: Watch
) -> None:
    """A hundred followers each buffer one piece; the output remains on disk."""
    with ExitStack() as stack:
        for _ in range(100):
            client = stack.enter_context(daemon.connect())
            client.send("logs.follow", id="talker")
            watch.ping(other)
        assert watch.grown() < 50
        watch.report("100 never read their streams of 20 MB")


def test_requests_that_wait_for_their_reader_wait_checked(
    daemon: Daemon, other: RawClient, watch: Watch
) -> None:
    """Invalid requests are refused at once and are not queued."""
    wrong = messages.encode(Request(1, "list", {"no": [[]] * 60_000}))
    with ExitStack() as stack:
        for _ in range(20):
            client = stack.enter_context(daemon.connect())
            for number in range(3):
                client.send("list", limit=300 - number)
            client.socket.settimeout(0)
            with suppress(BlockingIOError):
                client.socket.sendall(wrong * 128)
            watch.ping(other)
        watch.report("20 left pages of 1 MB unread, and sent 8 MiB of wrong requests")
        assert watch.grown() < 20 * 4
