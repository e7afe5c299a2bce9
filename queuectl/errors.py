"""The exceptions of the clients.

    QueuectlError
    ├── DaemonNotRunningError        nothing answers on the socket
    │   ├── AutostartError           a daemon was started and did not come up
    │   └── DaemonUnreachableError   a daemon runs, and does not answer
    ├── SocketPathError              the socket's path is longer than the kernel allows
    ├── CurrentDirectoryError        a job cannot inherit a directory that is gone
    ├── ConnectionLostError          the daemon went away: the outcome is unknown
    ├── ProtocolViolationError       what answers does not speak the protocol
    │   └── IncompatibleDaemonError  it speaks another version of it
    ├── RequestTimeoutError          no answer in time            (a TimeoutError too)
    ├── WaitTimeoutError             the job is not final in time (a TimeoutError too)
    └── RequestError                 the daemon answered with an error:
        ├── BadRequestError          bad_request
        ├── UnknownMethodError       unknown_method
        ├── InvalidParamsError       invalid_params
        ├── NotFoundError            not_found
        ├── AlreadyExistsError       already_exists
        ├── ConflictError            conflict
        ├── InvalidStateError        invalid_state
        ├── QueueFullError           queue_full
        ├── StorageFullError         storage_full
        ├── StorageError             storage_error
        ├── FrameTooLargeError       frame_too_large
        ├── TooManyRequestsError     too_many_requests
        ├── TooManyConnectionsError  too_many_connections
        ├── ForbiddenError           forbidden
        ├── ShuttingDownError        shutting_down
        └── InternalError            internal

A code that this version does not know, from a newer daemon, is raised as a plain
``RequestError``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from queuectl_protocol.errors import RETRYABLE, ErrorCode

if TYPE_CHECKING:
    from queuectl_protocol.messages import Failure  # brings msgpack

_RETRYABLE = RETRYABLE | {"daemon_not_running"}


class QueuectlError(Exception):
    """The request could not be carried out.

    Attributes:
        code: a stable word for programs. ``RequestError`` and its subclasses have the
            codes of the protocol; the other codes are this client's own.
        data: details for programs, by name.
        retryable: the request was not carried out, and may succeed later, unchanged.
    """

    default_code: ClassVar[str] = "error"

    def __init__(
        self,
        message: str | None = None,
        *,
        data: Mapping[str, Any] | None = None,
        code: str | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message or self._default_message())
        self.code = code or self.default_code
        self.data = dict(data or {})
        self.retryable = self.code in _RETRYABLE if retryable is None else retryable

    @classmethod
    def _default_message(cls) -> str:
        # With python -OO there are no docstrings.
        return (cls.__doc__ or cls.__name__).partition("\n")[0]


class DaemonNotRunningError(QueuectlError):
    """No daemon answers; start one: queuectl daemon start."""

    default_code = "daemon_not_running"


class AutostartError(DaemonNotRunningError):
    """The daemon could not be started."""

    default_code = "autostart_failed"


class DaemonUnreachableError(DaemonNotRunningError):
    """A daemon runs, and does not answer at its socket."""

    default_code = "daemon_unreachable"


class SocketPathError(QueuectlError):
    """The socket's path is longer than the kernel allows."""

    default_code = "socket_path"


class CurrentDirectoryError(QueuectlError):
    """The current directory is gone: change to another, or give the job a cwd."""

    default_code = "current_directory"


class ConnectionLostError(QueuectlError):
    """The daemon closed the connection; what became of the request is unknown."""

    default_code = "connection_lost"


class ProtocolViolationError(QueuectlError):
    """What answers on the socket does not speak queuectl's protocol."""

    default_code = "protocol_violation"


class IncompatibleDaemonError(ProtocolViolationError):
    """The daemon and this client have no version of the protocol in common."""

    default_code = "incompatible_daemon"


class RequestTimeoutError(QueuectlError, TimeoutError):
    """The daemon did not answer in time; it may still carry out the request."""

    default_code = "request_timeout"


class WaitTimeoutError(QueuectlError, TimeoutError):
    """The job did not reach a final state in time; it goes on."""

    default_code = "wait_timeout"


class RequestError(QueuectlError):
    """The daemon answered with an error."""


class BadRequestError(RequestError):
    """The daemon could not read the request."""

    default_code = ErrorCode.BAD_REQUEST


class UnknownMethodError(RequestError):
    """The daemon has no such method; it may be older than this client."""

    default_code = ErrorCode.UNKNOWN_METHOD


class InvalidParamsError(RequestError):
    """A parameter is unknown, missing or out of range."""

    default_code = ErrorCode.INVALID_PARAMS


class NotFoundError(RequestError):
    """No job has this id."""

    default_code = ErrorCode.NOT_FOUND


class AlreadyExistsError(RequestError):
    """A job with this id exists."""

    default_code = ErrorCode.ALREADY_EXISTS


class ConflictError(RequestError):
    """What exists differs from what was asked for."""

    default_code = ErrorCode.CONFLICT


class InvalidStateError(RequestError):
    """This cannot be done in the state the job is in."""

    default_code = ErrorCode.INVALID_STATE


class QueueFullError(RequestError):
    """The queue is full: ``max_queued`` jobs wait."""

    default_code = ErrorCode.QUEUE_FULL


class StorageFullError(RequestError):
    """The daemon's disk is full; nothing was changed."""

    default_code = ErrorCode.STORAGE_FULL


class StorageError(RequestError):
    """The daemon's database failed; its log says how."""

    default_code = ErrorCode.STORAGE_ERROR


class FrameTooLargeError(RequestError):
    """The request is larger than the daemon takes; split it."""

    default_code = ErrorCode.FRAME_TOO_LARGE


class TooManyRequestsError(RequestError):
    """Too many requests of this connection are unanswered."""

    default_code = ErrorCode.TOO_MANY_REQUESTS


class TooManyConnectionsError(RequestError):
    """The daemon has too many connections."""

    default_code = ErrorCode.TOO_MANY_CONNECTIONS


class ForbiddenError(RequestError):
    """Your role does not allow this, or the daemon does not serve you at all."""

    default_code = ErrorCode.FORBIDDEN


class ShuttingDownError(RequestError):
    """The daemon is shutting down."""

    default_code = ErrorCode.SHUTTING_DOWN


class InternalError(RequestError):
    """The daemon failed because of a fault of its own; its log says which."""

    default_code = ErrorCode.INTERNAL


BY_CODE: Mapping[str, type[RequestError]] = MappingProxyType(
    {kind.default_code: kind for kind in RequestError.__subclasses__()}
)
"""The exception for each error code of the protocol."""


def from_failure(failure: Failure) -> RequestError:
    """Return the exception for a failure that the daemon sent."""
    kind = BY_CODE.get(failure.code, RequestError)
    return kind(
        failure.message,
        data=failure.data,
        code=failure.code,
        retryable=failure.retryable,
    )
