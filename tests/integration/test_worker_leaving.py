"""A worker on its way out takes no other job."""

import signal
from pathlib import Path

import pytest

from helpers import waiting, worker_harness
from queuectld.workers import outputs, wire


@pytest.mark.parametrize("terminated", [False, True])
def test_a_run_that_comes_after_the_order_to_stop(
    tmp_path: Path, *, terminated: bool
) -> None:
    """It is not begun: no output file, no word of it, and the worker ends."""
    with worker_harness.worker(tmp_path) as worker:
        first = worker.start(f"read _ <{tmp_path}/gate || exec sleep 600")
        if terminated:
            worker.signal(signal.SIGTERM)
        else:
            worker.send(wire.Stop(), wire.End(first.lease, "cancelled", 0))  # type: ignore[arg-type]
        worker.finished()
        later = worker.order("echo never")
        worker.send(later)
        assert worker.exit_status() == 0
        where = (str(worker.output_dir), later.seq, later.run, later.lease)
        assert outputs.sizes(*where) is None
        assert worker.record() is None
        assert worker.socket.recv(100) == b""
        assert not list(worker.spool_dir.iterdir())
    assert waiting
