"""From a map off the wire to a submission: every field, good and bad."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.jobs import NOW
from queuectl_protocol import packing
from queuectl_protocol.limits import (
    MAX_ARGV,
    MAX_COMMAND,
    MAX_ENV,
    MAX_ID,
    MAX_LABEL,
    MAX_PATH,
)
from queuectld.core import submission, values
from queuectld.core.errors import InvalidJobError
from queuectld.core.job import Job, Submission
from queuectld.core.submission import GIVEN
from queuectld.core.values import PRIORITY_RANGE

NOT_UTF8 = b"/srv/caf\xe9".decode("utf-8", "surrogateescape")
YEAR = 366 * 86_400
LONGEST = MAX_COMMAND - len("A=")
LARGEST = {f"{n:02}": "x" * (MAX_ENV // 16 - 4) for n in range(16)}
"""As much as an environment may hold."""


def parse(**fields: Any) -> Submission:
    """Return the submission of a job that runs ``true`` unless it says otherwise."""
    return submission.parse({"command": "true", **fields}, submitter=1000, now=NOW)


def refusal(**fields: Any) -> InvalidJobError:
    """Return the error that a job is refused with."""
    with pytest.raises(InvalidJobError) as caught:
        parse(**fields)
    return caught.value


GOOD: list[tuple[str, Any, Any]] = [
    ("command", "sleep 2 && echo hi", "sleep 2 && echo hi"),
    ("command", ["printf", "%s", ""], ("printf", "%s", "")),
    ("command", ["true"], ("true",)),
    ("command", "x" * MAX_COMMAND, "x" * MAX_COMMAND),
    ("command", NOT_UTF8, NOT_UTF8),
    ("command", b"cat \xff", "cat \udcff"),
    ("command", [b"ls", "-l", b"/srv/caf\xe9"], ("ls", "-l", NOT_UTF8)),
    ("command", "\xa0", "\xa0"),  # a word to a shell
    ("command", [" "], (" ",)),
    ("id", "job1", "job1"),
    ("id", "1a", "1a"),
    ("id", "_", "_"),
    ("id", "A-b_c.d:e@f+g", "A-b_c.d:e@f+g"),
    ("id", "x" * MAX_ID, "x" * MAX_ID),
    ("queue", "default", "default"),
    ("priority", 0, 0),
    ("priority", -PRIORITY_RANGE, -PRIORITY_RANGE),
    ("priority", PRIORITY_RANGE, PRIORITY_RANGE),
    ("priority", -5.0, -5),
    ("max_retries", 0, 0),
    ("max_retries", 1_000_000, 1_000_000),
    ("max_retries", 2.0, 2),
    ("timeout", 0, 0),
    ("timeout", 0.5, 0.5),
    ("timeout", YEAR, YEAR),
    ("backoff_base", 1, 1),
    ("backoff_base", 1.5, 1.5),
    ("backoff_max", 0, 0),
    ("backoff_jitter", 0, 0),
    ("backoff_jitter", 1, 1),
    ("output_limit", 0, 0),
    ("output_limit", 1024**5, 1024**5),
    ("run_at", "2026-12-01T10:00:00Z", 1_796_119_200_000),
    ("run_at", "2026-12-01T11:00:00.5+01:00", 1_796_119_200_500),
    ("run_at", "1970-01-01T00:00:00Z", 0),
    ("cwd", "/", "/"),
    ("cwd", NOT_UTF8, NOT_UTF8),
    ("cwd", b"/srv/caf\xe9", NOT_UTF8),
    ("cwd", "/" + "x" * (MAX_PATH - 1), "/" + "x" * (MAX_PATH - 1)),
    ("umask", "0022", 0o022),
    ("umask", "022", 0o022),
    ("umask", "0", 0),
    ("umask", "0777", 0o777),
    ("env", {}, {}),
    ("env", {"A": "", "B": "b=c\n"}, {"A": "", "B": "b=c\n"}),
    ("env", {"P": NOT_UTF8}, {"P": NOT_UTF8}),
    ("env", {b"P": "p", "\udcff": b"/srv/caf\xe9"}, {"P": "p", "\udcff": NOT_UTF8}),
    ("env", {"A": "x" * LONGEST}, {"A": "x" * LONGEST}),
    ("env", LARGEST, LARGEST),
    ("label", "", ""),
    ("label", "nightly \N{CRESCENT MOON}", "nightly \N{CRESCENT MOON}"),
    ("label", "x" * MAX_LABEL, "x" * MAX_LABEL),
    ("nice", -20, -20),
    ("nice", 19, 19),
    ("memory_max", 0, 0),
    ("memory_max", 1024**2, 1024**2),
    ("memory_max", 1024**5, 1024**5),
    ("cpu_quota", 0, 0),
    ("cpu_quota", 12.5, 12.5),
    ("cpu_quota", 102_400, 102_400),
    ("tasks_max", 0, 0),
    ("tasks_max", 4_194_304, 4_194_304),
    ("rlimits", {}, ()),
    ("rlimits", {"core": 1024.0}, (("core", 1024),)),
    ("rlimits", {"nofile": 1024, "core": -1}, (("core", -1), ("nofile", 1024))),
    ("rlimits", {"fsize": 2**63 - 1, "cpu": 0}, (("cpu", 0), ("fsize", 2**63 - 1))),
    ("shell", "/bin/bash", "/bin/bash"),
    ("shell", "/opt/\udcff", "/opt/\udcff"),
    ("expires", "2026-12-01T10:00:00Z", 1_796_119_200_000),
    ("foreground", True, True),
    ("foreground", False, False),
]


@pytest.mark.parametrize(("field", "value", "read"), GOOD, ids=lambda v: f"{v!r:.30}")
def test_a_good_value_is_taken(field: str, value: Any, read: Any) -> None:
    """Each field takes what it documents, ends of ranges included."""
    assert getattr(parse(**{field: value}), field) == read


BAD: list[tuple[str, Any, str]] = [
    ("command", None, "not null"),
    ("command", 5, "not a number"),
    ("command", b"a\0b", "holds a NUL"),
    ("command", ["/" * (MAX_PATH + 1)], "a program's path has at most 4095"),
    ("command", {}, "not a map"),
    ("command", True, "not a boolean"),
    ("command", "", "is empty"),
    ("command", " \t\n", "is empty"),
    ("command", "a\0b", "holds a NUL"),
    ("command", "x" * (MAX_COMMAND + 1), "131072 bytes, and the limit is 131071"),
    ("command", "\N{SNOWMAN}" * 43_691, "131073 bytes"),
    ("command", [], "is an empty list"),
    ("command", [""], "empty word where the program's name"),
    ("command", ["a", 1], "not a number"),
    ("command", ["a", None], "not null"),
    ("command", ["a", ["b"]], "not a list"),
    ("command", ["a", "b\0"], "holds a NUL"),
    ("command", ["a", "x" * (MAX_COMMAND + 1)], "limit is 131071"),
    ("command", ["y"] + ["x" * 131_071] * 16, "2097154 bytes in all, and the limit"),
    ("command", ["a"] + [""] * MAX_ARGV, "2097153 words, and the limit is 2097152"),
    ("id", "", "is empty"),
    ("id", "17", "digits alone is reserved"),
    ("id", "\N{SUPERSCRIPT TWO}", "digits alone"),
    ("id", 17, "is a string, not a number"),
    ("id", "a b", "letters, digits"),
    ("id", "a/b", "letters, digits"),
    ("id", "-a", "letters, digits"),
    ("id", "a\n", "letters, digits"),
    ("id", "\N{LATIN SMALL LETTER E WITH ACUTE}", "letters, digits"),
    ("id", "x" * (MAX_ID + 1), "the limit is 128"),
    ("queue", "fast", "the only queue"),
    ("queue", 1, "is a string"),
    ("priority", 1.5, "is a whole number"),
    ("priority", 1e300, "is from"),
    ("priority", float("nan"), "is a whole number"),
    ("priority", "5", "is a whole number"),
    ("priority", True, "is a whole number"),
    ("priority", PRIORITY_RANGE + 1, "is from"),
    ("priority", -PRIORITY_RANGE - 1, "is from"),
    ("max_retries", -1, "must be from 0"),
    ("max_retries", 1.5, "whole number"),
    ("max_retries", "3", "is a number, not a string"),
    ("max_retries", True, "not a boolean"),
    ("timeout", -0.1, "must be from 0"),
    ("timeout", YEAR + 1, "must be from 0"),
    ("timeout", "5m", "is a number, not a string"),
    ("timeout", float("nan"), "must be from"),
    ("timeout", float("inf"), "must be from"),
    ("backoff_base", 0.5, "must be from 1"),
    ("backoff_base", [2], "not a list"),
    ("backoff_max", -1, "must be from 0"),
    ("backoff_jitter", 1.1, "must be from 0 to 1"),
    ("output_limit", -1, "must be from 0"),
    ("output_limit", "1GiB", "not a string"),
    ("output_limit", float("inf"), "is a size: inf is none"),
    ("output_limit", float("nan"), "is a size: nan is none"),
    ("run_at", "tomorrow", "RFC 3339"),
    ("run_at", "2026-12-01T10:00:00", "RFC 3339"),
    ("run_at", 1_796_119_200, "is an RFC 3339 time"),
    ("run_at", "0001-01-01T00:00:00+23:00", "is no time"),
    ("delay", -1, "from 0 on"),
    ("delay", "90s", "is a number of seconds"),
    ("delay", True, "is a number of seconds"),
    ("delay", float("nan"), "from 0 on"),
    ("delay", float("inf"), "from 0 on"),
    ("delay", 1e300, "from 0 on"),
    ("cwd", "", "is an absolute path"),
    ("cwd", "srv", "is an absolute path"),
    ("cwd", "/a\0", "holds a NUL"),
    ("cwd", "/" * (MAX_PATH + 1), "the limit is 4095"),
    ("cwd", 1, "is an absolute path"),
    ("umask", 22, "octal string"),
    ("umask", "", "octal string"),
    ("umask", "0o22", "octal string"),
    ("umask", "-22", "octal string"),
    ("umask", "8", "octal string"),
    ("umask", " 22", "octal string"),
    ("umask", "2_2", "octal string"),
    ("umask", "1000", "octal string"),
    ("umask", "22\n", "octal string"),
    ("env", ["A=b"], "is a map of strings, not a list"),
    ("env", {"A": 1}, "is a map of strings"),
    ("env", {"A": "b", b"A": "c"}, "has A twice"),
    ("env", {"": "b"}, "a name that is empty"),
    ("env", {"A=B": "c"}, "holds = or NUL"),
    ("env", {"A\0": "c"}, "holds = or NUL"),
    ("env", {"A": "x" * (LONGEST + 1)}, "A is of 131072 bytes with its name"),
    ("env", {"A" * (LONGEST + 2): ""}, "131072 bytes with its name"),
    ("env", LARGEST | {"A": ""}, "2097155 bytes, and the limit is 2097152"),
    ("env", {"A": "\N{SNOWMAN}" * 43_690}, "A is of 131072 bytes with its name"),
    ("label", 5, "is a string"),
    ("label", "\udce9", "is not valid UTF-8"),
    ("label", "x" * (MAX_LABEL + 1), "the limit is 256"),
    ("label", "a\0", "holds a NUL"),
    ("nice", 20, "must be from -20 to 19"),
    ("nice", -21, "must be from -20 to 19"),
    ("nice", 1.5, "whole number"),
    ("memory_max", 512, "must be from 1.0 MiB to 1024.0 TiB, or 0 for none"),
    ("memory_max", 1024**5 + 1, "to 1024.0 TiB, or 0 for none"),
    ("memory_max", "512M", "is a number, not a string"),
    ("cpu_quota", -1, "must be from 0.1% to 102,400%, or 0"),
    ("cpu_quota", 0.05, "must be from 0.1% to"),
    ("cpu_quota", "20%", "is a number, not a string"),
    ("tasks_max", -1, "must be from 0 to 4,194,304"),
    ("tasks_max", True, "not a boolean"),
    ("rlimits", [["core", 0]], "is a map of names and whole numbers, not a list"),
    ("rlimits", {"files": 1}, "has no 'files'; there are: as, core, cpu"),
    ("rlimits", {b"core": 1}, "has names that are strings"),
    ("rlimits", {"x" * 99: 1}, "has no 'xxx"),
    ("rlimits", {"core": "0"}, "has a core that is not a whole number"),
    ("rlimits", {"core": None}, "has a core that is not a whole number"),
    ("rlimits", {"core": 1.5}, "has a core that is not a whole number"),
    ("rlimits", {"core": True}, "has a core that is not a whole number"),
    (
        "rlimits",
        {"core": -2},
        "has -2 for core, and it must be from 0 to 9223372036854775807, or -1 for",
    ),
    ("rlimits", {"core": 2**63}, "or -1 for infinity"),
    ("shell", "bash", "is an absolute path"),
    ("shell", ["/bin/sh"], "is an absolute path"),
    ("shell", "/bin/\0sh", "holds a NUL character"),
    ("shell", "/" + "x" * 4095, "has 4096 bytes, and the limit is 4095"),
    ("expires", "tomorrow", "RFC 3339"),
    ("expires", 60, "is an RFC 3339 time"),
    ("expires_in", -1, "from 0 on"),
    ("expires_in", "10m", "is a number of seconds"),
    ("foreground", 1, "is true or false, not a number"),
    ("foreground", "yes", "is true or false, not a string"),
]


@pytest.mark.parametrize(("field", "value", "words"), BAD, ids=lambda v: f"{v!r:.30}")
def test_a_bad_value_is_refused_by_name(field: str, value: Any, words: str) -> None:
    """The error names the field and says what it takes."""
    error = refusal(**{field: value})
    assert error.field == field
    assert error.data == {"field": field}
    assert str(error).startswith(field)
    assert words in str(error)


def test_every_field_has_good_and_bad_examples() -> None:
    """No field is added without saying here what it takes and refuses."""
    assert {field for field, _, _ in BAD} == set(GIVEN)
    assert {field for field, _, _ in GOOD} | {"delay", "expires_in"} == set(GIVEN)


def test_a_secret_is_never_quoted() -> None:
    """An error about a variable names it and keeps its value to itself."""
    assert (
        str(refusal(env={"TOKEN": "s3cret\0"})) == "env holds a NUL character in TOKEN"
    )


_PIECES = st.sampled_from(["A", "B", "=", "\0", "\udcff", "\ud800", "\N{SNOWMAN}"])
_TEXTS = st.lists(_PIECES, max_size=3).map("".join) | st.just("x" * (MAX_COMMAND - 5))


@given(st.dictionaries(_TEXTS, _TEXTS | st.just(1), max_size=3))
def test_what_an_environment_may_be_does_not_depend_on_its_form(
    variables: dict[str, Any],
) -> None:
    """Beside a variable that came as bin, the others are taken or refused as ever."""

    def outcome(env: dict[Any, Any]) -> dict[str, str] | str:
        try:
            return parse(env=env).env or {}
        except InvalidJobError as error:
            return str(error)

    beside = outcome({**variables, b"OTHER": b""})
    if isinstance(beside, dict):
        del beside["OTHER"]
    assert outcome(variables) == beside


def test_an_environment_is_looked_at_as_a_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One by one only where something is uncommon: each job has one, of many."""
    seen: list[str] = []
    look = values._variable

    def noted(name: str, content: str) -> int:
        seen.append(name)
        return look(name, content)

    monkeypatch.setattr(values, "_variable", noted)
    many = {f"VARIABLE_{n}": f"caf\udce9 {n}" for n in range(60)}
    assert parse(env=many).env == many
    assert seen == []
    assert parse(env=many | {b"OTHER": ""}).env == many | {"OTHER": ""}
    assert seen == [*many, "OTHER"]


def test_a_job_needs_a_command() -> None:
    """Without a command there is nothing to run."""
    with pytest.raises(InvalidJobError, match="a job needs the field command"):
        submission.parse({"id": "job1"}, submitter=None, now=NOW)


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
        submission.parse({"command": "true", b"cwd": "/"}, submitter=None, now=NOW)  # type: ignore[dict-item]
    assert caught.value.data == {"field": "cwd"}


ON_THE_WIRE_ONLY = {"created_at", "updated_at", "cancel_requested"}


@pytest.mark.parametrize(
    "field", sorted(submission.SET_BY_THE_DAEMON & {*Job.__slots__, *ON_THE_WIRE_ONLY})
)
def test_what_the_daemon_sets_is_refused_with_the_reason(field: str) -> None:
    """A job that was read cannot be enqueued as it is; the message says why."""
    assert (
        str(refusal(**{field: None})) == f"{field} is set by the daemon; leave it out"
    )


def test_a_list_of_words_has_no_shell() -> None:
    """It would not be used; what a batch has in common is for its lines alone."""
    with pytest.raises(InvalidJobError, match="is executed as it is") as caught:
        submission.parse(
            {"command": ["true"], "shell": "/bin/bash"}, submitter=None, now=NOW
        )
    assert caught.value.field == "shell"
    common = submission.check({"shell": "/bin/bash"})
    shells = [
        submission.parse(
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
    asked = submission.parse(
        {"command": "true", **own},
        submitter=None,
        now=NOW,
        defaults=submission.check(common),
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
        submission.check_startable(asked, NOW)
        return
    with pytest.raises(InvalidJobError, match=sentence) as caught:
        submission.check_startable(asked, NOW)
    assert caught.value.field == "expires"


def test_the_submitter_is_who_asked() -> None:
    """The uid comes from the connection, never from the fields."""
    assert parse().submitter == 1000
    assert refusal(submitter=0).field == "submitter"


def test_groups_come_from_the_connection_too() -> None:
    """In the order in which they are told: the first one is the gid."""
    fields = {"command": "true"}
    asked = submission.parse(fields, submitter=1000, now=NOW, groups=(1000, 27))
    assert asked.groups == (1000, 27)
    assert parse().groups is None
    assert refusal(groups=[0]).field == "groups"


def test_defaults_of_a_batch_are_checked_once_and_overridden() -> None:
    """A job's own field goes before the batch's."""
    defaults = submission.check({"cwd": "/srv", "priority": 5, "umask": "077"})
    job = submission.parse(
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
        return submission.parse(fields, submitter=None, now=NOW)
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
