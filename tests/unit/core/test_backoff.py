"""How long a job waits before its next try."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuectld.core import backoff


def delay(
    attempts: int,
    *,
    base: float = 2,
    maximum: float = 3600,
    jitter: float = 0,
    random: float = 0,
) -> float:
    """Return ``backoff.delay`` with the defaults of the settings, without jitter."""
    return backoff.delay(
        attempts, base=base, maximum=maximum, jitter=jitter, random=random
    )


def test_the_delay_doubles() -> None:
    """Base 2 gives exactly 2, 4, 8 ... seconds."""
    assert [delay(n) for n in range(1, 6)] == [2, 4, 8, 16, 32]


def test_the_base_decides() -> None:
    """The delay before retry n is ``base ** n``."""
    assert [delay(n, base=3) for n in range(1, 4)] == [3, 9, 27]
    assert delay(2, base=1.5) == 2.25


def test_base_one_never_grows() -> None:
    """Base 1 retries once a second, for ever."""
    assert [delay(n, base=1) for n in (1, 2, 1_000_000)] == [1, 1, 1]


@pytest.mark.parametrize("attempts", [12, 100, 1_000_000])
def test_the_delay_is_bounded(attempts: int) -> None:
    """The maximum holds, also where the power would overflow."""
    assert delay(attempts) == 3600
    assert delay(attempts, base=1000.0) == 3600


def test_a_maximum_of_zero_means_at_once() -> None:
    """Without a delay there is nothing for jitter to scale."""
    assert delay(3, maximum=0, jitter=1, random=0.9) == 0


@pytest.mark.parametrize(("random", "seconds"), [(0, 8), (0.5, 8.4), (0.999, 8.7992)])
def test_jitter_only_adds(random: float, seconds: float) -> None:
    """Up to the jitter's share of the delay comes on top."""
    assert delay(3, jitter=0.1, random=random) == pytest.approx(seconds)


def test_jitter_comes_on_top_of_the_maximum() -> None:
    """Jobs that all wait for the maximum do not come back all at once."""
    assert delay(50, jitter=0.5, random=0.5) == 4500


@given(
    attempts=st.integers(1, 1_000_000),
    base=st.floats(1, 1000),
    maximum=st.floats(0, 366 * 86_400),
    jitter=st.floats(0, 1),
    random=st.floats(0, 1, exclude_max=True),
)
def test_any_setting_gives_a_sane_delay(
    attempts: int, base: float, maximum: float, jitter: float, random: float
) -> None:
    """Within all ranges: never negative, never over the maximum and its jitter."""
    seconds = delay(attempts, base=base, maximum=maximum, jitter=jitter, random=random)
    plain = delay(attempts, base=base, maximum=maximum)
    assert 0 <= plain <= seconds <= maximum * (1 + jitter)
    assert plain == pytest.approx(min(maximum, _power(base, attempts)))


def _power(base: float, exponent: int) -> float:
    try:
        return float(base**exponent)
    except OverflowError:
        return float("inf")
