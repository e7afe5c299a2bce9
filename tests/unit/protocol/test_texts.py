"""How messages show text that may not be UTF-8."""

import pytest

from queuectl_protocol.texts import quoted, shown


@pytest.mark.parametrize(
    ("text", "plain", "in_quotes"),
    [
        ("plain", "plain", "'plain'"),
        ("it's", "it's", '"it\'s"'),
        ("caf\N{LATIN SMALL LETTER E WITH ACUTE}", "café", "'café'"),
        ("caf\udce9", r"caf\xe9", r"'caf\xe9'"),
        ("\\\udcff", r"\\xff", r"'\\\xff'"),
        (r"\udcff", r"\udcff", r"'\\udcff'"),
        ("a\nb", "a\nb", r"'a\nb'"),
        ("\ud800", r"\ud800", r"'\ud800'"),
    ],
)
def test_a_byte_that_is_not_utf8_is_shown_in_one_way(
    text: str, plain: str, in_quotes: str
) -> None:
    """As a backslash, an x and two digits; what is no byte at all raises nothing."""
    assert shown(text) == plain
    assert quoted(text) == in_quotes
