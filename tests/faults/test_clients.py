"""Clients that vanish, dawdle, never read, or come by the thousand.

The figures are printed: ``pytest -rP tests/faults/test_clients.py`` shows them.
"""

import random
import resource
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import cast

import pytest

from faults.resource_use import MIB, Watch
from helpers import waiting
from helpers.daemon import Daemon, a_daemon
from helpers.rawclient import PATIENCE, RawClient
from queuectl_protocol import messages
from queuectl_protocol.errors import ErrorCode
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
    """Somebody who wants nothing but to be served."""
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


def connections(client: RawClient) -> int:
    """Return how many clients there are."""
    count: int = client.call("daemon.status")["connections"]
    return count


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
    """Cut after each of its bytes, it does nothing; whole, it is done, heard or not."""
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
    """Eight mebibytes less one, thirty times over, by clients that then vanish."""
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
    """A page of a megabyte, of which some bytes are read."""
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
    """Twenty megabytes of output, of which some bytes are read."""
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
    """Fifty send so, in turn; each has its request carried out, once."""
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
    """Nothing of it is lost."""
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
    """Twenty ask for a megabyte each, a thousand times: each gets its first."""
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
    """A hundred of them; the output stays where it is."""
    with ExitStack() as stack:
        for _ in range(100):
            client = stack.enter_context(daemon.connect())
            client.send("logs.follow", id="talker")
            watch.ping(other)
        assert watch.grown() < 50
        watch.report("100 never read their streams of 20 MB")


# -- all together ---------------------------------------------------------------------

BUFFERED = 32


@pytest.fixture
def narrow() -> Iterator[Daemon]:
    """A daemon whose clients may have little under way, all together."""
    with a_daemon("--max-buffered", f"{BUFFERED}MiB") as served:
        yield served


def test_half_frames_are_bounded_over_all_connections(narrow: Daemon) -> None:
    """Who holds most is told to come again; the others complete what they began."""
    with narrow.connect() as other, ExitStack() as stack:
        other.greeting()
        watch = Watch(narrow.process.pid)
        frame = a_batch(6 * MIB)
        begun = len(frame) - 1
        crowd = [stack.enter_context(narrow.connect()) for _ in range(60)]
        gone = 0
        for client in crowd:
            gone += not _pushed(client, frame[:begun])
            watch.ping(other)
        kept = [client for client in crowd if not _was_closed(client)]
        assert len(kept) == BUFFERED * MIB // begun
        watch.report(f"60 sent half of a frame of 6 MiB, {BUFFERED} MiB may be held")
        # A frame grows in steps, each in a place of its own once malloc keeps what the
        # refused ones gave back: 44 to 51 MiB in twenty runs.
        assert watch.grown() < BUFFERED * 2
        for client in kept:
            client.socket.sendall(frame[begun:])
            assert client.end(1)
        assert "ids" in other.call("enqueue_many", jobs=[{"command": "true"}] * 1000)
    with narrow.connect() as late:
        late.socket.sendall(frame)
        assert late.end(1)
    assert narrow.log.read_text().count("client_holds_too_much") == len(crowd) - len(
        kept
    )


def test_replies_that_nobody_reads_are_bounded_over_all_connections(
    narrow: Daemon,
) -> None:
    """Each may leave a megabyte, and a hundred of them may not."""
    with narrow.connect() as other, ExitStack() as stack:
        jobs = [{"command": ["true", "x" * 3000], "run_at": NEVER}] * 300
        other.call("enqueue_many", jobs=jobs)
        watch = Watch(narrow.process.pid)
        for _ in range(100):
            stack.enter_context(narrow.connect()).send("list", limit=300)
            watch.ping(other)
        waiting.until(lambda: connections(other) < 60, "many are closed")
        watch.report(f"100 left a page of 1 MB unread, {BUFFERED} MiB may be held")
        # What is sent is kept whole until it is read whole; and there are holes.
        assert watch.grown() < BUFFERED * 3.5
        assert len(other.call("list", limit=300)["jobs"]) == 300


def test_large_requests_have_their_turn_one_after_the_other(daemon: Daemon) -> None:
    """Forty at once, each of which takes twenty times its size when it is read."""
    told = {"field": "no", "index": 0}
    with daemon.connect() as other, ExitStack() as stack:
        other.greeting()
        watch = Watch(daemon.process.pid)
        frame = a_batch(6 * MIB)
        crowd = [stack.enter_context(daemon.connect()) for _ in range(40)]
        for client in crowd:
            client.socket.sendall(frame[:-1])
        for client in crowd:
            client.socket.sendall(frame[-1:])
        watch.ping(other)
        for client in crowd:
            end = client.end(1)
            assert isinstance(end, Failure)
            assert (end.code, end.data) == (ErrorCode.INVALID_PARAMS, told)
        watch.report("40 batches of 6 MiB at once, each 125 MB when it is read")
        assert watch.grown() < 40 * 6 + 130 + 100


def test_requests_that_wait_for_their_reader_wait_checked(
    daemon: Daemon, other: RawClient, watch: Watch
) -> None:
    """What is wrong with them is told at once: a wrong one is never kept."""
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


def a_batch(size: int) -> bytes:
    """Return the frame of a batch that is refused when it is its turn."""
    words = ["ab"] * (size // 3)
    jobs = [{"no": 1, "command": words}]
    return messages.encode(Request(1, "enqueue_many", {"jobs": jobs}))


def _pushed(client: RawClient, data: bytes) -> bool:
    """Send; return whether nobody closed the connection meanwhile."""
    try:
        client.socket.sendall(data)
    except ConnectionError:
        return False
    return True


def _was_closed(client: RawClient) -> bool:
    """Return whether the daemon has closed the connection, which it explains."""
    client.socket.settimeout(0)
    try:
        end = client.end(None)
    except BlockingIOError:
        return False
    finally:
        client.socket.settimeout(PATIENCE)
    assert isinstance(end, Failure)
    assert (end.code, end.retryable) == (ErrorCode.TOO_MANY_REQUESTS, True)
    assert client.at_end()
    return True


# -- two thousand at once -------------------------------------------------------------


@pytest.fixture
def many_files() -> Iterator[None]:
    """Let this process, and the daemon it starts, have thousands of connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 4096:
        pytest.skip(f"no more than {hard} descriptors can be had")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
def test_two_thousand_at_once() -> None:
    """As many as may be are served, the others told; when some go, others may come."""
    limit, count = 500, 2000
    with (
        a_daemon("--max-connections", str(limit)) as served,
        served.connect() as other,
        ExitStack() as stack,
    ):
        other.greeting()
        watch = Watch(served.process.pid)
        crowd = [stack.enter_context(_join(served)) for _ in range(count)]
        watch.ping(other)
        taken = [client for client in crowd if _is_greeted(client)]
        assert len(taken) == limit - 1
        asked = [(client, client.send("ping")) for client in taken]
        watch.ping(other)
        for client, request in asked:
            assert client.result(request) == {}
        watch.report(f"{count} at once, {limit} of them taken")
        assert watch.grown() < 40
        for client in taken[:100]:
            client.close()
        waiting.until(lambda: connections(other) == limit - 100, "100 have gone")
        late = [stack.enter_context(served.connect()) for _ in range(100)]
        assert all(map(_is_greeted, late))


def _join(served: Daemon) -> RawClient:
    def knock() -> RawClient | None:
        # A socket with a timeout is not queued behind a thousand others; one without
        # could wait for ever.
        with suppress(BlockingIOError):
            return served.connect()
        return None

    return cast(RawClient, waiting.until(knock, "there is room to wait in"))


def _is_greeted(client: RawClient) -> bool:
    first = client.wire.receive_data(client.socket.recv(65_536))[0]
    if isinstance(first, Greeting):
        return True
    assert isinstance(first, Failure)
    assert (first.id, first.code) == (None, ErrorCode.TOO_MANY_CONNECTIONS)
    assert first.retryable
    assert client.at_end()
    return False


def test_a_crowd_that_only_knocks_is_no_crowd(daemon: Daemon, watch: Watch) -> None:
    """Three thousand connect and are gone before they are greeted."""
    for _ in range(3000):
        knock = socket.socket(socket.AF_UNIX)
        knock.connect(str(daemon.socket))
        knock.close()
    with _join(daemon) as client:
        watch.ping(client)
    assert watch.grown() * MIB < 20 * MIB
    watch.report("3000 knocked and ran")
