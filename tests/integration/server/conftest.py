"""A real daemon for the tests of a file, and a connection for each test."""

from collections.abc import Iterator

import pytest

from helpers.daemon import Daemon, a_daemon
from helpers.rawclient import RawClient


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """A daemon without workers, for all tests of the file."""
    with a_daemon() as daemon:
        yield daemon


@pytest.fixture
def client(daemon: Daemon) -> Iterator[RawClient]:
    """A connection of the test's own; its workers are stopped, its jobs deleted."""
    with daemon.connect() as client:
        yield client
        client.call("workers.stop", now=True)
        for state in ("pending", "failed"):
            while jobs := client.call("list", state=state)["jobs"]:
                client.call("cancel_many", ids=[job["id"] for job in jobs])
        client.call("prune", states=["completed", "cancelled", "dead"])
