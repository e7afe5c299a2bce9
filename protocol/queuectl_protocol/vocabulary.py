"""The words that are values in the protocol: states, reasons, roles."""

from enum import StrEnum


class JobState(StrEnum):
    """The state of a job."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    DEAD = "dead"
    CANCELLED = "cancelled"


FINAL_STATES = frozenset({JobState.COMPLETED, JobState.DEAD, JobState.CANCELLED})
"""States that a job leaves only when somebody retries it."""


class Reason(StrEnum):
    """Why an attempt ended, or a job that was never started in time."""

    EXIT = "exit"
    SIGNAL = "signal"
    TIMEOUT = "timeout"
    SPAWN_ERROR = "spawn_error"
    OUTPUT_LIMIT = "output_limit"
    OOM = "oom"
    LOST = "lost"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    EXPIRED = "expired"


class Role(StrEnum):
    """What a client may do. Each role includes those before it.

    The operator ``<`` compares them as strings: use ``includes``.
    """

    READ = "read"
    SUBMIT = "submit"
    OPERATE = "operate"
    ADMIN = "admin"

    def includes(self, other: "Role") -> bool:
        """Whether this role may do all that ``other`` may."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(other)
