"""The words of the wire that are values: states of a job, reasons of an end."""

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
    """Why an attempt ended."""

    EXIT = "exit"
    SIGNAL = "signal"
    TIMEOUT = "timeout"
    SPAWN_ERROR = "spawn_error"
    OUTPUT_LIMIT = "output_limit"
    LOST = "lost"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
