"""The words of the wire that are values: states, reasons of an end, roles."""

from enum import StrEnum


class JobState(StrEnum):
    """Where a job stands."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    DEAD = "dead"
    CANCELLED = "cancelled"


FINAL_STATES = frozenset({JobState.COMPLETED, JobState.DEAD, JobState.CANCELLED})
"""States that a job leaves only when somebody asks for it (``retry``)."""


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
    """What a client may do, from the least to the most: each includes those before it.

    As strings they have no such order, so do not compare them with ``<``.
    """

    READ = "read"
    SUBMIT = "submit"
    OPERATE = "operate"
    ADMIN = "admin"

    def includes(self, other: "Role") -> bool:
        """Whether who has this role may do what ``other`` may."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(other)
