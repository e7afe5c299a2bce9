"""From a map off the wire to a submission: the values of every field, good and bad."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.submissions import parse, refusal
from queuectl_protocol.limits import (
    MAX_ARGV,
    MAX_COMMAND,
    MAX_ENV,
    MAX_ID,
    MAX_LABEL,
    MAX_PATH,
)
from queuectld.core import values
from queuectld.core.errors import InvalidJobError
from queuectld.core.submission_fields import GIVEN
from queuectld.core.values import PRIORITY_RANGE

NOT_UTF8 = b"/srv/caf\xe9".decode("utf-8", "surrogateescape")
YEAR = 366 * 86_400
LONGEST = MAX_COMMAND - len("A=")
LARGEST = {f"{n:02}": "x" * (MAX_ENV // 16 - 4) for n in range(16)}
"""As much as an environment may hold."""


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
    ("max_retries", -1, "must be from"),
    ("max_retries", 1.5, "whole number"),
    ("max_retries", "3", "is a number, not a string"),
    ("max_retries", True, "not a boolean"),
    ("timeout", -0.1, "must be from"),
    ("timeout", YEAR + 1, "must be from"),
    ("timeout", "5m", "is a number, not a string"),
    ("timeout", float("nan"), "must be from"),
    ("timeout", float("inf"), "must be from"),
    ("backoff_base", 0.5, "must be from"),
    ("backoff_base", [2], "not a list"),
    ("backoff_max", -1, "must be from"),
    ("backoff_jitter", 1.1, "must be from"),
    ("output_limit", -1, "must be from"),
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
    ("nice", 20, "must be from"),
    ("nice", -21, "must be from"),
    ("nice", 1.5, "whole number"),
    ("memory_max", 512, "must be from"),
    ("memory_max", 1024**5 + 1, "must be from"),
    ("memory_max", "512M", "is a number, not a string"),
    ("cpu_quota", -1, "must be from"),
    ("cpu_quota", 0.05, "must be from"),
    ("cpu_quota", "20%", "is a number, not a string"),
    ("tasks_max", -1, "must be from"),
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
