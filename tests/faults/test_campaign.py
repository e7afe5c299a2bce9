"""The fast part of the campaign; ``make soak`` runs it for an hour or more."""

import os

import pytest

from benchmarks.soak import plans
from benchmarks.soak.campaign import Plan, Round, play
from benchmarks.soak.strikes import STRIKES
from helpers.home import a_home

SEED = os.environ.get("FAULTS_SEED", "ci")
"""The same faults to the same jobs, though not in the same microseconds."""


def played(plan: Plan) -> Round:
    """Play a round in a home of its own; print the seed, the log and the strikes."""
    print(f"FAULTS_SEED={SEED}")
    with a_home() as home:
        try:
            result = play(home, plan)
        finally:
            print((home.root / "queuectld.stderr").read_text())
    print(result.blows)
    return result


def test_the_guarantee_holds_under_every_kind_of_fault() -> None:
    """Nothing acknowledged is lost, nothing succeeds twice, nothing overlaps."""
    result = played(plans.campaign(SEED, 2 * len(STRIKES)))
    assert result.violations == []
    assert result.jobs > 50
    assert sum(blow.killed for blow in result.blows) > len(STRIKES)


def test_jobs_flow_through_a_storm_of_restarts() -> None:
    """A thousand jobs run through ten restarts by TERM, KILL and USR1."""
    plan = plans.storm(SEED, restarts=10, jobs=1000, gap=(0.1, 0.6))
    result = played(plan)
    assert result.violations == []
    assert result.jobs == 1000
    assert len(result.restarts) >= 5


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_ten_thousand_jobs_flow_through_fifty_restarts() -> None:
    """The same at the size that the README names."""
    plan = plans.storm(SEED, restarts=50, jobs=10_000, gap=(0.2, 2.0))
    result = played(plan)
    assert result.violations == []
    assert result.jobs == 10_000
