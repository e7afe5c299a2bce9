"""Exit statuses: the whole table."""

from typing import Any

import pytest

from queuectl import errors
from queuectl.cli import exits
from queuectl.cli.commands import wait


def _job(state: str, **fields: Any) -> dict[str, Any]:
    return {"state": state, "reason": None, "exit_code": None, "signal": None, **fields}


@pytest.mark.parametrize(
    ("job", "status"),
    [
        (_job("completed", reason="exit", exit_code=0), 0),
        (_job("dead", reason="exit", exit_code=7), 7),
        (_job("dead", reason="signal", signal=9), 137),
        (_job("dead", reason="timeout", signal=15), 124),
        (_job("dead", reason="spawn_error"), 127),
        (_job("dead", reason="output_limit", signal=9), 137),
        (_job("dead", reason="output_limit", exit_code=0), 1),
        (_job("dead", reason="lost"), 1),
        (_job("cancelled", reason="cancelled", signal=15), 130),
        (_job("cancelled"), 130),
    ],
)
def test_a_job_gives_its_status(job: dict[str, Any], status: int) -> None:
    """A job's own code where it has one, else a shell's number for what happened."""
    assert exits.of_job(job) == status


def test_a_job_that_goes_on_has_run_out_of_time() -> None:
    """What ``wait`` returns for a job that is not final is the status of timeout(1)."""
    assert wait.status(_job("processing")) == 124
    assert wait.status(_job("failed", reason="exit", exit_code=3)) == 124
    assert wait.status(_job("completed")) == 0


@pytest.mark.parametrize(
    ("statuses", "first"), [([], 0), ([0, 0], 0), ([0, 7, 124], 7), ([130, 1], 130)]
)
def test_of_several_the_first_failure_counts(statuses: list[int], first: int) -> None:
    """The order given decides, not the order in which jobs ended."""
    assert exits.first_failure(statuses) == first


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.DaemonNotRunningError(), 3),
        (errors.AutostartError("why"), 3),
        (errors.NotFoundError("no such job"), 1),
        (errors.ConnectionLostError(), 1),
        (errors.IncompatibleDaemonError("too new"), 1),
    ],
)
def test_an_error_gives_its_status(error: errors.QueuectlError, status: int) -> None:
    """3 when there is no daemon, else 1."""
    assert exits.of_error(error) == status
