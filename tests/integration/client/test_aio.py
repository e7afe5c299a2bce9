"""The asyncio client against real sockets: many tasks, cancellation, slow readers."""

import asyncio
import gc
import threading

import pytest

from helpers.asynchronous import asynchronous
from helpers.stub_daemon import Peer, Serve, answering, returning
from queuectl import errors
from queuectl.aio.client import AsyncClient
from queuectl_protocol.errors import ErrorCode
from queuectl_protocol.messages import Request

DEADLINE = 20.0


async def happened(event: threading.Event) -> None:
    """Wait for something in the stub daemon's threads."""
    assert await asyncio.to_thread(event.wait, DEADLINE)


@asynchronous
async def test_tasks_share_a_connection(serve: Serve) -> None:
    """Each gets its own reply, in whatever order they come."""

    def last_first(peer: Peer) -> None:
        peer.greet()
        requests: list[Request] = []
        while len(requests) < 3:
            requests += peer.receive()
        for request in reversed(requests):
            peer.reply(request, request.params["n"])
        peer.receive()

    daemon = serve(last_first)
    async with AsyncClient(daemon.path) as q:
        calls = [q.call("n", {"n": n}) for n in range(3)]
        assert await asyncio.gather(*calls) == [0, 1, 2]
    assert daemon.accepted == 1


@asynchronous
async def test_the_first_request_connects(serve: Serve) -> None:
    """``async with`` is for closing; tasks that start at once share one connection."""
    daemon = serve(answering({"ping": returning({})}))
    q = AsyncClient(daemon.path)
    with pytest.raises(RuntimeError, match="not connected"):
        _ = q.greeting
    await asyncio.gather(q.ping(), q.ping())
    assert q.greeting["server"] == "queuectld"
    await q.close()
    with pytest.raises(RuntimeError, match="closed"):
        await q.ping()
    assert daemon.accepted == 1


@asynchronous
async def test_a_cancelled_call_leaves_the_connection_whole(serve: Serve) -> None:
    """Its late reply is dropped."""
    begun, cancelled = threading.Event(), threading.Event()

    def late(peer: Peer) -> None:
        peer.greet()
        (slow,) = peer.receive()
        begun.set()
        assert cancelled.wait(DEADLINE)
        peer.reply(slow, "late")
        (following,) = peer.receive()
        peer.reply(following, "in time")
        peer.receive()

    daemon = serve(late)
    async with AsyncClient(daemon.path) as q:
        slow = asyncio.create_task(q.call("slow"))
        await happened(begun)
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        cancelled.set()
        assert await q.call("next") == "in time"


@asynchronous
async def test_a_call_without_an_answer_runs_out(serve: Serve) -> None:
    """With a timeout of the client's."""
    daemon = serve(answering({"slow": lambda _p, _r: None}))
    async with AsyncClient(daemon.path, timeout=1) as q:
        with pytest.raises(errors.RequestTimeoutError, match="slow in time"):
            await q.call("slow")


@asynchronous
async def test_a_daemon_that_does_not_greet_is_given_up(serve: Serve) -> None:
    """The same timeout is for connecting."""
    daemon = serve(lambda peer: peer.receive())
    with pytest.raises(errors.RequestTimeoutError, match="greet"):
        await AsyncClient(daemon.path, timeout=0.05).connect()


@asynchronous
async def test_a_lost_connection_is_mended_by_the_next_request(serve: Serve) -> None:
    """All that was under way learns that its outcome is unknown."""

    def die(peer: Peer) -> None:
        peer.greet()
        requests: list[Request] = []
        while len(requests) < 2:
            requests += peer.receive()

    daemon = serve(die, answering({"ping": returning({})}, instance="b"))
    async with AsyncClient(daemon.path) as q:
        results = await asyncio.gather(q.call("a"), q.call("b"), return_exceptions=True)
        assert [type(r) for r in results] == [errors.ConnectionLostError] * 2
        await q.wait_closed()
        await q.ping()
        assert q.greeting["instance"] == "b"


@asynchronous
async def test_the_reason_for_a_closed_connection_is_raised(serve: Serve) -> None:
    """Also when it comes while a large request is being written."""

    def refuse(peer: Peer) -> None:
        peer.greet()
        peer.fail(None, ErrorCode.FRAME_TOO_LARGE, "too large for me")

    daemon = serve(refuse)
    async with AsyncClient(daemon.path) as q:
        with pytest.raises(errors.FrameTooLargeError, match="for me"):
            await q.call("enqueue", {"data": b"x" * 4_000_000})


@asynchronous
async def test_a_refused_connection_says_why(serve: Serve) -> None:
    """The reason comes in the greeting's place."""
    daemon = serve(lambda peer: peer.fail(None, ErrorCode.TOO_MANY_CONNECTIONS))
    with pytest.raises(errors.TooManyConnectionsError):
        await AsyncClient(daemon.path).connect()


@asynchronous
async def test_closing_ends_what_is_under_way(serve: Serve) -> None:
    """No task is left waiting for ever."""
    begun = threading.Event()
    daemon = serve(answering({"slow": lambda _p, _r: begun.set()}))
    q = AsyncClient(daemon.path)
    slow = asyncio.create_task(q.call("slow"))
    await happened(begun)
    await q.close()
    with pytest.raises(errors.ConnectionLostError):
        await slow


@asynchronous
async def test_a_stream_yields_its_events_then_has_its_result(serve: Serve) -> None:
    """It has a connection to itself, so that calls go on beside it."""

    def follow(peer: Peer, request: Request) -> None:
        for n in (1, 2, 3):
            peer.event(request, n, n=n)
        peer.reply(request, "end")

    daemon = serve(answering({"follow": follow, "ping": returning({})}))
    async with AsyncClient(daemon.path) as q:
        seen = []
        stream = q.stream("follow")
        async for event in stream:
            await q.ping()
            seen.append(event["n"])
        assert seen == [1, 2, 3]
        assert stream.result == "end"
    assert daemon.accepted == 2


@asynchronous
async def test_a_slow_reader_holds_up_its_stream_and_nothing_else(serve: Serve) -> None:
    """Events wait in the daemon, not in this process; calls are answered."""
    # Events are small against the buffer: the flood must not be stuck within one.
    held, count, size = threading.Event(), 4000, 10_000

    def flood(peer: Peer, request: Request) -> None:
        for n in range(1, count + 1):
            if peer.is_held_up():
                held.set()
            peer.event(request, n, data=b"x" * size)
        peer.reply(request, None)

    daemon = serve(answering({"follow": flood, "ping": returning({})}))
    async with AsyncClient(daemon.path) as q, q.stream("follow") as stream:
        seen = len((await anext(stream))["data"])
        await happened(held)
        await q.ping()
        async for event in stream:
            seen += len(event["data"])
        assert seen == count * size


@pytest.mark.parametrize("close", [True, False])
@asynchronous
async def test_a_stream_left_early_is_disconnected(serve: Serve, close: bool) -> None:
    """Closed or dropped, the daemon learns of it at once."""
    gone = threading.Event()

    def follow(peer: Peer, request: Request) -> None:
        peer.event(request, 1)
        assert peer.receive() == []
        gone.set()

    daemon = serve(answering({"follow": follow}))
    q = AsyncClient(daemon.path)
    stream = q.stream("follow")
    async for _ in stream:
        break
    if close:
        await stream.close()
    else:
        del stream
        gc.collect()
    await happened(gone)


@asynchronous
async def test_a_stream_that_is_refused_raises(serve: Serve) -> None:
    """Where its first event is asked for."""
    daemon = serve(answering({}))
    stream = AsyncClient(daemon.path).stream("follow")
    with pytest.raises(errors.UnknownMethodError):
        await anext(stream)
    assert [event async for event in stream] == []


@asynchronous
async def test_a_batch_is_sent_when_the_one_before_is_stored(serve: Serve) -> None:
    """A refusal is told with its place among all jobs."""
    sizes: list[int] = []

    def store(peer: Peer, request: Request) -> None:
        sizes.append(len(request.params["jobs"]))
        if len(sizes) == 2:
            peer.fail(request, ErrorCode.INVALID_PARAMS, "no", {"index": 5})
        else:
            peer.reply(request, {"ids": ["1"] * sizes[-1]})

    daemon = serve(answering({"enqueue_many": store}))
    async with AsyncClient(daemon.path) as q:
        with pytest.raises(errors.InvalidParamsError) as caught:
            await q.enqueue_many(["true"] * 3000, inherit=False)
        assert caught.value.data["index"] == 1005
        assert len(caught.value.data["ids"]) == 1000
        assert len(await q.enqueue_many(["true"] * 3, inherit=False)) == 3
    assert sizes == [1000, 1000, 3]


@asynchronous
async def test_logs_are_fetched_piece_by_piece(serve: Serve) -> None:
    """As an asynchronous iterator."""

    def read(peer: Peer, request: Request) -> None:
        offset = request.params.get("offset", 0)
        piece = b"abc"[offset : offset + 1]
        peer.reply(request, {"run": 1, "data": piece, "next": offset + 1, "size": 3})

    daemon = serve(answering({"logs.read": read}))
    async with AsyncClient(daemon.path) as q:
        assert [piece async for piece in q.logs("7")] == [b"a", b"b", b"c"]


@asynchronous
async def test_a_connection_made_for_a_cancelled_task_is_closed(serve: Serve) -> None:
    """The thread that makes it cannot be stopped, so its socket is closed."""
    closed = threading.Event()

    def script(peer: Peer) -> None:
        peer.receive()
        closed.set()

    daemon = serve(script)
    connecting = asyncio.create_task(AsyncClient(daemon.path).connect())
    await asyncio.sleep(0)  # it runs up to its first wait
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    await happened(closed)
