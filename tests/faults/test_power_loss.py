"""The power fails: what was acknowledged is on the disk, whatever else is not.

A traced life of the daemon, and power cuts at any moment of it. ``QUEUECTL_POWER_CUTS``
says how many (``make soak``); a failure names the event after which the power failed.
"""

import os

import pytest

from benchmarks.power_loss import powercut
from benchmarks.power_loss.crashstates import Loss
from benchmarks.power_loss.powercut import Life, Verdict
from helpers import traced

CUTS = int(os.environ.get("QUEUECTL_POWER_CUTS", "400"))
SEED = int(os.environ.get("QUEUECTL_POWER_SEED", "1"))

BIRTH = 60
"""Events in which a database is made, up to its first commit and somewhat further."""

pytestmark = pytest.mark.skipif(
    not traced.available(), reason="needs strace, and to be allowed to trace"
)


@pytest.fixture(scope="module")
def life() -> Life:
    """Run a daemon through every kind of acknowledgement."""
    return powercut.live()


def show(verdict: Verdict) -> str:
    """Return the figures of the report."""
    lost = ", ".join(f"{n} x {loss.value}" for loss, n in verdict.states.items())
    return (
        f"{verdict.states.total()} power cuts ({len(verdict.distinct)} different "
        f"states; {lost}) in a life of {verdict.promises} promises and "
        f"{verdict.syncs} syncs: {len(verdict.broken)} promises broken"
    )


@pytest.mark.timeout(3600)
def test_what_was_acknowledged_survives_a_power_cut(life: Life) -> None:
    """At any moment, with any part of the unsynced data lost."""
    verdict = powercut.cut(life, CUTS, SEED)
    print(show(verdict))
    assert verdict.broken == []
    assert verdict.promises > 250
    assert len(verdict.distinct) > CUTS / 2
    assert set(verdict.states) == set(Loss)


def test_a_database_that_was_being_made_is_made_anew(life: Life) -> None:
    """After a power cut in the very first start the next daemon starts normally."""
    verdict = powercut.cut(life, max(CUTS // 4, 150), SEED, among=range(BIRTH))
    assert verdict.broken == []


def test_a_result_in_the_spool_survives_a_power_cut(life: Life) -> None:
    """From the worker's last sync on, until the result is in the database."""
    among = powercut.while_spooled(life)
    assert powercut.cut(life, max(CUTS // 4, 100), SEED, among=among).broken == []


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("/queuectl.db-wal", "is lost"),
        ("/queuectl.db", "cannot be read"),
        ("/state", "is lost"),
    ],
)
def test_a_sync_that_is_left_out_is_noticed(life: Life, name: str, what: str) -> None:
    """Each kind of sync is necessary, and the check detects its absence."""
    verdict = powercut.cut(powercut.without_syncs_of(life, name), 100, SEED)
    assert any(what in sentence for sentence in verdict.broken)


def test_a_spooled_result_that_was_not_synced_is_noticed(life: Life) -> None:
    """A file name on disk without its bytes is not a result."""
    careless = powercut.without_syncs_of(life, ".json.tmp")
    among = powercut.while_spooled(careless)
    verdict = powercut.cut(careless, 100, SEED, among=among)
    assert any("spooled" in sentence for sentence in verdict.broken)


@pytest.mark.parametrize(
    "synchronous", ["NORMAL", pytest.param("OFF", marks=pytest.mark.slow)]
)
def test_a_weaker_pragma_is_noticed(synchronous: str) -> None:
    """The real daemon under synchronous=NORMAL loses what it acknowledged."""
    verdict = powercut.cut(powercut.live(synchronous), 100, SEED)
    assert any("is lost" in sentence for sentence in verdict.broken)
