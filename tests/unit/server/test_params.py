"""The check of a request's arguments against the declared parameters."""

from pathlib import Path
from typing import Any

import pytest

from queuectl_protocol.vocabulary import JobState
from queuectld.server.schema import arguments, params
from queuectld.server.schema.arguments import InvalidParamsError
from queuectld.server.schema.method import Param

STATES = (JobState.DEAD, JobState.COMPLETED)

DECLARED = (
    params.text("id", "the job's id", required=True),
    params.whole("limit", "rows", minimum=1, maximum=1000, default=100),
    params.flag("wait", "wait for it", default=True),
)


def test_defaults_are_filled_in() -> None:
    """A handler gets every parameter that it declares."""
    assert arguments.checked(DECLARED, {"id": "a"}) == {
        "id": "a",
        "limit": 100,
        "wait": True,
    }


def test_null_is_absent() -> None:
    """A client may send null for a parameter that it leaves out."""
    given = {"id": "a", "limit": None, "wait": None}
    assert arguments.checked(DECLARED, given)["limit"] == 100


@pytest.mark.parametrize(
    ("given", "param", "message"),
    [
        ({}, "id", "id is missing: the job's id"),
        ({"id": None}, "id", "id is missing"),
        ({"id": "a", "limits": 3}, "limits", "'limits'; did you mean limit?"),
        ({"id": "a", "xyz": 3}, "xyz", "it takes: id, limit, wait"),
        ({"id": "a", "xyz": None}, "xyz", "there is no parameter 'xyz'"),
        ({"id": 7}, "id", "id is a string"),
        ({"id": ""}, "id", "id has from 1 to 128 characters"),
        ({"id": "x" * 129}, "id", "id has from 1 to 128 characters"),
        ({"id": "\udcff"}, "id", "cannot be printed"),
        ({"id": "a", "limit": 0}, "limit", "must be from 1 to 1000"),
        ({"id": "a", "limit": 1001}, "limit", "limit is 1001, and must be from 1"),
        ({"id": "a", "limit": True}, "limit", "limit is a whole number"),
        ({"id": "a", "limit": 1.5}, "limit", "limit is a whole number"),
        ({"id": "a", "limit": float("nan")}, "limit", "limit is a whole number"),
        ({"id": "a", "limit": float("inf")}, "limit", "limit is a whole number"),
        ({"id": "a", "limit": 1e300}, "limit", "and must be from 1"),
        ({"id": "a", "limit": 2**64 - 1}, "limit", "and must be from 1"),
        ({"id": "a", "wait": 1}, "wait", "wait is true or false"),
    ],
)
def test_what_is_wrong_is_refused_by_name(
    given: dict[str, Any], param: str, message: str
) -> None:
    """The error names the parameter, for people and for programs."""
    with pytest.raises(InvalidParamsError) as caught:
        arguments.checked(DECLARED, given)
    assert message in str(caught.value)
    assert caught.value.data == {"param": param}


@pytest.mark.parametrize(
    ("param", "value"),
    [
        (params.wholes("w", ""), [1, -1]),
        (params.wholes("w", ""), [1, "2"]),
        (params.choices("w", "", STATES, default=()), ["dead", "pending"]),
        (params.batch("w", ""), [{}, 1]),
        (params.batch("w", ""), [{}, None]),
    ],
)
def test_what_is_wrong_in_a_list_is_named_by_its_place(
    param: Param, value: Any
) -> None:
    """The error has the index of the first bad item."""
    words = r"^w, item 1 from 0, (is|must)"
    with pytest.raises(InvalidParamsError, match=words) as bad:
        arguments.checked((param,), {"w": value})
    assert bad.value.data == {"param": "w", "index": 1}


def test_a_method_without_parameters_takes_none() -> None:
    """The message says so."""
    with pytest.raises(InvalidParamsError, match="'id'; it takes none"):
        arguments.checked((), {"id": "a"})


def test_a_megabyte_of_a_name_is_not_repeated() -> None:
    """A client's long word is cut in the message."""
    with pytest.raises(InvalidParamsError) as caught:
        arguments.checked(DECLARED, {"id": "a", "x" * 1_000_000: 1})
    assert len(str(caught.value)) < 200
    assert len(caught.value.data["param"]) < 200


@pytest.mark.parametrize(
    ("param", "value", "expected"),
    [
        (params.seconds("t", ""), 3, 3.0),
        (params.seconds("t", ""), 0.5, 0.5),
        (params.choice("s", "", STATES), "dead", JobState.DEAD),
        (params.choices("s", "", STATES, default=()), ["dead"], [JobState.DEAD]),
        (params.wholes("w", ""), [1, 2.0], [1, 2]),
        (params.whole("n", ""), 3.0, 3),
        (params.request_id("sub", ""), 12.0, 12),
        (params.path("path", ""), b"/srv/\xff", Path("/srv/\udcff")),
        (params.fields("job", ""), {"command": "x"}, {"command": "x"}),
        (params.batch("jobs", ""), [{}], [{}]),
        (params.request_id("sub", ""), "a", "a"),
        (params.setting_value("value", ""), "90s", "90s"),
    ],
)
def test_good_values_pass(param: Param, value: Any, expected: Any) -> None:
    """A handler gets them in the type that it declares."""
    assert param.check(value) == expected


@pytest.mark.parametrize(
    ("param", "value"),
    [
        (params.seconds("t", ""), -1),
        (params.seconds("t", ""), float("nan")),
        (params.seconds("t", ""), float("inf")),
        (params.seconds("t", ""), "3"),
        (params.seconds("t", ""), True),
        (params.choice("s", "", STATES), "pending"),
        (params.choice("s", "", STATES), ["dead"]),
        (params.choices("s", "", STATES, default=()), []),
        (params.choices("s", "", STATES, default=()), "dead"),
        (params.choices("s", "", STATES, default=()), ["dead"] * 3),
        (params.wholes("w", "", most=2), [1, 2, 3]),
        (params.wholes("w", ""), [-1]),
        (params.fields("job", ""), []),
        (params.batch("jobs", ""), {}),
        (params.batch("jobs", ""), [1]),
        (params.request_id("sub", ""), 1.5),
        (params.setting_value("value", ""), [1]),
    ],
)
def test_bad_values_do_not(param: Param, value: Any) -> None:
    """The text of the error completes the parameter's name."""
    with pytest.raises(ValueError, match=r"^(is|has) "):
        param.check(value)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (b"/bin/bash", "is a number, its written form such as 90s or 1GiB, or a path"),
        ("/bin/\udcff", "is not valid UTF-8"),
    ],
)
def test_a_setting_is_a_number_or_text(value: Any, words: str) -> None:
    """A setting's value is text, so bytes that are not UTF-8 are refused."""
    with pytest.raises(InvalidParamsError, match=f"^value {words}$"):
        arguments.checked([params.setting_value("value", "to what")], {"value": value})


def test_a_number_over_the_maximum_is_told_the_maximum() -> None:
    """The message names both ends of the range."""
    with pytest.raises(
        InvalidParamsError, match=r"must be from 1 to 9223372036854775807$"
    ):
        arguments.checked([params.whole("n", "", minimum=1)], {"n": 2**63})


def test_an_unknown_name_is_shown_as_its_bytes() -> None:
    """Bytes that are not UTF-8 are shown as everywhere in messages."""
    with pytest.raises(InvalidParamsError, match=r"no parameter 'caf\\xe9'"):
        arguments.checked([], {"caf\udce9": 1})
