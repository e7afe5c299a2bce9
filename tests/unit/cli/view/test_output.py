"""What reaches stdout and stderr."""

import json

import pytest

from queuectl.cli.view import output


@pytest.mark.parametrize("values", [[], [1], [{"id": "1"}, {"id": "2"}]])
def test_an_array_is_one_document(
    capsys: pytest.CaptureFixture[str], values: list[object]
) -> None:
    """However many elements come, what is written is one JSON array."""
    output.array(iter(values))
    written = capsys.readouterr().out
    assert json.loads(written) == values
    assert written.endswith("]\n")


def test_json_is_safe_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON has no character that a terminal could act on, and keeps stray bytes."""
    output.document({"label": "\x1b[31m\x9b\u202e", "data": b"\xff"})
    written = capsys.readouterr().out
    assert written.isascii()
    assert "\x1b" not in written
    assert json.loads(written) == {"label": "\x1b[31m\x9b\u202e", "data": "\udcff"}


def test_a_note_cannot_pass_for_two(capsys: pytest.CaptureFixture[str]) -> None:
    """Notes are escaped, and lines after the first are indented."""
    output.note("bad \x1b[2J\nqueuectl: all is well")
    written = capsys.readouterr()
    assert written.err == "bad \\x1b[2J\n  queuectl: all is well\n"
    assert written.out == ""


def test_pairs_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    """Values stand below each other, and empty ones are not there; all is escaped."""
    output.pairs([("A", "1"), ("Lo\t", "2\n"), ("None", "")])
    assert capsys.readouterr().out == "A     1\nLo\\t  2\\n\n"


def test_colours_are_for_terminals_that_want_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not in a pipe, not with NO_COLOR, not on a dumb terminal."""
    output.line(output.state("dead"))
    assert capsys.readouterr().out == "dead\n"
    monkeypatch.setattr(output, "is_terminal", lambda _: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b" in output.state("dead")
    monkeypatch.setenv("NO_COLOR", "1")
    assert output.state("dead") == "dead"
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert output.state("dead") == "dead"
