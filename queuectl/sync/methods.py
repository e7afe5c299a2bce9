"""How a call becomes a method of the blocking client.

Each of the first functions takes a function of ``queuectl.calls`` and returns a method
with its parameters and documentation, which carries out what that function returns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from queuectl.calls.call import Call, Part, StreamCall, presented_as
from queuectl.sync.session import Session
from queuectl.sync.stream import EventStream

C = TypeVar("C")
E = TypeVar("E")
P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Owner(Protocol):
    """What has such methods: the client, or a group of its methods."""

    @property
    def _session(self) -> Session: ...


def method(call: Callable[P, Call[T]]) -> Callable[Concatenate[Owner, P], T]:
    """Return a method that returns the result of a call."""
    return _method(call, perform)


def method_of_many(
    calls: Callable[P, list[Call[tuple[T, ...]]]],
) -> Callable[Concatenate[Owner, P], tuple[T, ...]]:
    """Return a method that returns the items of all calls, in order."""
    return _method(calls, _perform_many)


def iterator(
    call: Callable[P, Call[Part[T]]],
) -> Callable[Concatenate[Owner, P], Iterator[T]]:
    """Return a method that yields the items of all parts, each fetched when needed."""
    return _method(call, _items)


def collection(
    call: Callable[P, Call[Part[T]]],
) -> Callable[Concatenate[Owner, P], tuple[T, ...]]:
    """Return a method that returns the items of all parts."""
    return _method(call, lambda session, asked: tuple(_items(session, asked)))


def stream(
    call: Callable[P, StreamCall[E, T]],
) -> Callable[Concatenate[Owner, P], EventStream[E, T]]:
    """Return a method that returns the events and the result of a call."""
    return _method(call, Session.open_stream)


def _method(
    call: Callable[P, C], carry_out: Callable[[Session, C], R]
) -> Callable[Concatenate[Owner, P], R]:
    @presented_as(call)
    def method(self: Owner, /, *args: P.args, **options: P.kwargs) -> R:
        return carry_out(self._session, call(*args, **options))

    return method


def perform(session: Session, call: Call[T]) -> T:
    """Carry out a call; return its typed result."""
    return call.read(session.call(call.method, call.params))


def _perform_many(session: Session, calls: list[Call[tuple[T, ...]]]) -> tuple[T, ...]:
    # All are sent before the first reply is waited for, and all are carried out, also
    # if one of them fails.
    under_way = [(call, session.send(call.method, call.params)) for call in calls]
    try:
        results = [call.read(session.receive(request)) for call, request in under_way]
    finally:
        for _, request in under_way:
            session.forget(request)
    return tuple(item for result in results for item in result)


def _items(session: Session, call: Call[Part[T]]) -> Iterator[T]:
    following: Call[Part[T]] | None = call
    while following is not None:
        part = perform(session, following)
        yield from part.items
        following = part.following
