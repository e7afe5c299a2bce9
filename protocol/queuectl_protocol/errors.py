"""The error codes of the protocol, and the exceptions for what breaks the protocol.

The codes are stable: a version may add one, and none changes its meaning.
"""

from enum import StrEnum


class ErrorCode(StrEnum):
    """The values of ``error.code``."""

    BAD_REQUEST = "bad_request"
    UNKNOWN_METHOD = "unknown_method"
    INVALID_PARAMS = "invalid_params"
    NOT_FOUND = "not_found"
    ALREADY_EXISTS = "already_exists"
    CONFLICT = "conflict"
    INVALID_STATE = "invalid_state"
    QUEUE_FULL = "queue_full"
    STORAGE_FULL = "storage_full"
    STORAGE_ERROR = "storage_error"
    FRAME_TOO_LARGE = "frame_too_large"
    TOO_MANY_REQUESTS = "too_many_requests"
    TOO_MANY_CONNECTIONS = "too_many_connections"
    FORBIDDEN = "forbidden"
    SHUTTING_DOWN = "shutting_down"
    INTERNAL = "internal"


RETRYABLE = frozenset(
    {
        ErrorCode.QUEUE_FULL,
        ErrorCode.STORAGE_FULL,
        ErrorCode.TOO_MANY_REQUESTS,
        ErrorCode.TOO_MANY_CONNECTIONS,
        ErrorCode.SHUTTING_DOWN,
    }
)
"""Codes after which the same request may succeed later, unchanged."""


class ProtocolError(Exception):
    """The peer sent bytes that are not this protocol; the connection is unusable."""


class FrameTooLargeError(ProtocolError):
    """A frame announces more bytes than the limit in force.

    Attributes:
        length: bytes announced.
        limit: bytes allowed.
    """

    def __init__(self, length: int, limit: int) -> None:
        super().__init__(f"a frame of {length} bytes is over the limit of {limit}")
        self.length = length
        self.limit = limit


class BadMessageError(ProtocolError):
    """A frame holds no valid message; the frames after it are still readable.

    Attributes:
        id: the id of the request in it, if that could be read.
    """

    def __init__(self, reason: str, request_id: int | str | None = None) -> None:
        super().__init__(reason)
        self.id = request_id
