"""What a method is: the row of the dispatch table that declares it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from queuectl_protocol.errors import ErrorCode
from queuectl_protocol.vocabulary import Role

Result = dict[str, Any]
Handler = Callable[..., Awaitable[Result]]
"""Takes the ``Call``, then each declared parameter by its name."""


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter of a method.

    Attributes:
        type: range included, in the notation of ``shapes``: for people, and for the
            schema in ``describe``.
        doc: a phrase that says what it is, and what its absence means.
        check: returns the value as the handler wants it, or raises a ValueError whose
            text completes "<name> ...".
        required: whether it must be there; null counts as absent.
        default: what the handler gets when it is absent.
    """

    name: str
    type: str
    doc: str
    check: Callable[[Any], Any]
    required: bool = False
    default: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A method of the protocol.

    Attributes:
        doc: one or two sentences.
        result: the shape of the reply, in the notation of ``shapes``.
        events: the shapes of its stream's events, ``sub`` and ``seq`` apart.
        errors: its own; those that any request can meet are not among them.
        role: the least one that may call it.
        others: the least one for somebody else's job, named by ``id`` or ``ids``, where
            that is more; to refuse it is for the handler. None: it is the same.
        changes: the parameters that say which jobs are changed, each by an id, the
            fields of a job, or a list of these; (): any job may be; None: none is. What
            one connection does to one job takes effect in the order of its requests.
        audit: names of the parameters that the log tells when it tells who asked for
            this, which for secrets must not be all; None: it does not tell.
        waits: it may take as long as the client likes. Such requests do not count
            against ``max_inflight`` (they have the same limit of their own) and end
            with the connection. Others end by themselves, and are carried out even
            when nobody waits for the reply any more.
        bulky: it only reads, and its reply may be large: one at a time for each
            connection, begun when the client has read what went before, and ended
            with the connection.
    """

    name: str
    doc: str
    handler: Handler
    params: tuple[Param, ...] = ()
    result: str = "{}"
    events: tuple[str, ...] = ()
    errors: tuple[ErrorCode, ...] = ()
    role: Role = Role.ADMIN
    others: Role | None = None
    changes: tuple[str, ...] | None = None
    audit: tuple[str, ...] | None = None
    waits: bool = False
    bulky: bool = False
