"""The line of each key of a TOML text."""

import tomllib

import pytest

from queuectld.config import document

TRICKY = '''\
# a comment
first = 1

"second" = """
not_a_key = 1
[not_a_table]
"""
third = [
  1, # ] = 2
  [2],
  "x = 3",
]
fourth.a = 1
fourth.b = 2
fifth = \'\'\'x\'\'\' # = """
[sixth]
first = 1
seventh = 7
[[eighth]]
[[eighth]]
[ "ninth" . ten ]
'''


def lines(text: str) -> dict[str, int]:
    return {key: entry.line for key, entry in document.parse(text.encode()).items()}


def test_every_top_level_key_has_the_line_where_it_first_stands() -> None:
    """Strings, lists and tables over several lines do not confuse the search."""
    assert lines(TRICKY) == {
        "first": 2,
        "second": 4,
        "third": 8,
        "fourth": 13,
        "fifth": 15,
        "sixth": 16,
        "eighth": 19,
        "ninth": 21,
    }


def test_values_are_those_of_tomllib() -> None:
    """The values are those of tomllib; only the lines are added."""
    entries = document.parse(TRICKY.encode())
    assert {key: entry.value for key, entry in entries.items()} == tomllib.loads(TRICKY)


def test_windows_line_ends_count_once() -> None:
    """CRLF is one end of line, in the file and within a value."""
    assert lines(TRICKY.replace("\n", "\r\n")) == lines(TRICKY)


@pytest.mark.parametrize("text", ["", "\n", "# nothing", "a = 1", "a = 1\n\n\n"])
def test_small_documents(text: str) -> None:
    """An empty file is a file, with or without a last end of line."""
    assert lines(text) == dict.fromkeys(tomllib.loads(text), 1)
