"""From a map off the wire to a submission: fields together, times, hostile input."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.jobs import NOW
from helpers.submissions import parse, refusal
from queuectl_protocol import packing
from queuectld.core import submission_fields
from queuectld.core.errors import InvalidJobError
from queuectld.core.job import Job, Submission
from queuectld.core.submission_fields import GIVEN


def test_a_job_needs_a_command() -> None:
    """Without a command there is nothing to run."""
    with pytest.raises(InvalidJobError, match="a job needs the field command"):
        submission_fields.parse({"id": "job1"}, submitter=None, now=NOW)


@pytest.mark.parametrize("field", sorted(set(GIVEN) - {"command"}))
def test_null_means_not_said(field: str) -> None:
    """A field that is null is as if it were not there."""
    assert parse(**{field: None}) == parse()


def test_what_is_not_said_is_none() -> None:
    """The settings decide later about everything the submitter left out."""
    assert parse() == Submission("true", submitter=1000)


@pytest.mark.parametrize("field", ["colour", "", "Command", "seq", "\udce9"])
def test_an_unknown_field_is_refused_with_the_list(field: str) -> None:
    """A typo is an error, not a job that runs otherwise than meant."""
    error = refusal(**{field: 1})
    assert error.field == field
    assert "a job has: command, id, queue" in str(error)


def test_a_field_is_named_by_a_string() -> None:
    """Bin stands for a string of Unix, and the name of a field is none."""
    with pytest.raises(InvalidJobError, match=r"^a field's name is a string") as caught:
        submission_fields.parse(
            {"command": "true", b"cwd": "/"}, submitter=None, now=NOW
        )  # type: ignore[dict-item]
    assert caught.value.data == {"field": "cwd"}


ON_THE_WIRE_ONLY = {"created_at", "updated_at", "cancel_requested"}


@pytest.mark.parametrize(
    "field",
    sorted(submission_fields.SET_BY_THE_DAEMON & {*Job.__slots__, *ON_THE_WIRE_ONLY}),
)
def test_what_the_daemon_sets_is_refused_with_the_reason(field: str) -> None:
    """A job that was read cannot be enqueued as it is; the message says why."""
    assert (
        str(refusal(**{field: None})) == f"{field} is set by the daemon; leave it out"
    )


def test_a_list_of_words_has_no_shell() -> None:
    """It would not be used; what a batch has in common is for its lines alone."""
    with pytest.raises(InvalidJobError, match="is executed as it is") as caught:
        submission_fields.parse(
            {"command": ["true"], "shell": "/bin/bash"}, submitter=None, now=NOW
        )
    assert caught.value.field == "shell"
    common = submission_fields.check({"shell": "/bin/bash"})
    shells = [
        submission_fields.parse(
            {"command": command}, submitter=None, now=NOW, defaults=common
        ).shell
        for command in ("true", ["true"])
    ]
    assert shells == ["/bin/bash", None]


def test_a_delay_is_counted_from_now() -> None:
    """``delay`` becomes ``run_at``, to the millisecond."""
    assert parse(delay=1.5).run_at == NOW + 1500
    assert parse(delay=0).run_at == NOW


def test_delay_and_run_at_exclude_each_other() -> None:
    """Two answers to one question are refused."""
    error = refusal(delay=1, run_at="2026-12-01T10:00:00Z")
    assert (error.field, str(error)) == ("delay", "give delay or run_at, not both")


@pytest.mark.parametrize(
    ("common", "own", "run_at"),
    [
        ({"delay": 9}, {"run_at": "2026-12-01T10:00:00Z"}, 1_796_119_200_000),
        ({"run_at": "2026-12-01T10:00:00Z"}, {"delay": 1}, NOW + 1000),
        ({"delay": 9}, {"delay": 1}, NOW + 1000),
        ({"delay": 9}, {}, NOW + 9000),
    ],
)
def test_a_time_of_its_own_goes_before_that_of_the_batch(
    common: dict[str, Any], own: dict[str, Any], run_at: int
) -> None:
    """In whichever of the two ways each of them is said."""
    asked = submission_fields.parse(
        {"command": "true", **own},
        submitter=None,
        now=NOW,
        defaults=submission_fields.check(common),
    )
    assert asked.run_at == run_at


def test_an_expiry_may_be_counted_from_now() -> None:
    """``expires_in`` becomes ``expires``, and excludes it."""
    assert parse(expires_in=1.5).expires == NOW + 1500
    error = refusal(expires_in=1, expires="2026-12-01T10:00:00Z")
    assert (error.field, str(error)) == (
        "expires_in",
        "give expires_in or expires, not both",
    )


@pytest.mark.parametrize(
    ("expires", "run_at", "sentence"),
    [
        (None, NOW, None),
        (NOW + 1, None, None),
        (NOW + 2, NOW + 1, None),
        (NOW, None, "expires .* has passed already"),
        (NOW - 1, NOW - 2, "expires .* has passed already"),
        (NOW + 1, NOW + 1, "is not after run_at .*: the job could never start"),
        (NOW + 1, NOW + 2, "is not after run_at .*: the job could never start"),
    ],
)
def test_a_job_that_could_never_start_is_refused(
    expires: int | None, run_at: int | None, sentence: str | None
) -> None:
    """Because it has expired already, or will have when its time comes."""
    asked = Submission("true", expires=expires, run_at=run_at)
    if sentence is None:
        submission_fields.check_startable(asked, NOW)
        return
    with pytest.raises(InvalidJobError, match=sentence) as caught:
        submission_fields.check_startable(asked, NOW)
    assert caught.value.field == "expires"


def test_the_submitter_is_who_asked() -> None:
    """The uid comes from the connection, never from the fields."""
    assert parse().submitter == 1000
    assert refusal(submitter=0).field == "submitter"


def test_groups_come_from_the_connection_too() -> None:
    """In the order in which they are told: the first one is the gid."""
    fields = {"command": "true"}
    asked = submission_fields.parse(fields, submitter=1000, now=NOW, groups=(1000, 27))
    assert asked.groups == (1000, 27)
    assert parse().groups is None
    assert refusal(groups=[0]).field == "groups"


def test_defaults_of_a_batch_are_checked_once_and_overridden() -> None:
    """A job's own field goes before the batch's."""
    defaults = submission_fields.check({"cwd": "/srv", "priority": 5, "umask": "077"})
    job = submission_fields.parse(
        {"command": "true", "priority": 7}, submitter=None, now=NOW, defaults=defaults
    )
    assert (job.cwd, job.priority, job.umask) == ("/srv", 7, 0o077)


# Hostile input

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=6)
    | st.binary(max_size=6)
    | st.sampled_from(["/", "077", "2026-12-01T10:00:00Z", "9" * 20, "0001-01-01"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)
NAMES = st.sampled_from([*GIVEN, "state", "colour"]) | st.text(max_size=4)


def outcome(fields: dict[str, Any]) -> Submission | InvalidJobError:
    """Return what ``fields`` are read as, or the error they are refused with."""
    try:
        return submission_fields.parse(fields, submitter=None, now=NOW)
    except InvalidJobError as error:
        return error


@given(st.dictionaries(NAMES, ANYTHING, max_size=5))
def test_anything_is_a_submission_or_refused(fields: dict[str, Any]) -> None:
    """Whatever a client sends raises nothing but the one error, which names a field."""
    read = outcome(fields)
    if isinstance(read, InvalidJobError):
        assert read.field in {*fields, "command"}
        return
    assert set(fields) <= set(GIVEN)
    assert read.command
    assert read.run_at is None or -(10**14) < read.run_at < 10**15


@given(st.sampled_from([*GIVEN]), st.binary(max_size=30))
def test_any_bytes_as_a_string_are_taken_or_refused(field: str, raw: bytes) -> None:
    """Bytes that are not UTF-8 are a Unix string or a refusal, never a crash."""
    value = raw.decode("utf-8", "surrogateescape")
    read = outcome({"command": "true", field: value})
    says = str(read) if isinstance(read, InvalidJobError) else getattr(read, field)
    assert packing.pack(says)
