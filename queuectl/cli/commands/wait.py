"""``wait``: until jobs have ended, and what that means for our own exit status."""

import time
from typing import Any

import click

from queuectl.cli import exits, signals
from queuectl.cli.command_classes import Command
from queuectl.cli.connector import Connector, pass_connector
from queuectl.cli.exits import Status
from queuectl.cli.input.param_types import DURATION, UNFINISHED_ID
from queuectl.cli.requests.waiting_notice import Patience, own_job
from queuectl.cli.view import job_view, output
from queuectl.sync.session import Session
from queuectl_protocol.vocabulary import FINAL_STATES


@click.command(cls=Command)
@click.argument("job_ids", metavar="ID...", type=UNFINISHED_ID, nargs=-1, required=True)
@click.option("--timeout", type=DURATION, help="Wait at most this long, then end 124.")
@click.option("--json", "as_json", is_flag=True, help="Print the jobs, as one array.")
@pass_connector
def wait(
    connector: Connector,
    *,
    job_ids: tuple[str, ...],
    timeout: float | None,
    as_json: bool,
) -> int:
    """Wait until jobs have ended.

    Ends with the job's own exit code: 0 when it completed, 128+n when it died of
    signal n, 130 when it was cancelled, 124 when --timeout (or the job's own timeout)
    ran out. With several jobs: with the first failure in the order given. With 4 when
    all completed and stdout does not take it: stderr has it then.

    $ queuectl wait 12 13 14
    $ queuectl wait 12 --timeout 10m || echo "it failed, or takes too long"
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    waiting = Waiting(job_ids, deadline)
    patience = of_a_job(connector, job_ids[0])
    with signals.explained("the jobs go on"), patience:
        connector.persist(waiting.run)
    # From here on what it waited for is known, and its status is told by all means.
    output.keep()
    jobs = [waiting.jobs[job_id] for job_id in job_ids]
    if as_json:
        output.array(jobs)
    else:
        output.lines(job_view.sentence(job) for job in jobs)
    return exits.first_failure(status(job) for job in jobs)


class Waiting:
    """Waiting for several jobs, which can be gone on with on a new connection.

    Args:
        job_ids: the jobs.
        deadline: on the monotonic clock, in seconds; None: none.

    Attributes:
        jobs: by id, those that have ended or for which the time ran out.
    """

    def __init__(self, job_ids: tuple[str, ...], deadline: float | None) -> None:
        self._job_ids = job_ids
        self._deadline = deadline
        self.jobs: dict[str, dict[str, Any]] = {}

    def run(self, client: Session) -> None:
        """Wait for all that are left.

        Raises:
            NotFoundError: there is no such job, which is told before any waiting.
        """
        left = [job_id for job_id in self._job_ids if job_id not in self.jobs]
        if len(left) > 1:
            for job_id in left:
                client.call("wait", {"id": job_id, "timeout": 0})
        for job_id in left:
            self.jobs[job_id] = self._wait(client, job_id)

    def _wait(self, client: Session, job_id: str) -> dict[str, Any]:
        params: dict[str, Any] = {"id": job_id}
        if self._deadline is not None:
            params["timeout"] = max(0.0, self._deadline - time.monotonic())
        job: dict[str, Any] = client.call("wait", params)["job"]
        return job


def final(connector: Connector, job_id: str) -> dict[str, Any]:
    """Wait for one job; return it in its final state."""
    waiting = Waiting((job_id,), None)
    with of_a_job(connector, job_id):
        connector.persist(waiting.run)
    return waiting.jobs[job_id]


def of_a_job(connector: Connector, job_id: str) -> Patience:
    """Return what says, in a job, that this job waits behind itself."""
    return Patience(connector, job_id, quiet=own_job(connector.place.socket) is None)


def status(job: dict[str, Any]) -> int:
    """Return the exit status for a job that was waited for."""
    return exits.of_job(job) if job["state"] in FINAL_STATES else Status.TIMED_OUT
