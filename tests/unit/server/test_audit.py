"""The log records of requests for changes."""

from typing import Any

import pytest

from queuectld.server import audit
from queuectld.server.dispatch import METHODS


@pytest.mark.parametrize("name", ["id", "ids"])
def test_a_job_is_called_the_same_in_every_record(name: str) -> None:
    """It has the field name that the events of its life have."""
    (told,) = audit.records((name, "wait"), {name: "7", "wait": True, "secret": "x"})
    assert told == {"job_id": "7", "wait": True}


def test_what_is_about_no_job_names_none() -> None:
    """Requests about settings, workers or all jobs of a state name no job."""
    assert [*audit.records(("state",), {"state": "dead"})] == [{"state": "dead"}]
    assert [*audit.records((), {"state": "dead"})] == [{}]


def test_many_jobs_are_in_as_many_records_as_it_takes() -> None:
    """Each job is in exactly one of the records."""
    ids = [str(number) for number in range(2 * audit.JOBS_TOLD + 1)]
    parts = [told["job_id"] for told in audit.records(("ids",), {"ids": ids})]
    assert [len(part) for part in parts] == [audit.JOBS_TOLD, audit.JOBS_TOLD, 1]
    assert [job for part in parts for job in part] == ids


@pytest.mark.parametrize(
    "method", [each for each in METHODS.values() if each.audit], ids=lambda m: m.name
)
def test_no_record_has_a_field_of_its_own_for_a_job(method: Any) -> None:
    """Every parameter that names jobs is logged under the same field."""
    arguments = {name: name for name in method.audit}
    records = audit.records(method.audit, arguments)
    fields = {field for told in records for field in told}
    assert not fields & {"id", "ids", "job", "jobs"}
