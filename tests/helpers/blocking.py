"""An asyncio client used as if it blocked, so that one suite can test both."""

import asyncio
import inspect
from collections.abc import Callable
from typing import Any, Self

from queuectl.aio.groups import AsyncGroup


class Blocking:
    """Something of asyncio, every wait of which is waited for.

    Args:
        runner: has the event loop, which runs only while something is waited for.
        target: a client, a group of its methods, or an iterator.
    """

    def __init__(self, runner: asyncio.Runner, target: Any) -> None:
        self._runner = runner
        self._target = target

    def __getattr__(self, name: str) -> Any:
        return self._waited_for(getattr(self._target, name))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        try:
            return self._waited_for(self._target.__anext__())
        except StopAsyncIteration:
            raise StopIteration from None

    def __enter__(self) -> Self:
        self._waited_for(self._target.__aenter__())
        return self

    def __exit__(self, *error: object) -> None:
        self._waited_for(self._target.__aexit__(*error))

    def _waited_for(self, value: Any) -> Any:
        if inspect.isawaitable(value):
            return self._runner.run(_await(value))
        if hasattr(value, "__anext__") or isinstance(value, AsyncGroup):
            return Blocking(self._runner, value)
        return self._waiting(value) if inspect.ismethod(value) else value

    def _waiting(self, method: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **options: self._waited_for(method(*args, **options))


async def _await(value: Any) -> Any:
    return await value
