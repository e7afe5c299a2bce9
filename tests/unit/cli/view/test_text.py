"""Text for terminals: what is escaped, and how wide it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuectl.cli.view import text

ANY = st.text(st.characters())


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain ünïcode 漢字", "plain ünïcode 漢字"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x9b31m", "\\x9b31m"),
        ("\x7f", "\\x7f"),
        ("abc\u202ecba", "abc\\u202ecba"),
        ("line\u2028line", "line\\u2028line"),
        ("byte \udcff", "byte \\xff"),
        ("tag \U000e0041", "tag \\U000e0041"),
    ],
)
def test_what_does_not_print_is_made_visible(raw: str, shown: str) -> None:
    """Control characters, bidirectional marks and stray bytes become their codes."""
    assert text.escape(raw) == shown


@given(ANY)
def test_nothing_escaped_can_act_on_a_terminal(raw: str) -> None:
    """Whatever comes in, what goes out prints and can be encoded."""
    shown = text.escape(raw)
    assert shown.isprintable()
    shown.encode()


@given(ANY.map(text.escape), st.integers(0, 30))
def test_cut_text_fits(shown: str, most: int) -> None:
    """Cut text never takes more columns than allowed, and is whole when it can be."""
    cut = text.cut(shown, most)
    assert text.width(cut) <= most
    assert (cut == shown) == (text.width(shown) <= most)


def test_wide_and_combining_characters_are_measured() -> None:
    """East Asian characters take two columns and combining ones none."""
    assert text.width("漢字") == 4
    assert text.width("e\u0301") == 1


def test_the_last_drawing_of_a_line_counts() -> None:
    """A progress bar is shown as it ended, without its colours."""
    assert text.plain("10%\r\x1b[32m100%\x1b[0m\r") == "100%"


def test_styles_are_sequences_around_the_text() -> None:
    """A style wraps text in SGR codes; no style and no text stay as they are."""
    assert text.styled("dead", "red") == "\x1b[31mdead\x1b[0m"
    assert text.styled("dead", None) == "dead"
    assert text.styled("", "red") == ""
