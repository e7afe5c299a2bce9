"""Submissions as the daemon reads them."""

from typing import Any

import pytest

from helpers.jobs import NOW
from queuectld.core import submission_fields
from queuectld.core.errors import InvalidJobError
from queuectld.core.job import Submission


def parse(**fields: Any) -> Submission:
    """Return the submission of a job that runs ``true`` unless it says otherwise."""
    return submission_fields.parse(
        {"command": "true", **fields}, submitter=1000, now=NOW
    )


def refusal(**fields: Any) -> InvalidJobError:
    """Return the error that a job is refused with."""
    with pytest.raises(InvalidJobError) as caught:
        parse(**fields)
    return caught.value
