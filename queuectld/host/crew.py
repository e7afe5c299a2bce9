"""A few threads for one kind of work that blocks, and for no other.

Whoever has such work has a crew of its own for it, so that a slow disk, a directory
service that does not answer or a long look at the database holds up nobody else. The
event loop's own executor is not used at all: everybody would share it.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_Task = tuple[Callable[[], Any], asyncio.Future[Any]]


class NoThreadError(Exception):
    """The system gives the daemon no thread for this; try again later."""


class Crew:
    """Does what it is given, in the order it came, ``most`` things at a time.

    Its threads are started as they are needed, and are daemons: one that hangs in the
    kernel or in a library does not keep the process from ending.

    Args:
        name: what its threads are called.
        most: threads, and so things done at the same time.
        ready: start one of them at once, for a time in which there is no room for any.
    """

    def __init__(self, name: str, most: int, *, ready: bool = False) -> None:
        self._name = name
        self._most = most
        self._tasks: SimpleQueue[_Task] = SimpleQueue()
        self._threads = 0
        self._unfinished = 0
        if ready:
            with contextlib.suppress(NoThreadError):
                self._grow()

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call it in one of the threads; return what it returns.

        A caller that is cancelled while it waits for its turn is not worked for; what
        has begun goes on to its end.

        Raises:
            NoThreadError: there is none to be had.
            Whatever ``work`` raises.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._grow()
        self._unfinished += 1
        self._tasks.put((lambda: work(*args, **kwargs), future))
        return await future

    def _grow(self) -> None:
        """Start another thread if all there are have something to do."""
        if self._threads >= min(self._most, self._unfinished + 1):
            return
        name = f"{self._name}-{self._threads + 1}"
        try:
            threading.Thread(target=self._serve, name=name, daemon=True).start()
        except RuntimeError:
            if not self._threads:
                raise NoThreadError from None
        else:
            self._threads += 1

    def _serve(self) -> None:
        while True:
            work, future = self._tasks.get()
            result, error = None, None
            try:
                if not future.cancelled():
                    result = work()
            except BaseException as raised:  # noqa: BLE001 - it is the caller's
                error = raised
            # The loop may be gone, and with it whoever asked.
            with contextlib.suppress(RuntimeError):
                loop = future.get_loop()
                loop.call_soon_threadsafe(self._answer, future, result, error)
            # While it waits for the next task, it must not keep the last one's objects.
            del work, future, result, error

    def _answer(
        self, future: asyncio.Future[Any], result: Any, error: BaseException | None
    ) -> None:
        self._unfinished -= 1
        if future.cancelled():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
