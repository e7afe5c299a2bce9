"""How a call becomes a method of the asyncio client: see ``queuectl.sync.methods``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from queuectl.aio.session import AsyncSession
from queuectl.aio.stream import AsyncEventStream
from queuectl.calls.call import Call, Part, StreamCall, presented_as

C = TypeVar("C")
E = TypeVar("E")
P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class AsyncOwner(Protocol):
    """What has such methods: the client, or a group of its methods."""

    @property
    def _session(self) -> AsyncSession: ...


def method(
    call: Callable[P, Call[T]],
) -> Callable[Concatenate[AsyncOwner, P], Coroutine[Any, Any, T]]:
    """Return a method that returns the result of a call."""
    return _async_method(call, perform)


def method_of_many(
    calls: Callable[P, list[Call[tuple[T, ...]]]],
) -> Callable[Concatenate[AsyncOwner, P], Coroutine[Any, Any, tuple[T, ...]]]:
    """Return a method that returns the items of all calls, in order."""
    return _async_method(calls, _perform_many)


def iterator(
    call: Callable[P, Call[Part[T]]],
) -> Callable[Concatenate[AsyncOwner, P], AsyncIterator[T]]:
    """Return a method that yields the items of all parts, each fetched when needed."""
    return _method(call, _items)


def collection(
    call: Callable[P, Call[Part[T]]],
) -> Callable[Concatenate[AsyncOwner, P], Coroutine[Any, Any, tuple[T, ...]]]:
    """Return a method that returns the items of all parts."""
    return _async_method(call, _collect)


def stream(
    call: Callable[P, StreamCall[E, T]],
) -> Callable[Concatenate[AsyncOwner, P], AsyncEventStream[E, T]]:
    """Return a method that returns the events and the result of a call."""
    return _method(call, AsyncSession.open_stream)


def _method(
    call: Callable[P, C], carry_out: Callable[[AsyncSession, C], R]
) -> Callable[Concatenate[AsyncOwner, P], R]:
    @presented_as(call)
    def method(self: AsyncOwner, /, *args: P.args, **options: P.kwargs) -> R:
        return carry_out(self._session, call(*args, **options))

    return method


def _async_method(
    call: Callable[P, C], carry_out: Callable[[AsyncSession, C], Coroutine[Any, Any, R]]
) -> Callable[Concatenate[AsyncOwner, P], Coroutine[Any, Any, R]]:
    @presented_as(call)
    async def method(self: AsyncOwner, /, *args: P.args, **options: P.kwargs) -> R:
        return await carry_out(self._session, call(*args, **options))

    return method


async def perform(session: AsyncSession, call: Call[T]) -> T:
    """Carry out a call; return its typed result."""
    return call.read(await session.call(call.method, call.params))


async def _perform_many(
    session: AsyncSession, calls: list[Call[tuple[T, ...]]]
) -> tuple[T, ...]:
    results = await asyncio.gather(*[perform(session, call) for call in calls])
    return tuple(item for result in results for item in result)


async def _items(session: AsyncSession, call: Call[Part[T]]) -> AsyncIterator[T]:
    following: Call[Part[T]] | None = call
    while following is not None:
        part = await perform(session, following)
        for item in part.items:
            yield item
        following = part.following


async def _collect(session: AsyncSession, call: Call[Part[T]]) -> tuple[T, ...]:
    return tuple([item async for item in _items(session, call)])
