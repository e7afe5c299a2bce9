"""What a method and a parameter are: the rows that declare them, as data."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from queuectl_protocol.errors import ErrorCode
from queuectl_protocol.vocabulary import Role

READ_ERRORS = (ErrorCode.STORAGE_ERROR,)
WRITE_ERRORS = (ErrorCode.STORAGE_FULL, ErrorCode.STORAGE_ERROR)
"""The error codes of methods that read the store, and of those that write to it."""

Result = dict[str, Any]
Handler = Callable[..., Awaitable[Result]]
"""Takes the ``Call``, then each declared parameter by its name. In a row it is a method
of the family's class, and takes its object before these."""


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter of a method.

    Attributes:
        type: type and range, in the notation of ``json_schema``.
        doc: a phrase that says what it is, and what its absence means.
        check: returns the value for the handler, or raises a ValueError whose text
            completes "<name> ...".
        required: whether it must be given; null counts as absent.
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
        result: the type of the reply, in the notation of ``json_schema``.
        events: the types of its stream's events, without ``sub`` and ``seq``.
        errors: its own error codes, without those that any request can meet.
        role: the lowest role that may call it.
        others: the lowest role for other users' jobs, named by ``id`` or ``ids``, if it
            is higher; None: it is the same. For ``describe`` and the words of a refusal
            only: the handler passes ``Peer.confined_to`` itself.
        changes: the parameters that name the jobs that are changed, by an id, the
            fields of a job, or a list of these; (): it may change any job; None: it
            changes none. What one connection does to one job takes effect in the order
            of its requests.
        audit: the parameters that the log tells with who sent the request; those that
            may hold secrets are not among them. None: the log tells nothing.
        waits: it may take as long as the client likes. Such requests do not count
            against ``max_inflight`` (they have the same limit of their own) and end
            with the connection. Others end by themselves, and are carried out even
            when the client is gone.
        bulky: it only reads, and its reply may be large. Each connection makes one such
            reply at a time, starts it when the client has read the earlier ones, and
            ends it when the client is gone.
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

    def bound_to(self, family: object) -> "Method":
        """Return this method with a handler of one family's object."""
        return replace(self, handler=partial(self.handler, family))
