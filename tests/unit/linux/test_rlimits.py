"""The limit of open files: raised for the daemon, and lowered again for jobs."""

import resource

import pytest

from queuectld.linux import rlimits


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Stand in for the kernel: the last pair is in force."""
    pairs = [(1024, 4096)]
    monkeypatch.setattr(resource, "getrlimit", lambda _which: pairs[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _which, pair: pairs.append(pair))
    return pairs


def test_the_soft_limit_goes_up_to_the_hard_one_and_back(
    limits: list[tuple[int, int]],
) -> None:
    """The soft limit goes up to the hard one, and back to what it was."""
    assert rlimits.raise_descriptors() == 1024
    rlimits.lower_descriptors(1024)
    assert limits[1:] == [(4096, 4096), (1024, 4096)]


@pytest.mark.parametrize("soft", [1024, resource.RLIM_INFINITY])
def test_a_hard_limit_that_was_lowered_meanwhile_is_kept_to(
    limits: list[tuple[int, int]], soft: int
) -> None:
    """The soft limit is never set above the hard one."""
    limits.append((512, 512))
    rlimits.lower_descriptors(soft)
    assert limits[-1] == (512, 512)
