"""Waiting for jobs to end, also across restarts of the daemon."""

import time
from typing import Any

from queuectl.cli.connector import Connector
from queuectl.cli.requests import waiting_notice
from queuectl.cli.requests.waiting_notice import WaitingNotice
from queuectl.sync.session import Session


class Waiting:
    """A wait for several jobs, which can go on with another connection.

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
        """Wait for all jobs that are left.

        Raises:
            NotFoundError: there is no such job; this is found before any waiting.
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


def wait(
    connector: Connector, job_ids: tuple[str, ...], deadline: float | None = None
) -> list[dict[str, Any]]:
    """Wait for jobs; return them, in the order given.

    Args:
        connector: makes the connections.
        job_ids: the jobs.
        deadline: on the monotonic clock; jobs may still be running then.
    """
    waiting = Waiting(job_ids, deadline)
    # In a job, the first one may wait for the worker of this very job.
    own = waiting_notice.own_job(connector.place.socket)
    with WaitingNotice(connector, job_ids[0], quiet=own is None):
        connector.persist(waiting.run)
    return [waiting.jobs[job_id] for job_id in job_ids]
