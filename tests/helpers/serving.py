"""A server with a table of its own, in a thread, for tests of connections."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, cast

from helpers.rawclient import PATIENCE, RawClient
from queuectld.clock import SystemClock
from queuectld.config import DaemonConfig
from queuectld.server.connection.listener import Listener
from queuectld.server.connection.registry import Registry
from queuectld.server.parts import Parts
from queuectld.server.schema.method import Method


class Moment:
    """Something that happens in one thread and is waited for in another."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._count = 0

    @property
    def count(self) -> int:
        """How often it has happened."""
        return self._count

    def happen(self) -> None:
        """Let it happen once more."""
        with self._changed:
            self._count += 1
            self._changed.notify_all()

    def wait(self, times: int = 1) -> None:
        """Wait until it has happened so often."""
        with self._changed:
            reached = self._changed.wait_for(lambda: self._count >= times, PATIENCE)
        assert reached, f"it happened {self._count} times, not {times}"


@dataclass
class Served:
    """A running server.

    Attributes:
        connections: those that are open.
        released: happens when a connection is over.
    """

    socket: Path
    connections: Registry
    released: Moment = field(default_factory=Moment)
    listener: Listener | None = None
    _loop: asyncio.AbstractEventLoop | None = None

    def connect(self) -> RawClient:
        """Connect to it."""
        return RawClient(self.socket)

    def run(self, function: Callable[[], Any]) -> Any:
        """Run a function, or a coroutine, in the server's loop; return its result."""
        assert self._loop is not None

        async def call() -> Any:
            result = function()
            return await result if asyncio.iscoroutine(result) else result

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(PATIENCE)

    def close(self) -> None:
        """Shut it down, as the daemon does."""
        assert self.listener is not None
        self.run(self.listener.close)


@contextmanager
def serving(methods: Mapping[str, Method], **limits: Any) -> Iterator[Served]:
    """Serve these methods under these limits of the configuration."""
    with TemporaryDirectory(prefix="queuectl-") as folder:
        home = Path(folder)
        config = DaemonConfig(
            state_dir=home, runtime_dir=home, socket=home / "s", **limits
        )
        connections = Registry()
        served = Served(config.socket, connections)
        supervisor = SimpleNamespace(release=lambda _owner: served.released.happen())
        parts = Parts(
            broker=cast("Any", SimpleNamespace(job=None)),
            store=cast("Any", None),
            pool=cast("Any", None),
            supervisor=cast("Any", supervisor),
            attempts=cast("Any", None),
            pruner=cast("Any", None),
            shutdown=cast("Any", None),
            config=lambda: config,
            socket=config.socket,
            clock=SystemClock(),
            instance="0" * 16,
            started_at=0,
            connections=connections,
        )
        with _in_thread(served, parts, methods):
            yield served


@contextmanager
def _in_thread(
    served: Served, parts: Parts, methods: Mapping[str, Method]
) -> Iterator[None]:
    open_, over = threading.Event(), asyncio.Event()

    async def serve() -> None:
        served._loop = asyncio.get_running_loop()
        served.listener = await Listener.open(parts, methods=methods)
        open_.set()
        await over.wait()
        await served.listener.close()

    thread = threading.Thread(target=asyncio.run, args=[serve()])
    thread.start()
    assert open_.wait(PATIENCE)
    try:
        yield
    finally:
        assert served._loop is not None
        served._loop.call_soon_threadsafe(over.set)
        thread.join()
