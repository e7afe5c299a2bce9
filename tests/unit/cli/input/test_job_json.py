"""Jobs as people write them."""

from typing import Any

import pytest

from queuectl.cli.input import job_json


@pytest.mark.parametrize(
    ("words", "job"),
    [
        (("sleep 2 && echo hi",), {"command": "sleep 2 && echo hi"}),
        (("rsync", "-a", "my dir"), {"command": ["rsync", "-a", "my dir"]}),
        (("{", "x"), {"command": ["{", "x"]}),
        (('{"command": "x", "priority": 5}',), {"command": "x", "priority": 5}),
        (('{"command": "\\udcff"}',), {"command": "\udcff"}),
    ],
)
def test_words_are_a_job(words: tuple[str, ...], job: dict[str, Any]) -> None:
    """One word is a command line or JSON; several are an argument vector."""
    assert job_json.command(words) == job


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"command": "x"', "character 16"),
        ("[1]", "not an object"),
        ("{make; }", "character 2"),
        ('{"priority": NaN}', "NaN is no number"),
        ('{"priority": Infinity}', "Infinity is no number"),
        ('{"priority": 18446744073709551616}', "too large"),
        ('{"priority": -9223372036854775809}', "too large"),
        ('{"priority": 1' + "0" * 5000 + "}", "too large"),
        ('{"env": ' + "[" * 10 + "]" * 10 + "}", "nested"),
        ('{"env": ' + "[" * 100_000, "nested"),
    ],
)
def test_bad_json_is_refused_with_its_place(text: str, reason: str) -> None:
    """The message tells what is wrong, and where."""
    with pytest.raises(ValueError, match=reason):
        job_json.parse_json(text)


def test_json_is_utf_8() -> None:
    """Bytes that are not UTF-8 are refused, not guessed at."""
    with pytest.raises(ValueError, match="UTF-8"):
        job_json.parse_json(b'{"command": "\xff"}')


def test_whole_numbers_that_can_travel_pass() -> None:
    """The ends of what msgpack can carry are accepted."""
    numbers = [-(2**63), 2**64 - 1]
    assert job_json.parse_json(f'{{"x": {numbers}}}') == {"x": numbers}
