"""The table of job fields, held against the classes that declare the same fields."""

from typing import get_args, get_type_hints

import pytest

from helpers.jobs import a_job
from queuectl_protocol.vocabulary import JobState, Reason
from queuectld.core import submission_fields
from queuectld.core.fields.row import Field, Kept
from queuectld.core.fields.table import BY_NAME, FIELDS, value_of
from queuectld.core.job import Job, Submission
from queuectld.core.limits import Limits
from queuectld.server.schema import json_schema

KEPT_AS = {bool: Kept.FLAG, JobState: Kept.STATE, Reason: Kept.REASON}
"""How values of a declared type are kept, where that is enough to say it."""


def test_no_field_has_two_rows() -> None:
    """A name is one field."""
    assert len(BY_NAME) == len(FIELDS)


def test_a_job_declares_its_columns() -> None:
    """What has a column is in ``Job``, and nothing else is."""
    assert {field.name for field in FIELDS if field.kept} == {*Job._fields}


def test_a_submission_declares_what_may_be_given() -> None:
    """Beside it, only what the daemon adds: who asks."""
    absolute = {
        name
        for name, given in submission_fields.GIVEN.items()
        if given.counted_from_now is None
    }
    assert {*Submission._fields} == absolute | {"submitter", "groups"}


def test_what_is_counted_from_now_is_a_point_in_time_that_may_be_given() -> None:
    """Such a field is said in place of another one, and compared as little."""
    for given in submission_fields.GIVEN.values():
        if given.counted_from_now is not None:
            other = submission_fields.GIVEN[given.counted_from_now]
            assert (other.type, other.compared) == ("time", given.compared)


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_a_row_is_whole(field: Field) -> None:
    """It has a type in the notation, and a value to tell and to compare."""
    for said in (field.given, field.told):
        if said is not None:
            assert json_schema.of(said.type) is not None
            assert said.doc
    if field.told and field.told.always:
        value_of(a_job(), field.name)
    if field.changes:
        assert field.kept


@pytest.mark.parametrize("name", Job._fields)
def test_a_column_is_kept_as_it_is_declared(name: str) -> None:
    """A boolean as a flag, a state as a state: a store could not write it otherwise."""
    declared = get_type_hints(Job)[name]
    for kind in get_args(declared) or (declared,):
        if kind in KEPT_AS:
            assert BY_NAME[name].kept is KEPT_AS[kind]


def test_the_limits_are_together_in_a_submission() -> None:
    """``new_job.limits_of`` takes them in one piece."""
    first = Submission._fields.index(Limits._fields[0])
    assert Submission._fields[first : first + len(Limits._fields)] == Limits._fields
