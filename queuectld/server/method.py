"""What a method is: the row of the dispatch table that declares it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from queuectl_protocol.errors import ErrorCode
from queuectld.server.params import Param

Result = dict[str, Any]
Handler = Callable[..., Awaitable[Result]]
"""Takes the ``Call``, then each declared parameter by its name."""


class Role(StrEnum):
    """What a client may do.

    Whoever may enqueue runs code as the daemon's user, so there is one role until
    jobs run as their submitters.
    """

    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A method of the protocol.

    Attributes:
        doc: one or two sentences.
        result: the shape of the reply, for people.
        errors: its own; those that any request can meet are not among them.
        role: who may call it.
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
    errors: tuple[ErrorCode, ...] = ()
    role: Role = Role.ADMIN
    waits: bool = False
    bulky: bool = False
