"""The texts of a job: what makes it large, and what is left out of it for that reason.

Which these are is said by ``text`` in the rows of ``table``.
"""

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from queuectld.core.fields.table import FIELDS
from queuectld.core.job import Job, Submission
from queuectld.core.values import byte_size

_GIVEN = tuple(field.name for field in FIELDS if field.text and field.given)
"""Those of the submitter: they do not change while the job lives."""

_LEFT_OUT: Mapping[str, Any] = {
    name: "" if name == "command" else None for name in _GIVEN
}

# Positions, found once: these functions are called for each job.
_given_of = itemgetter(*map(Submission._fields.index, _GIVEN))
_all_of = itemgetter(*(Job._fields.index(field.name) for field in FIELDS if field.text))


def byte_count(submission: Submission) -> int:
    """Return about how many bytes a job takes in the store, its environment apart."""
    size = 0
    for text in _given_of(submission):
        if isinstance(text, str):
            size += byte_size(text)
        elif text:  # a command that is a list of words
            size += sum(map(byte_size, text))
    return size


def character_count(job: Job) -> int:
    """Return the number of characters in a job's texts, as they are sent."""
    count = 0
    for text in _all_of(job):
        if text:
            # Between the words of a list are quotes, and what is sent beside them.
            count += len(text if isinstance(text, str) else "     ".join(text))
    return count


def without(job: Job) -> Job:
    """Return a job without its submitter's texts. What can change is still there."""
    return job._replace(**_LEFT_OUT)


def put_back(job: Job, whole: Job) -> Job:
    """Return the job with the texts of ``whole``, an earlier state of it."""
    return job._replace(**{name: getattr(whole, name) for name in _GIVEN})
