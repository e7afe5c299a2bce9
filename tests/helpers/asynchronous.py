"""Async tests without a plugin: each has a loop of its own, and a deadline."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import ParamSpec

P = ParamSpec("P")

DEADLINE = 30
"""Seconds. What takes longer hangs: the slowest such test takes a second or two."""


def asynchronous(test: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """Let pytest run an async test function."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(DEADLINE):
                await test(*args, **kwargs)

        asyncio.run(bounded())

    return run
