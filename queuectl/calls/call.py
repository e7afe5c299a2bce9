"""What a call is made of: a request of the protocol, and how to read its reply."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from queuectl.errors import ProtocolViolationError
from queuectl.submission import Seconds, seconds

T = TypeVar("T")
E = TypeVar("E")
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A request, and how to read its reply."""

    method: str
    params: dict[str, Any]
    parse: Callable[[Any], T]

    def read(self, result: Any) -> T:
        """Return the typed form of a reply's result.

        Raises:
            ProtocolViolationError: the result is not what PROTOCOL.md says.
        """
        try:
            return self.parse(result)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise ProtocolViolationError(
                f"the reply to {self.method} cannot be read: {error!r}"
            ) from error


@dataclass(frozen=True, slots=True)
class StreamCall(Call[T], Generic[E, T]):
    """A request that events answer; ``event`` returns None for an event to skip."""

    event: Callable[[Mapping[str, Any]], E | None]


@dataclass(frozen=True, slots=True)
class Part(Generic[T]):
    """Some of many items, and the call that returns those that follow."""

    items: tuple[T, ...]
    following: Call[Part[T]] | None


WAITS: dict[str, str | None] = {}
"""Methods that the daemon answers only when jobs or workers have done something. A
client's ``timeout`` does not apply to them. The value names the parameter that limits
the wait, if there is one: then the daemon has so many seconds more to answer."""


def waits(method: str, *, until: str | None = None) -> Callable[[F], F]:
    """Mark a call as one of a method that waits for jobs or workers: see ``WAITS``."""
    WAITS[method] = until
    return lambda call: call


def presented_as(call: Callable[..., Any]) -> Callable[[F], F]:
    """Give a client's method the name, documentation and parameters of its call."""

    def present(method: F) -> F:
        parameters = inspect.signature(call).parameters.values()
        method.__name__ = method.__qualname__ = call.__name__.removesuffix("_")
        method.__doc__ = call.__doc__
        method.__signature__ = inspect.Signature([_SELF, *parameters])  # type: ignore[attr-defined]
        return method

    return present


_SELF = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)


def given(**params: Any) -> dict[str, Any]:
    """Return the parameters that have a value."""
    return {name: value for name, value in params.items() if value is not None}


def optional_seconds(value: Seconds | None) -> float | None:
    """Return a duration as it is on the wire; None stays None."""
    return None if value is None else seconds(value)


def as_nothing(_result: Any) -> None:
    """Read a result that says nothing."""
    return


def as_count(key: str) -> Callable[[Any], int]:
    """Return a function that reads a number from a result."""
    return lambda result: int(result[key])


def as_model(model: str, key: str | None = None) -> Callable[[Any], Any]:
    """Return a function that reads a result, or its value at ``key``, as a model."""

    def parse(result: Any) -> Any:
        return model_named(model).from_wire(result if key is None else result[key])

    return parse


def as_models(model: str, key: str) -> Callable[[Any], tuple[Any, ...]]:
    """Return a function that reads the list at ``key`` of a result as models."""

    def parse(result: Any) -> tuple[Any, ...]:
        kind = model_named(model)
        return tuple(kind.from_wire(wire) for wire in result[key])

    return parse


def model_named(name: str) -> Any:
    """Return what ``queuectl.models`` has under that name."""
    # The models take 7 ms to import, and untyped requests do not need them.
    from queuectl import models  # noqa: PLC0415

    return getattr(models, name)
