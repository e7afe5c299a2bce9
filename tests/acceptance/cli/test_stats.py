"""``stats``: how jobs have done, from history that outlives them."""

import json

import pytest

from helpers.cli import Cli, shared
from helpers.home import seconds

cli = shared(workers=2)


@pytest.fixture(scope="module")
def history(cli: Cli) -> str:
    """Run jobs, then delete them; return when the first was enqueued."""
    first = cli.ended("sleep 0.2")
    begun: str = cli.home.job(first)["created_at"]
    jobs = [cli.enqueue("true") for _ in range(5)]
    retried = {"command": "exit $((QUEUECTL_ATTEMPT < 3))", "backoff_max": 0}
    jobs.append(cli.ok("enqueue", json.dumps(retried)).strip())
    jobs.append(cli.enqueue("exit 1", "--max-retries", "0"))
    cancelled = cli.enqueue("true", "--delay", "1d")
    cli.ok("cancel", cancelled)
    for job in jobs:
        cli.home.ended(job)
    deleted = cli.json("prune", "--json", "-s", "completed", "-s", "dead")
    assert deleted == {"pruned": 8}
    return begun


def test_stats_outlive_the_jobs(cli: Cli, history: str) -> None:
    """Counts, success rate and times, of jobs that are pruned."""
    found = cli.json("stats", "--json")
    counts = ("completed", "dead", "cancelled", "failed_attempts", "retries", "lost")
    assert [found[name] for name in counts] == [7, 1, 1, 3, 2, 0]
    assert found["success_rate"] == 7 / 8
    assert found["minutes"] >= 1
    assert found["per_minute"] == pytest.approx(7 / found["minutes"])
    assert seconds(found["since"], history) < 60
    for span in ("run", "wait"):
        spread = found[span]
        assert spread["count"] == 10
        assert 0 < spread["p50"] <= spread["p95"] <= spread["p99"]
    assert 0.02 <= found["run"]["average"] <= 0.2
    assert found["run"]["p99"] == pytest.approx(0.2, rel=0.3)


def test_stats_for_people(cli: Cli, history: str) -> None:
    """The same, with units."""
    assert history
    lines = cli.ok("stats").splitlines()
    values = dict(line.rsplit(maxsplit=1) for line in lines[1:9])
    assert values.pop("Jobs per minute")
    assert values == {
        "Completed": "7",
        "Dead": "1",
        "Cancelled": "1",
        "Failed attempts": "3",
        "Retries": "2",
        "Lost attempts": "0",
        "Success rate": "87.5%",
    }
    assert lines[9] == ""
    assert lines[10].split() == ["COUNT", "AVERAGE", "P50", "P95", "P99"]
    assert [line.split()[:3] for line in lines[11:]] == [
        ["Run", "time", "10"],
        ["Wait", "time", "10"],
    ]


def test_since_counts_what_is_so_long_ago(cli: Cli, history: str) -> None:
    """To the minute."""
    assert history
    hour = cli.json("stats", "--since", "1h", "--json")
    assert (hour["completed"], hour["dead"]) == (7, 1)
    assert cli.json("stats", "--json", "--since", "0")["minutes"] == 1


def test_a_queue_without_history_has_no_rates(fresh: Cli) -> None:
    """There is nothing to divide by."""
    fresh.ok("daemon", "start")
    found = fresh.json("stats", "--json")
    assert found["success_rate"] is None
    assert found["completed"] == found["per_minute"] == 0
    assert "Success rate     -\n" in fresh.ok("stats")
