"""Translates exceptions into what the client is told: one table.

An exception that is not in the table is a programming error: it is logged in full, and
the client gets the code ``internal`` without details.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from queuectl_protocol.errors import RETRYABLE, ErrorCode, FrameTooLargeError
from queuectl_protocol.vocabulary import Role
from queuectld.core import errors as core
from queuectld.core import unixtext
from queuectld.host.thread_pool import NoThreadError
from queuectld.server.output.reader import Loss, UnreadableOutputError
from queuectld.server.schema.arguments import InvalidParamsError, nearest, shown
from queuectld.store import api as store

MAX_MESSAGE = 1000
"""Characters. A message may quote the client, which can send megabytes."""


class UnknownMethodError(Exception):
    """There is no such method."""

    def __init__(self, method: str, known: Mapping[str, Any]) -> None:
        advice = nearest(method, known) or "describe tells them all"
        super().__init__(f"there is no method {shown(method)}; {advice}")


class AttemptNotFoundError(Exception):
    """The job has no attempt of this number.

    Attributes:
        data: the job's id and the number asked for.
    """

    def __init__(self, job_id: str, run: int, runs: int) -> None:
        has = f"its last one is {runs}" if runs else "it has not run yet"
        super().__init__(f"job {job_id} has no attempt {run}; {has}")
        self.data = {"id": job_id, "run": run}


class OutputGoneError(Exception):
    """An attempt wrote more than its file holds, or its file is gone.

    Attributes:
        data: the job's id, the attempt and the stream.
    """

    def __init__(self, job_id: str, run: int, stream: str, loss: Loss) -> None:
        what = f"is gone from byte {loss.left} on" if loss.left else "is gone"
        why = (
            "its file is not there; backups hold no output"
            if loss.left is None
            else f"its file has {loss.left} now: it was cut, or a crash of the machine "
            "took the rest"
        )
        super().__init__(
            f"the {stream} of attempt {run} of job {job_id} {what}: it had "
            f"{loss.written} bytes, and {why}"
        )
        self.data = {"id": job_id, "run": run, "stream": stream}


class TooManyRequestsError(Exception):
    """As many requests as one connection may have are waiting for something."""


class ForbiddenError(Exception):
    """The client's role does not allow this method.

    Attributes:
        data: the least role that does.
    """

    def __init__(self, method: str, needed: Role, has: Role | None) -> None:
        super().__init__(f"{method} needs the role {needed}, and yours is {has}")
        self.data = {"role": needed.value}


class ShuttingDownError(Exception):
    """The daemon is stopping; ask the next one."""


CODES: Mapping[type[Exception], ErrorCode] = MappingProxyType(
    {
        UnknownMethodError: ErrorCode.UNKNOWN_METHOD,
        InvalidParamsError: ErrorCode.INVALID_PARAMS,
        core.InvalidJobError: ErrorCode.INVALID_PARAMS,
        core.InvalidSettingError: ErrorCode.INVALID_PARAMS,
        core.JobNotFoundError: ErrorCode.NOT_FOUND,
        AttemptNotFoundError: ErrorCode.NOT_FOUND,
        OutputGoneError: ErrorCode.NOT_FOUND,
        core.JobExistsError: ErrorCode.ALREADY_EXISTS,
        core.JobConflictError: ErrorCode.CONFLICT,
        core.JobTakenError: ErrorCode.CONFLICT,
        core.JobStateError: ErrorCode.INVALID_STATE,
        core.QueueFullError: ErrorCode.QUEUE_FULL,
        core.JobNotYoursError: ErrorCode.FORBIDDEN,
        ForbiddenError: ErrorCode.FORBIDDEN,
        core.TooManyWorkersError: ErrorCode.INVALID_PARAMS,
        # The message is for the operator; the cause is in the log.
        core.WorkersNotReadyError: ErrorCode.INTERNAL,
        store.BackupExistsError: ErrorCode.ALREADY_EXISTS,
        store.BackupError: ErrorCode.INVALID_PARAMS,
        store.StoreFullError: ErrorCode.STORAGE_FULL,
        store.StoreError: ErrorCode.STORAGE_ERROR,
        UnreadableOutputError: ErrorCode.STORAGE_ERROR,
        FrameTooLargeError: ErrorCode.FRAME_TOO_LARGE,
        TooManyRequestsError: ErrorCode.TOO_MANY_REQUESTS,
        NoThreadError: ErrorCode.TOO_MANY_REQUESTS,
        core.DrainingError: ErrorCode.SHUTTING_DOWN,
        ShuttingDownError: ErrorCode.SHUTTING_DOWN,
    }
)


class Refusal(NamedTuple):
    """The content of a failure."""

    code: ErrorCode
    message: str
    data: dict[str, Any] | None

    def as_item(self) -> dict[str, Any]:
        """Return it as one item of a reply."""
        return {**self._asdict(), "retryable": self.code in RETRYABLE}


def refusal(error: BaseException) -> Refusal:
    """Return what the client is told; an error without a code is ``internal``."""
    for kind in type(error).__mro__:
        if code := CODES.get(kind):
            message = unixtext.shown(str(error) or (type(error).__doc__ or "").strip())
            data = getattr(error, "data", None)
            return Refusal(code, message[:MAX_MESSAGE], data and _short(data))
    if isinstance(error, OSError) and error.errno in core.NO_DESCRIPTORS:
        return Refusal(
            ErrorCode.TOO_MANY_REQUESTS,
            "the daemon has no file descriptor left to do that with; try again later, "
            "or raise its limit (ulimit -Hn, LimitNOFILE=)",
            None,
        )
    return Refusal(
        ErrorCode.INTERNAL, "the daemon made a mistake; its log has the details", None
    )


def _short(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: value[:MAX_MESSAGE] if isinstance(value, str) else value
        for key, value in data.items()
    }
