"""What the queue refuses, and why.

QueueError
├── InvalidJobError      a field of a submission is wrong
├── InvalidSettingError  no such setting, or a value out of its range
├── JobNotFoundError
├── JobExistsError       the id is taken
├── JobConflictError     the id is taken by a different job
│   └── JobTakenError    ... of another user
├── JobStateError        not possible in the state the job is in
├── JobNotYoursError     somebody else enqueued it
└── QueueFullError
"""

import errno
from typing import Any

from queuectl_protocol.vocabulary import Role

NO_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})
"""What the system says when the process, or the machine, has no descriptor left."""


class QueueError(Exception):
    """The request cannot be carried out; the message says what to do instead."""

    @property
    def data(self) -> dict[str, Any] | None:
        """What a program can read besides the message."""
        return None


class InvalidJobError(QueueError):
    """A field of a submission is unknown or has a bad value.

    Attributes:
        field: its name.
        index: which job of a batch, from 0.
    """

    def __init__(self, field: str, message: str, index: int | None = None) -> None:
        super().__init__(message)
        self.field = field
        self.index = index

    @property
    def data(self) -> dict[str, Any] | None:
        """The field, and the job's place in its batch."""
        place = {} if self.index is None else {"index": self.index}
        return {"field": self.field, **place}


class InvalidSettingError(QueueError):
    """There is no such setting, or the value is not in its range."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key

    @property
    def data(self) -> dict[str, Any] | None:
        """The setting's name."""
        return {"key": self.key}


class JobNotFoundError(QueueError):
    """No job has this id."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"no job has the id {job_id!r}")
        self.job_id = job_id

    @property
    def data(self) -> dict[str, Any] | None:
        """The id asked for."""
        return {"id": self.job_id}


class JobExistsError(QueueError):
    """The id is taken; nothing was enqueued."""

    def __init__(
        self, job_id: str, index: int | None = None, *, anothers: bool = False
    ) -> None:
        advice = ", or pass if_exists=return to get that one"
        whose = " of another user" if anothers else ""
        super().__init__(
            f"a job{whose} with the id {job_id!r} exists; choose another id"
            + ("" if anothers else advice)
        )
        self.job_id = job_id
        self.index = index

    @property
    def data(self) -> dict[str, Any] | None:
        """The id, and the job's place in its batch."""
        place = {} if self.index is None else {"index": self.index}
        return {"id": self.job_id, **place}


class JobConflictError(JobExistsError):
    """The id is taken by a job that asks for something else."""

    def __init__(self, job_id: str, field: str, index: int | None = None) -> None:
        super().__init__(job_id, index)
        message = (
            f"a job with the id {job_id!r} exists and its {field} is different; "
            "nothing was enqueued"
        )
        self.args = (message,)


class JobTakenError(JobConflictError):
    """The id is taken by a job that runs as another user; of it nothing is said."""

    def __init__(self, job_id: str, index: int | None = None) -> None:
        super().__init__(job_id, "submitter", index)
        message = (
            f"the id {job_id!r} is taken by a job of another user; choose another id; "
            "nothing was enqueued"
        )
        self.args = (message,)


class JobStateError(QueueError):
    """The job is in a state in which this cannot happen.

    Attributes:
        state: the state it is in.
    """

    def __init__(self, job_id: str, state: str, message: str) -> None:
        super().__init__(message)
        self.job_id = job_id
        self.state = state

    @property
    def data(self) -> dict[str, Any] | None:
        """The id and the state it is in."""
        return {"id": self.job_id, "state": self.state}


class JobNotYoursError(QueueError):
    """Somebody else enqueued the job, and it is not for everybody to deal with."""

    def __init__(self, job_id: str) -> None:
        super().__init__(
            f"job {job_id} was enqueued by somebody else; that needs the role "
            f"{Role.OPERATE}"
        )
        self.job_id = job_id

    @property
    def data(self) -> dict[str, Any] | None:
        """The id, and the least role that may."""
        return {"id": self.job_id, "role": Role.OPERATE.value}


class QueueFullError(QueueError):
    """As many jobs wait as ``max_queued`` allows."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"the queue is full: max_queued is {limit}; wait for jobs to finish, "
            "or raise it: queuectl config set max_queued N"
        )
        self.limit = limit


class TooManyWorkersError(QueueError):
    """There would be more workers than a daemon runs."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"a daemon runs at most {limit} workers; nothing was started")
        self.limit = limit


class DrainingError(QueueError):
    """Workers are wanted of a daemon that is ending."""

    def __init__(self) -> None:
        super().__init__(
            "the daemon is ending and starts no more workers; when it is gone: "
            "queuectl worker start"
        )


class WorkersNotReadyError(QueueError):
    """Workers were started and do not come up."""

    def __init__(self, seconds: float, problem: str | None = None) -> None:
        told = f": the last was not started, {problem}" if problem else ""
        super().__init__(
            f"the workers were not ready within {seconds:.0f} s{told}; they are wanted "
            "and tried again. The daemon's log says more: queuectl daemon logs"
        )
