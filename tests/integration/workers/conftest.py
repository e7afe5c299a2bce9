"""A worker for each test of the worker program."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers import worker_harness
from helpers.worker_harness import WorkerHarness


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[WorkerHarness]:
    """A worker that is ready for its first job."""
    with worker_harness.worker(tmp_path) as ready:
        yield ready
