"""How a call becomes a method of the blocking client.

Each function here takes a function of ``queuectl.calls`` and returns a method with its
parameters and documentation, which carries out what that function returns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from queuectl.calls.call import Call, Part, StreamCall, presented_as
from queuectl.sync.session import Session
from queuectl.sync.stream import Stream

E = TypeVar("E")
P = ParamSpec("P")
T = TypeVar("T")


class Owner(Protocol):
    """What has such methods: the client, or a group of its methods."""

    @property
    def _session(self) -> Session: ...


def method(call: Callable[P, Call[T]]) -> Callable[Concatenate[Owner, P], T]:
    """Return a method that returns the result of a call."""

    @presented_as(call)
    def method(self: Owner, /, *args: P.args, **options: P.kwargs) -> T:
        return perform(self._session, call(*args, **options))

    return method


def method_of_many(
    calls: Callable[P, list[Call[tuple[T, ...]]]],
) -> Callable[Concatenate[Owner, P], tuple[T, ...]]:
    """Return a method that returns the items of all calls, in order.

    All are sent before the first reply is waited for, and all are carried out, also if
    one of them fails.
    """

    @presented_as(calls)
    def method(self: Owner, /, *args: P.args, **options: P.kwargs) -> tuple[T, ...]:
        session = self._session
        asked = calls(*args, **options)
        under_way = [(call, session.send(call.method, call.params)) for call in asked]
        try:
            results = [
                call.read(session.receive(request)) for call, request in under_way
            ]
        finally:
            for _, request in under_way:
                session.forget(request)
        return tuple(item for result in results for item in result)

    return method


def iterator(
    call: Callable[P, Call[Part[T]]],
) -> Callable[Concatenate[Owner, P], Iterator[T]]:
    """Return a method that yields the items of all parts, each fetched when needed."""

    @presented_as(call)
    def method(self: Owner, /, *args: P.args, **options: P.kwargs) -> Iterator[T]:
        return _items(self._session, call(*args, **options))

    return method


def collection(
    call: Callable[P, Call[Part[T]]],
) -> Callable[Concatenate[Owner, P], tuple[T, ...]]:
    """Return a method that returns the items of all parts."""

    @presented_as(call)
    def method(self: Owner, /, *args: P.args, **options: P.kwargs) -> tuple[T, ...]:
        return tuple(_items(self._session, call(*args, **options)))

    return method


def stream(
    call: Callable[P, StreamCall[E, T]],
) -> Callable[Concatenate[Owner, P], Stream[E, T]]:
    """Return a method that returns the events and the result of a call."""

    @presented_as(call)
    def method(self: Owner, /, *args: P.args, **options: P.kwargs) -> Stream[E, T]:
        asked = call(*args, **options)
        return self._session.open_stream(
            asked.method, asked.params, asked.event, asked.read
        )

    return method


def perform(session: Session, call: Call[T]) -> T:
    """Carry out a call; return its typed result."""
    return call.read(session.call(call.method, call.params))


def _items(session: Session, call: Call[Part[T]]) -> Iterator[T]:
    following: Call[Part[T]] | None = call
    while following is not None:
        part = perform(session, following)
        yield from part.items
        following = part.following
