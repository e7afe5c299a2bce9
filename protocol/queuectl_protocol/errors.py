"""The error codes on the wire, and what a broken peer raises.

Codes are a promise: one may be added, none changes its meaning.
"""

from enum import StrEnum


class ErrorCode(StrEnum):
    """What went wrong, in the words that travel in ``error.code``."""

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
