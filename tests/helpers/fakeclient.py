"""A client without a daemon: it answers from functions, and remembers what it sent."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self

from queuectl.errors import QueuectlError

Params = Mapping[str, Any]
Answer = Callable[[Params], Any]


class FakeStream:
    """The events of a stream; an error among them is raised in its place."""

    def __init__(self, events: Iterable[Any], result: Any) -> None:
        self._events = iter(events)
        self.result = result

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __iter__(self) -> Iterator[Any]:
        for event in self._events:
            if isinstance(event, QueuectlError):
                raise event
            yield event


class FakeClient:
    """Answers each method with the function of that name.

    Attributes:
        sent: every request, in order.
    """

    def __init__(self, **answers: Answer) -> None:
        self._answers = answers
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.greeting: dict[str, Any] = {"uid": -1}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def call(self, method: str, params: Params | None = None) -> Any:
        """Answer, or raise the error that is the answer."""
        return self.receive(self.send(method, params))

    def send(self, method: str, params: Params | None = None) -> int:
        """Remember a request; return its place among all."""
        self.sent.append((method, dict(params or {})))
        return len(self.sent) - 1

    def receive(self, request: int) -> Any:
        """Answer a request that was sent."""
        method, params = self.sent[request]
        answer = self._answers[method.replace(".", "_")](params)
        if isinstance(answer, QueuectlError):
            raise answer
        return answer

    def stream(self, method: str, params: Params | None = None) -> Any:
        """Answer with a stream."""
        return self.call(method, params)
