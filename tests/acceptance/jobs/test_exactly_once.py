"""Exactly once: many jobs, many workers, and every job's work is done one time."""

from collections import Counter

from helpers import waiting
from helpers.home import Home

JOBS = 2000
WORKERS = (3, 3, 2)
"""Of three ``worker start`` calls."""


def test_every_job_of_many_runs_exactly_once(home: Home) -> None:
    """2,000 jobs on 8 workers append 2,000 distinct lines, and every counter agrees."""
    lines = (f"echo {number} >>done\n" for number in range(JOBS))
    (home.work / "jobs").write_text("".join(lines))
    # The first workers take jobs while the others start and the queue still grows.
    home.ctl("worker", "start", "--count", str(WORKERS[0]))
    filling = home.begin("enqueue", "--file", "jobs", "--lines")
    starting = [home.begin("worker", "start", "-n", str(n)) for n in WORKERS[1:]]
    ids = filling.communicate()[0].split()
    assert len(set(ids)) == JOBS
    assert [child.wait() for child in (filling, *starting)] == [0, 0, 0]
    assert len(home.workers()) == sum(WORKERS)

    waiting.until(lambda: home.ask("status")["completed"] == JOBS, "all ran", within=60)

    done = Counter(map(int, (home.work / "done").read_text().split()))
    assert done == Counter(range(JOBS))
    status = home.ask("status")
    assert status == {
        "pending": 0,
        "processing": 0,
        "completed": JOBS,
        "failed": 0,
        "dead": 0,
        "cancelled": 0,
        "workers": {"active": sum(WORKERS), "busy": 0},
        "draining": False,
        "ready": 0,
        "delayed": 0,
        "trouble": None,
    }
    stats = home.ask("stats")
    assert (stats["completed"], stats["run"]["count"]) == (JOBS, JOBS)
    assert (stats["retries"], stats["lost"], stats["failed_attempts"]) == (0, 0, 0)
    counts = Counter((job["runs"], job["attempts"]) for job in listed(home))
    assert counts == {(1, 1): JOBS}


def listed(home: Home) -> list[dict[str, int]]:
    """Return all jobs, page by page."""
    found, before = [], None
    while True:
        page = home.ask("list", limit=1000, **({"before": before} if before else {}))
        found += page["jobs"]
        before = page["next"]
        if before is None:
            return found
