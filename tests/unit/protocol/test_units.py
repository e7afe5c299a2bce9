"""Times, durations and sizes, to and from their written forms."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuectl_protocol.units import (
    format_duration,
    format_size,
    format_time,
    parse_duration,
    parse_size,
    parse_time,
)

YEAR_1 = -62_135_596_800_000
YEAR_9999_ENDS = 253_402_300_799_999


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("90", 90),
        ("1.5", 1.5),
        ("90s", 90),
        ("250ms", 0.25),
        ("5m", 300),
        ("5 m", 300),
        ("2h", 7200),
        ("1d", 86_400),
        ("1w", 604_800),
        ("1h30m", 5400),
        ("1d12h", 129_600),
        ("1.5h", 5400),
        (" 90s ", 90),
        ("5M", 300),
    ],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    """A number of seconds, or numbers with their units."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "s", "-5", "+5", "5x", "5 5", "5,5", ".5", "5.", "1h30", "30 1h",
        "1h 30m", "5months", "1e3", "inf", "nan", "\u0665", "5\u017f", "9" * 400,
    ],
)  # fmt: skip
def test_what_is_no_duration_is_refused(text: str) -> None:
    """Signs, exponents, unknown units, other scripts and a doubtful ``1h30``."""
    with pytest.raises(ValueError, match="is no duration; write 90, 90s, 5m"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.25, "0.25s"),
        (9.996, "10s"),
        (42.4, "42s"),
        (59.7, "1m"),
        (60, "1m"),
        (300, "5m"),
        (5400, "1h30m"),
        (3661, "1h1m"),
        (172_800, "2d"),
        (90_061, "1d1h"),
        (2_592_000, "30d"),
    ],
)
def test_durations_are_written_short(seconds: float, text: str) -> None:
    """Two units at most, rounded to what a person reads."""
    assert format_duration(seconds) == text


@given(st.integers(0, 10**9))
def test_a_written_duration_can_be_read(seconds: int) -> None:
    """What is shown can be typed, and is off by less than its last unit."""
    again = parse_duration(format_duration(seconds))
    assert again <= seconds
    assert seconds - again < 3600


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1048576", 1_048_576),
        ("64k", 65_536),
        ("64K", 65_536),
        ("10M", 10_485_760),
        ("10MB", 10_485_760),
        ("10MiB", 10_485_760),
        ("10 MiB", 10_485_760),
        ("1GiB", 1_073_741_824),
        ("1T", 1_099_511_627_776),
        ("1.5k", 1536),
        ("7B", 7),
    ],
)
def test_sizes_are_read(text: str, size: int) -> None:
    """Every unit is a power of 1,024."""
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    ["", "k", "-1", "1P", "1kk", "1e3", "inf", "\u0663k", "1\u212a", "9" * 400],
)
def test_what_is_no_size_is_refused(text: str) -> None:
    """Signs, exponents, unknown units and other scripts."""
    with pytest.raises(ValueError, match="is no size; write 1048576, 64k"):
        parse_size(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (1024**2 - 1, "1.0 MiB"),
        (1024**3, "1.0 GiB"),
        (1024**4, "1.0 TiB"),
        (5000 * 1024**4, "5000.0 TiB"),
    ],
)
def test_sizes_are_written_short(size: int, text: str) -> None:
    """One digit behind the point, in the largest unit that fits."""
    assert format_size(size) == text


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.001Z", 1),
        ("1969-12-31T23:59:59.999Z", -1),
        ("2026-12-01T10:00:00Z", 1_796_119_200_000),
        ("2026-12-01t10:00:00z", 1_796_119_200_000),
        ("2026-12-01 10:00:00Z", 1_796_119_200_000),
        ("2026-12-01T11:30:00+01:30", 1_796_119_200_000),
        ("2026-12-01T05:00:00-05:00", 1_796_119_200_000),
        ("2026-12-01T10:00:00.5Z", 1_796_119_200_500),
        ("2026-12-01T10:00:00.123999999Z", 1_796_119_200_123),
        ("0001-01-01T00:00:00Z", YEAR_1),
        ("9999-12-31T23:59:59.9999Z", YEAR_9999_ENDS),
    ],
)
def test_times_are_read(text: str, ms: int) -> None:
    """RFC 3339 with any offset; digits under a millisecond are dropped."""
    assert parse_time(text) == ms


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-12-01",
        "2026-12-01T10:00:00",
        "2026-12-01T10:00Z",
        "20261201T100000Z",
        "2026-13-01T10:00:00Z",
        "2026-02-29T10:00:00Z",
        "2026-12-01T24:00:00Z",
        "2026-12-01T10:00:60Z",
        "2026-12-01T10:00:00+99:99",
        "2026-12-01T10:00:00.Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "\u0662\u0660\u0662\u0666-12-01T10:00:00Z",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    """No offset, no such day, or a moment that could not be written again."""
    with pytest.raises(ValueError, match=r"is no (RFC 3339 )?time"):
        parse_time(text)


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (1_796_119_200_042, "2026-12-01T10:00:00.042Z"),
        (YEAR_1, "0001-01-01T00:00:00.000Z"),
        (YEAR_9999_ENDS, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_times_are_written_in_utc_with_milliseconds(ms: int, text: str) -> None:
    """Every time has the same length and sorts as text."""
    assert format_time(ms) == text


@given(st.integers(YEAR_1, YEAR_9999_ENDS))
def test_a_written_time_is_read_back(ms: int) -> None:
    """Every moment that can be written is read back to the millisecond."""
    assert parse_time(format_time(ms)) == ms


@given(st.from_regex(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"
                     r"(\.[0-9]{1,20})?(Z|[+-][0-9]{2}:[0-9]{2})\Z"))  # fmt: skip
def test_every_time_that_is_read_can_be_written(text: str) -> None:
    """No accepted time is one that the daemon could not show later."""
    with suppress(ValueError):
        assert parse_time(format_time(parse_time(text))) == parse_time(text)


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:60Z",
        "2026-13-01T00:00:00Z",
        "9999-12-31T23:59:59-01:00",
    ],
)
def test_what_is_wrong_with_a_time_is_said_in_our_own_words(text: str) -> None:
    """The libraries' are of their own modules, and change with them."""
    with pytest.raises(ValueError, match="is no time: ") as caught:
        parse_time(text)
    assert str(caught.value) == (
        f"'{text}' is no time: a field is out of range, or the moment is outside the "
        "years 1 to 9999 in UTC"
    )


def test_a_time_may_have_twenty_digits_behind_the_point() -> None:
    """More than a millisecond are dropped."""
    assert parse_time(f"1970-01-01T00:00:00.{'1239' * 5}Z") == 123
    with pytest.raises(ValueError, match="RFC 3339"):
        parse_time(f"1970-01-01T00:00:00.{'1' * 21}Z")
