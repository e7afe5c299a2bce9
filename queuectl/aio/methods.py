"""How a call becomes a method of the asyncio client: see ``queuectl.sync.methods``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from queuectl.aio.session import AsyncSession
from queuectl.aio.stream import AsyncStream
from queuectl.calls.call import Call, Part, StreamCall, presented_as

E = TypeVar("E")
P = ParamSpec("P")
T = TypeVar("T")


class AsyncOwner(Protocol):
    """What has such methods: the client, or a group of its methods."""

    @property
    def _session(self) -> AsyncSession: ...


def method(
    call: Callable[P, Call[T]],
) -> Callable[Concatenate[AsyncOwner, P], Coroutine[Any, Any, T]]:
    """Return a method that returns the result of a call."""

    @presented_as(call)
    async def method(self: AsyncOwner, /, *args: P.args, **options: P.kwargs) -> T:
        return await perform(self._session, call(*args, **options))

    return method


def method_of_many(
    calls: Callable[P, list[Call[tuple[T, ...]]]],
) -> Callable[Concatenate[AsyncOwner, P], Coroutine[Any, Any, tuple[T, ...]]]:
    """Return a method that returns the items of all calls, in order.

    All are sent before the first reply is waited for, and all are carried out, also if
    one of them fails.
    """

    @presented_as(calls)
    async def method(
        self: AsyncOwner, /, *args: P.args, **options: P.kwargs
    ) -> tuple[T, ...]:
        asked = calls(*args, **options)
        results = await asyncio.gather(
            *[perform(self._session, each) for each in asked]
        )
        return tuple(item for result in results for item in result)

    return method


def iterator(
    call: Callable[P, Call[Part[T]]],
) -> Callable[Concatenate[AsyncOwner, P], AsyncIterator[T]]:
    """Return a method that yields the items of all parts, each fetched when needed."""

    @presented_as(call)
    def method(
        self: AsyncOwner, /, *args: P.args, **options: P.kwargs
    ) -> AsyncIterator[T]:
        return _items(self._session, call(*args, **options))

    return method


def collection(
    call: Callable[P, Call[Part[T]]],
) -> Callable[Concatenate[AsyncOwner, P], Coroutine[Any, Any, tuple[T, ...]]]:
    """Return a method that returns the items of all parts."""

    @presented_as(call)
    async def method(
        self: AsyncOwner, /, *args: P.args, **options: P.kwargs
    ) -> tuple[T, ...]:
        items = _items(self._session, call(*args, **options))
        return tuple([item async for item in items])

    return method


def stream(
    call: Callable[P, StreamCall[E, T]],
) -> Callable[Concatenate[AsyncOwner, P], AsyncStream[E, T]]:
    """Return a method that returns the events and the result of a call."""

    @presented_as(call)
    def method(
        self: AsyncOwner, /, *args: P.args, **options: P.kwargs
    ) -> AsyncStream[E, T]:
        asked = call(*args, **options)
        return self._session.open_stream(
            asked.method, asked.params, asked.event, asked.read
        )

    return method


async def perform(session: AsyncSession, call: Call[T]) -> T:
    """Carry out a call; return its typed result."""
    return call.read(await session.call(call.method, call.params))


async def _items(session: AsyncSession, call: Call[Part[T]]) -> AsyncIterator[T]:
    following: Call[Part[T]] | None = call
    while following is not None:
        part = await perform(session, following)
        for item in part.items:
            yield item
        following = part.following
