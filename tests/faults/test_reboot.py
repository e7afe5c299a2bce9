"""The machine went down: attempts whose end nobody saw."""

import shutil
from collections.abc import Iterator

import pytest

from helpers.home import Home, a_home


@pytest.fixture
def home() -> Iterator[Home]:
    """Give a home in which a daemon runs."""
    with a_home() as home:
        home.serve()
        yield home


def left_without_a_trace(home: Home) -> str:
    """Kill everything while a job runs, and delete its output; return its id."""
    home.ask("workers.start")
    job = home.enqueue("[ -e begun ] || { echo >begun; sleep 1000; }")
    home.appears("begun")
    worker = home.worker_of(job)["pid"]
    home.kill(home.daemon, worker)
    shutil.rmtree(home.root / "output")
    for record in (home.root / "workers").glob("*"):
        record.unlink()
    return job


def test_an_attempt_before_the_boot_counts_though_its_files_are_gone(
    home: Home,
) -> None:
    """The files are not synced. A job that crashes the machine uses up its retries."""
    job = left_without_a_trace(home)
    home.edit("UPDATE jobs SET started_at = 1 WHERE lease IS NOT NULL RETURNING seq")
    home.serve()
    assert home.ended(job)["attempts"] == 2
    assert home.reasons(job) == ["lost", "exit"]


def test_an_attempt_since_the_boot_without_files_never_began(home: Home) -> None:
    """Files are created before the command starts; only a power cut removes them."""
    job = left_without_a_trace(home)
    home.serve()
    assert home.ended(job)["attempts"] == 1
    assert home.reasons(job) == ["interrupted", "exit"]
