"""Crowds of clients: what they hold and request together is bounded.

The figures are printed: ``pytest -rP tests/faults/test_client_crowds.py`` shows them.
"""

import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import cast

import pytest

from faults.resource_use import MIB, Watch, connections
from helpers import waiting
from helpers.daemon import Daemon, a_daemon
from helpers.rawclient import PATIENCE, RawClient
from queuectl_protocol import messages
from queuectl_protocol.errors import ErrorCode
from queuectl_protocol.messages import Failure, Greeting, Request

NEVER = "2999-01-01T00:00:00Z"
BUFFERED = 32


@pytest.fixture
def narrow() -> Iterator[Daemon]:
    """A daemon with a low limit on what it buffers for all clients together."""
    with a_daemon("--max-buffered", f"{BUFFERED}MiB") as served:
        yield served


def test_half_frames_are_bounded_over_all_connections(narrow: Daemon) -> None:
    """The client that holds most is told to retry; the others complete their frames."""
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
    """Each client may leave a megabyte unread, but a hundred clients may not."""
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


def test_large_requests_have_their_turn_one_after_the_other() -> None:
    """Forty at once, each of which takes twenty times its size when it is decoded."""
    told = {"field": "no", "index": 0}
    with a_daemon() as daemon, daemon.connect() as other, ExitStack() as stack:
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


@pytest.fixture
def many_files() -> Iterator[None]:
    """Let this process and the daemon that it starts have thousands of connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 4096:
        pytest.skip(f"no more than {hard} descriptors can be had")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
def test_two_thousand_at_once() -> None:
    """The maximum is served, the others are refused; free places are taken again."""
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


def test_a_crowd_that_only_knocks_is_no_crowd() -> None:
    """Three thousand connect and close before the greeting."""
    with a_daemon() as daemon, daemon.connect() as other:
        waiting.until(lambda: connections(other) == 1, "it is served alone")
        watch = Watch(daemon.process.pid)
        for _ in range(3000):
            knock = socket.socket(socket.AF_UNIX)
            knock.connect(str(daemon.socket))
            knock.close()
        with _join(daemon) as client:
            watch.ping(client)
        assert watch.grown() < 20
        watch.report("3000 knocked and ran")
        waiting.until(lambda: connections(other) == 1, "the clients are gone")
        waiting.until(watch.released, "what they had open is closed")


def a_batch(size: int) -> bytes:
    """Return the frame of a batch that is refused when its turn comes."""
    words = ["ab"] * (size // 3)
    jobs = [{"no": 1, "command": words}]
    return messages.encode(Request(1, "enqueue_many", {"jobs": jobs}))


def _pushed(client: RawClient, data: bytes) -> bool:
    """Send; return whether the connection stayed open meanwhile."""
    try:
        client.socket.sendall(data)
    except ConnectionError:
        return False
    return True


def _was_closed(client: RawClient) -> bool:
    """Return whether the daemon has closed the connection, with its reason."""
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
