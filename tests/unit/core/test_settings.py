"""The job settings: types, ranges and written forms."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuectld.core import limits, settings
from queuectld.core.errors import InvalidSettingError
from queuectld.core.limits import Limits
from queuectld.core.settings import SETTINGS, Applies, Kind, Settings


def test_the_defaults_are_those_of_the_manual() -> None:
    """A fresh store has these values in force."""
    assert settings.in_force({}) == Settings(
        max_retries=3,
        timeout=300,
        backoff_base=2,
        backoff_max=3600,
        backoff_jitter=0.1,
        output_limit=1024**3,
        shell="/bin/sh",
        limits=limits.NONE,
        kill_grace=5,
        retention=30 * 86_400,
        max_queued=10_000_000,
    )


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=lambda s: s.key)
def test_every_default_is_in_its_own_range(setting: settings.Setting) -> None:
    """``config set`` takes what ``config list`` shows, both ends of a range too."""
    ends = {setting.minimum, setting.maximum} - {None}
    for value in (setting.default, *ends):
        assert setting.check(value) == value


NUMBERS = [s for s in SETTINGS.values() if s.kind is not Kind.PATH]


@pytest.mark.parametrize("setting", NUMBERS, ids=lambda s: s.key)
def test_a_value_out_of_range_is_refused(setting: settings.Setting) -> None:
    """The message names the setting and the range."""
    assert setting.minimum is not None
    assert setting.maximum is not None
    for value in (setting.minimum - 1, setting.maximum + 1):
        with pytest.raises(InvalidSettingError, match="must be from") as caught:
            setting.check(value)
        assert str(caught.value).startswith(setting.key)
        assert caught.value.data == {"key": setting.key}


@pytest.mark.parametrize(
    ("key", "written", "value"),
    [
        ("max_retries", "5", 5),
        ("max_retries", 5.0, 5),
        ("timeout", "90", 90),
        ("timeout", "5m", 300),
        ("timeout", 1.5, 1.5),
        ("backoff_base", "1.5", 1.5),
        ("backoff_jitter", "0", 0),
        ("output_limit", "10MiB", 10 * 1024**2),
        ("output_limit", 2048, 2048),
        ("retention", "7d", 7 * 86_400),
        ("max_queued", "100", 100),
        ("nice", "-5", -5),
        ("memory_max", "512M", 512 * 1024**2),
        ("memory_max", "1MiB", 1024**2),
        ("memory_max", 0, 0),
        ("cpu_quota", "150%", 150),
        ("cpu_quota", "12.5", 12.5),
        ("cpu_quota", 0.1, 0.1),
        ("tasks_max", "64", 64),
        ("shell", "/bin/bash", "/bin/bash"),
        ("shell", "/" + 4094 * "x", "/" + 4094 * "x"),
    ],
)
def test_values_are_read_in_their_written_forms(
    key: str, written: Any, value: float
) -> None:
    """A number, or what a person would write for one of this kind."""
    assert SETTINGS[key].check(written) == value


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("bash", "is an absolute path"),
        (7, "is an absolute path"),
        ("/bin/\0", "holds a NUL character"),
        ("/" + 4095 * "x", "has 4096 bytes"),
    ],
)
def test_a_path_is_absolute_and_possible(value: Any, words: str) -> None:
    """What the kernel could not take is refused before any job fails of it."""
    with pytest.raises(InvalidSettingError, match=f"shell {words}"):
        SETTINGS["shell"].check(value)


@pytest.mark.parametrize("value", [-1, 0.05, 10**9])
def test_a_quantity_that_may_be_none_says_so(value: float) -> None:
    """Whichever end it is beyond."""
    words = "cpu_quota must be from 0.1% to 102,400%, or 0 for none"
    with pytest.raises(InvalidSettingError, match=words):
        SETTINGS["cpu_quota"].check(value)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("max_retries", "many", "max_retries is a whole number: 'many' is none"),
        ("max_retries", "-1", "max_retries must be from 0 to 1,000,000"),
        ("backoff_base", "0.5", "backoff_base must be from 1 to 1,000"),
        ("timeout", "soon", "timeout is a duration: 'soon' is no duration"),
        ("timeout", "-1", "timeout is a duration: '-1' is no duration"),
        ("timeout", "367d", "timeout must be from 0s to 366d"),
        ("output_limit", "big", "output_limit is a size: 'big' is no size"),
        ("output_limit", "2000T", "output_limit must be from 0 B to 1024.0 TiB"),
        ("nice", "-21", "nice must be from -20 to 19"),
        ("cpu_quota", "lots", "cpu_quota is a number: 'lots' is none"),
    ],
)
def test_a_refusal_has_the_range_in_written_form(
    key: str, value: str, message: str
) -> None:
    """Or an example of what is meant."""
    with pytest.raises(InvalidSettingError) as caught:
        SETTINGS[key].check(value)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("key", ["max_retries", "backoff_base"])
@pytest.mark.parametrize("value", ["\N{ARABIC-INDIC DIGIT THREE}", "1_0"])
def test_a_number_is_written_in_ascii_digits(key: str, value: str) -> None:
    """Neither the digits of other scripts nor underscores make a number."""
    with pytest.raises(InvalidSettingError, match=f"{key} is a .*number: .* is none"):
        SETTINGS[key].check(value)


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.PATH])
def test_a_whole_quantity_becomes_an_int(kind: Kind) -> None:
    """Counts and sizes are whole numbers, whatever they came as."""
    setting = next(s for s in SETTINGS.values() if s.kind is kind)
    if kind in {Kind.COUNT, Kind.SIZE}:
        assert type(setting.check(1.0)) is int
        with pytest.raises(InvalidSettingError, match=r"1\.5"):
            setting.check(1.5)
    else:
        assert setting.check(1.0) == 1


HOSTILE = [
    "", " ", "x", "1 2", "0x10", "--1", "inf", "nan", "1e999", "9" * 400, "9" * 5000,
    float("inf"), float("-inf"), float("nan"), -21, 10**30,
    None, True, False, b"1", [], {}, [1],
]  # fmt: skip


@pytest.mark.parametrize("value", HOSTILE, ids=lambda v: f"{v!r:.20}")
@pytest.mark.parametrize("setting", SETTINGS.values(), ids=lambda s: s.key)
def test_what_is_no_value_is_refused(setting: settings.Setting, value: Any) -> None:
    """Nothing that is not a value of its kind raises anything but the one error."""
    with pytest.raises(InvalidSettingError):
        setting.check(value)


@given(
    st.sampled_from([*SETTINGS.values()]),
    st.text(max_size=12) | st.floats() | st.integers() | st.binary(max_size=4),
)
def test_a_checked_value_is_in_range(setting: settings.Setting, value: Any) -> None:
    """Whatever comes in is refused, or comes out as a number in range."""
    try:
        checked = setting.check(value)
    except InvalidSettingError:
        return
    if isinstance(checked, str):
        assert checked.startswith("/")
    else:
        assert setting.minimum is not None
        assert setting.maximum is not None
        assert setting.minimum <= checked <= setting.maximum
    assert setting.check(checked) == checked


def test_what_is_stored_goes_before_the_default() -> None:
    """Stored values are in force; a key of a later version is left alone."""
    found = settings.in_force({"max_retries": 7, "colour": 1})
    assert found.max_retries == 7
    assert found.timeout == 300


@pytest.mark.parametrize("key", ["backoff_base", "backoff-base"])
def test_a_setting_is_found_with_hyphens_or_underscores(key: str) -> None:
    """Both spellings mean the same setting."""
    assert settings.find(key) is SETTINGS["backoff_base"]


def test_an_unknown_setting_is_refused_with_the_list() -> None:
    """The message says what there is."""
    with pytest.raises(InvalidSettingError, match="'color'; the settings are: "):
        settings.find("color")


def test_settings_copied_into_jobs_say_so() -> None:
    """What a job takes along at enqueue applies to new jobs, the rest at once."""
    copied = {key for key, s in SETTINGS.items() if s.applies is Applies.NEW_JOBS}
    assert copied == {
        "max_retries",
        "timeout",
        "backoff_base",
        "backoff_max",
        "backoff_jitter",
        "output_limit",
        "shell",
        "nice",
        "memory_max",
        "cpu_quota",
        "tasks_max",
    }


@pytest.mark.parametrize(
    ("key", "value", "least"),
    [
        ("memory_max", 512, "1.0 MiB"),
        ("memory_max", "1000k", "1.0 MiB"),
        ("cpu_quota", 0.01, "0.1%"),
    ],
)
def test_a_limit_that_nothing_could_live_with_is_a_mistake(
    key: str, value: Any, least: str
) -> None:
    """Bytes taken for megabytes, say; 0 is another thing."""
    with pytest.raises(InvalidSettingError, match=f"from {least} to .*, or 0 for none"):
        SETTINGS[key].check(value)


def test_limits_are_one_value() -> None:
    """That of jobs that say nothing of them; one object where there are none."""
    assert settings.in_force({"nice": 0, "cpu_quota": 0.0}).limits is limits.NONE
    found = settings.in_force({"nice": 5, "memory_max": 1024**3})
    assert found.limits == Limits(nice=5, memory_max=1024**3)
