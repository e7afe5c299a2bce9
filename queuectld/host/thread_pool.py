"""Threads of their own for each kind of blocking work.

Each part that blocks has a pool of its own, so that a slow disk, a directory service
that does not answer or a long read of the database delays nobody else. The executor of
the event loop is not used at all: all parts would share it.
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


class ThreadPool:
    """Calls functions in threads, in the order of the requests.

    The threads are started when they are needed. They are daemon threads: one that
    hangs in the kernel or in a library does not keep the process from ending.

    Args:
        name: the prefix of the threads' names.
        size: the most threads, and so the most calls at the same time.
        ready: start one thread at once, for a time when the system has none to give.
    """

    def __init__(self, name: str, size: int, *, ready: bool = False) -> None:
        self._name = name
        self._size = size
        self._tasks: SimpleQueue[_Task] = SimpleQueue()
        self._threads = 0
        self._unfinished = 0
        if ready:
            with contextlib.suppress(NoThreadError):
                self._grow()

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call it in one of the threads; return what it returns.

        If the caller is cancelled before the call begins, there is no call. A call that
        has begun goes on to its end.

        Raises:
            NoThreadError: the system has no thread to give.
            Whatever ``work`` raises.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._grow()
        self._unfinished += 1
        self._tasks.put((lambda: work(*args, **kwargs), future))
        return await future

    def _grow(self) -> None:
        """Start another thread if all threads are busy."""
        if self._threads >= min(self._size, self._unfinished + 1):
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
            # The loop may be closed by now; then the caller is gone as well.
            with contextlib.suppress(RuntimeError):
                loop = future.get_loop()
                loop.call_soon_threadsafe(self._answer, future, result, error)
            # A thread that waits must not keep the objects of its last task alive.
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
