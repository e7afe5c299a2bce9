"""What a row of the table of job fields says."""

from collections.abc import Callable
from enum import Enum, auto
from typing import Any, NamedTuple

from queuectld.core.job import Job


class Kept(Enum):
    """What a value of a column is, for a store to choose how to write it."""

    PLAIN = auto()
    """A number, a text that is UTF-8, or bytes."""
    FLAG = auto()
    """A boolean."""
    STATE = auto()
    """A ``JobState``."""
    REASON = auto()
    """A ``Reason``."""
    UNIX = auto()
    """A text that may hold bytes that are not UTF-8."""
    COMMAND = auto()
    """One such text, or a tuple of them."""
    NUMBERS = auto()
    """A tuple of numbers."""
    LIMITS = auto()
    """``Limits``."""


class Given(NamedTuple):
    """What a submitter may say in a field.

    Attributes:
        type: in the notation of ``server.schema.json_schema``.
        doc: what it means, for people.
        check: takes the value off the wire and returns that of the ``Submission``, or
            raises ValueError with a text that completes "<field> ...".
        compared: it is part of what a job is: see ``IDENTITY``.
        setting: what is not said comes from the setting of the same name.
        counted_from_now: it is another way to say the field of this name: as seconds
            from now, and not as a point in time.
    """

    type: str
    doc: str
    check: Callable[[Any], Any]
    compared: bool = True
    setting: bool = False
    counted_from_now: str | None = None


class Told(NamedTuple):
    """What is sent of a field.

    Attributes:
        type: in the notation of ``server.schema.json_schema``; it also says how times
            and numbers are written.
        doc: what it means, for people.
        write: writes a value that is not None, where the type does not say how.
        always: it is in every form of a whole job.
    """

    type: str
    doc: str
    write: Callable[[Any], Any] | None = None
    always: bool = True


class Field(NamedTuple):
    """A field of a job.

    Attributes:
        name: on the wire, and in ``Submission`` and ``Job`` where these have it.
        given: None: a submitter may not say it.
        told: None: it is not sent.
        kept: None: it has no column of its own.
        changes: a change of the job may write its column.
        default: the value of a new job where the submission does not say it.
        of: returns the value of a job that has no attribute of that name and meaning.
        text: it is a text that may be long: see ``texts``.
    """

    name: str
    given: Given | None = None
    told: Told | None = None
    kept: Kept | None = Kept.PLAIN
    changes: bool = False
    default: Any = None
    of: Callable[[Job], Any] | None = None
    text: bool = False
