"""Option types: what is accepted, and what the refusal says."""

from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import click
import pytest

from queuectl.cli.input import moments
from queuectl.cli.input.param_types import (
    DURATION,
    EXPIRY,
    JOB_ID,
    MOMENT,
    PERCENT,
    RLIMIT,
    SIZE,
    VARIABLE,
)
from queuectl.cli.view import times

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 3, 1, 12, tzinfo=BERLIN).timestamp()


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("90", 90), ("90s", 90), ("5m", 300), ("2h", 7200), ("1d", 86400), ("0", 0)],
)
def test_durations_are_read(written: str, seconds: float) -> None:
    """A duration is a number with a unit, seconds unless said."""
    assert DURATION.convert(written, None, None) == seconds


@pytest.mark.parametrize("written", ["", "soon", "-5", "5 parsecs", "9" * 400])
def test_what_is_no_duration_is_refused(written: str) -> None:
    """The refusal is a usage error."""
    with pytest.raises(click.BadParameter):
        DURATION.convert(written, None, None)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2026-12-01T10:00:00Z", "2026-12-01T10:00:00+00:00"),
        ("2026-12-01T10:00:00.250+02:00", "2026-12-01T08:00:00.250+00:00"),
        ("2026-12-01 10:00", "2026-12-01T10:00:00+01:00"),
        ("2026-12-01T10:00:30", "2026-12-01T10:00:30+01:00"),
        ("2026-07-01 10:00:30", "2026-07-01T10:00:30+02:00"),
        ("13:30", "2026-03-01T13:30:00+01:00"),
        ("12:00", "2026-03-02T12:00:00+01:00"),
        ("9:05:07", "2026-03-02T09:05:07+01:00"),
    ],
)
def test_times_are_read(written: str, expected: str) -> None:
    """RFC 3339, local date and time, and the next time of day are understood."""
    milliseconds = moments.parse(written, now=NOON, zone=BERLIN)
    moment = datetime.fromisoformat(expected)
    assert milliseconds == round(moment.timestamp() * 1000)


@pytest.mark.parametrize(
    "written", ["tomorrow", "2026-13-01 10:00", "25:00", "2026-12-01", "", "1:2:3:4"]
)
def test_what_is_no_time_is_refused(written: str) -> None:
    """The refusal is a ValueError, which becomes a usage error."""
    with pytest.raises(ValueError, match=r"is no time|must be in|day"):
        moments.parse(written, now=NOON, zone=BERLIN)
    with pytest.raises(click.BadParameter):
        MOMENT.convert(written, None, None)


def test_the_refusal_of_an_expiry_tells_of_durations_too() -> None:
    """Beside the ways to write a time, which are those of other times."""
    with pytest.raises(click.BadParameter) as refused:
        EXPIRY.convert("soon", None, None)
    assert refused.value.message == (
        "'soon' is no time; write 2026-12-01T10:00:00Z, '2026-12-01 10:00' (local), "
        "10:00 (the next) or a duration such as 10m"
    )
    with pytest.raises(click.BadParameter) as refused:
        MOMENT.convert("soon", None, None)
    assert refused.value.message == (
        "'soon' is no time; write 2026-12-01T10:00:00Z, '2026-12-01 10:00' (local) or "
        "10:00 (the next)"
    )


@pytest.mark.parametrize(
    ("now", "written", "expected"),
    [
        ("2026-10-25T01:00+02:00", "02:30", "2026-10-25T02:30+02:00"),
        ("2026-10-25T02:45+02:00", "02:50", "2026-10-25T02:50+02:00"),
        ("2026-10-25T02:45+02:00", "02:30", "2026-10-25T02:30+01:00"),
        ("2026-10-25T02:45+01:00", "02:50", "2026-10-25T02:50+01:00"),
        ("2026-10-25T02:45+01:00", "02:30", "2026-10-26T02:30+01:00"),
        ("2026-10-25T02:45+01:00", "03:10", "2026-10-25T03:10+01:00"),
        ("2026-10-24T12:00+02:00", "02:30", "2026-10-25T02:30+02:00"),
        ("2026-10-24T12:00+02:00", "2026-10-25 02:30", "2026-10-25T02:30+02:00"),
        ("2026-03-29T01:00+01:00", "03:30", "2026-03-29T03:30+02:00"),
        ("2026-03-29T03:10+02:00", "02:30", "2026-03-30T02:30+02:00"),
        ("2026-03-28T12:00+01:00", "12:00", "2026-03-29T12:00+02:00"),
    ],
)
def test_a_time_of_day_is_the_next_one_when_the_clocks_change(
    now: str, written: str, expected: str
) -> None:
    """Of an hour that comes twice it is the first that is still ahead."""
    present = datetime.fromisoformat(now).timestamp()
    milliseconds = moments.parse(written, now=present, zone=BERLIN)
    assert milliseconds == datetime.fromisoformat(expected).timestamp() * 1000


@pytest.mark.parametrize("now", ["2026-03-28T12:00+01:00", "2026-03-29T01:00+01:00"])
def test_a_time_of_day_that_the_clocks_skip_next_is_refused(now: str) -> None:
    """Tomorrow's, a day late, is hardly what was meant."""
    present = datetime.fromisoformat(now).timestamp()
    with pytest.raises(ValueError, match="put forward"):
        moments.parse("02:30", now=present, zone=BERLIN)


def test_a_time_that_the_clocks_skip_is_refused() -> None:
    """In the hour that summer time skips there is no time to run at."""
    with pytest.raises(ValueError, match="put forward"):
        moments.parse("2026-03-29 02:30", now=NOON, zone=BERLIN)


def test_a_time_goes_out_as_rfc_3339() -> None:
    """What the daemon gets is in UTC, whatever was written."""
    written = "2026-12-01T10:00:00+01:00"
    assert MOMENT.convert(written, None, None) == "2026-12-01T09:00:00.000Z"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("A=1", ("A", "1")),
        ("A=", ("A", "")),
        ("A=b=c", ("A", "b=c")),
        ("B", ("B", "x")),
    ],
)
def test_variables_are_read(
    monkeypatch: pytest.MonkeyPatch, written: str, expected: tuple[str, str]
) -> None:
    """NAME=VALUE sets a variable, and NAME alone takes it from here."""
    monkeypatch.setenv("B", "x")
    assert VARIABLE.convert(written, None, None) == expected


@pytest.mark.parametrize("written", ["=1", "", "NOT_SET_HERE"])
def test_what_is_no_variable_is_refused(written: str) -> None:
    """A variable has a name, and a value somewhere."""
    with pytest.raises(click.BadParameter):
        VARIABLE.convert(written, None, None)


@pytest.mark.parametrize(
    ("written", "size"), [("0", 0), ("64k", 65_536), ("1GiB", 1024**3)]
)
def test_sizes_are_read(written: str, size: int) -> None:
    """A size is a number with a unit, bytes unless said."""
    assert SIZE.convert(written, None, None) == size


@pytest.mark.parametrize("written", ["", "big", "-1", "1P"])
def test_what_is_no_size_is_refused(written: str) -> None:
    """The refusal is a usage error."""
    with pytest.raises(click.BadParameter, match="is no size; write"):
        SIZE.convert(written, None, None)


@pytest.mark.parametrize(
    ("written", "percent"), [("20%", 20), ("150", 150), ("12.5%", 12.5), ("0", 0)]
)
def test_percentages_are_read(written: str, percent: float) -> None:
    """With their sign or without."""
    assert PERCENT.convert(written, None, None) == percent


@pytest.mark.parametrize("written", ["", "%", "half", "nan", "inf%", "20%%"])
def test_what_is_no_percentage_is_refused(written: str) -> None:
    """The refusal is a usage error that shows one."""
    with pytest.raises(click.BadParameter, match="is no percentage; write 20%"):
        PERCENT.convert(written, None, None)


@pytest.mark.parametrize(
    ("written", "limit"),
    [
        ("nofile=1024", ("nofile", 1024)),
        ("core=0", ("core", 0)),
        ("core=infinity", ("core", -1)),
        ("as=4G", ("as", 4 * 1024**3)),
        ("fsize=64k", ("fsize", 65_536)),
        ("cpu=10m", ("cpu", 600)),
        ("nproc=infinity", ("nproc", -1)),
    ],
)
def test_resource_limits_are_read(written: str, limit: tuple[str, int]) -> None:
    """Bytes as sizes, seconds as durations, all else as whole numbers."""
    assert RLIMIT.convert(written, None, None) == limit
    assert RLIMIT.convert(limit, None, None) == limit


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("", "there is no resource limit ''; there are: as, core"),
        ("files=5", "there is no resource limit 'files'"),
        ("NOFILE=5", "there is no resource limit 'NOFILE'"),
        ("nofile", "nofile has no value; write nofile=1024"),
        ("cpu", "cpu has no value; write cpu=10m"),
        ("nofile=", "nofile is a whole number or infinity, not ''"),
        ("nofile=1k", "nofile is a whole number or infinity, not '1k'"),
        ("nofile=-1", "nofile is a whole number or infinity, not '-1'"),
        ("nofile=1_0", "nofile is a whole number or infinity"),
        ("nproc=9999999999999999999", "is too much; write nproc=infinity"),
        ("core=big", "'big' is no size"),
        ("as=9999999T", "is too much; write as=infinity"),
        ("cpu=soon", "'soon' is no duration"),
    ],
)
def test_what_is_no_resource_limit_is_refused(written: str, words: str) -> None:
    """The refusal says what there is."""
    with pytest.raises(click.BadParameter) as caught:
        RLIMIT.convert(written, None, None)
    assert words in caught.value.message


def test_an_id_is_not_empty() -> None:
    """An empty id, as from an unset variable in a script, is a usage error."""
    assert JOB_ID.convert("12", None, None) == "12"
    with pytest.raises(click.BadParameter):
        JOB_ID.convert("", None, None)


@pytest.mark.parametrize(
    ("passed", "expected"),
    [(0, "0s"), (59, "59s"), (60, "1m"), (7199, "1h"), (86_400 * 3, "3d"), (-5, "0s")],
)
def test_ages_have_one_unit(passed: float, expected: str) -> None:
    """How long ago something was is told to one unit; a skewed clock is no age."""
    moment = "2026-12-01T10:00:00.000Z"
    assert times.age(moment, times.seconds(moment) + passed) == expected


@pytest.mark.parametrize(
    ("show", "expected"),
    [
        (lambda: times.duration(0.0421), "42.1ms"),
        (lambda: times.duration(90), "1m30s"),
        (lambda: times.between(None, None), ""),
        (
            lambda: times.between(
                "2026-12-01T10:00:00.000Z", "2026-12-01T10:00:02.500Z"
            ),
            "2.5s",
        ),
    ],
)
def test_lengths_of_time_are_short(show: Callable[[], str], expected: str) -> None:
    """Milliseconds appear only where they matter."""
    assert show() == expected


def test_local_times_are_for_people() -> None:
    """A time off the wire is shown in the system's zone, to the second."""
    moment = datetime(2026, 12, 1, 10, tzinfo=UTC)
    expected = f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"
    assert times.local("2026-12-01T10:00:00.123Z") == expected
    assert times.local(None) == ""
