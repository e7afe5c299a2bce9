"""What a foreground job waits behind, said to whoever wonders why nothing happens."""

import os
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from queuectl.cli.commands import change
from queuectl.cli.connector import Connector
from queuectl.cli.view import output
from queuectl.errors import QueuectlError
from queuectl.sync.session import Session

WONDERING = 2.0
"""Seconds without a beginning after which somebody wonders."""

NAMED = 5
"""Running jobs that are named."""


class Patience:
    """Says once, after a while, what a job waits behind; unless it began before.

    It asks on a connection and in a thread of its own: the one that follows the job
    waits for nothing else.
    """

    def __init__(self, connector: Connector, job_id: str, *, quiet: bool) -> None:
        self._connector = connector
        self._job_id = job_id
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._wonder, daemon=True)
        self._quiet = quiet

    def __enter__(self) -> Self:
        if not self._quiet:
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.begun()

    def begun(self) -> None:
        """The job runs, or is over: there is nothing to be said any more."""
        self._over.set()

    def _wonder(self) -> None:
        if self._over.wait(WONDERING):
            return
        try:
            with self._connector.connect(autostart=False) as client:
                own = own_job(client.place.socket)
                said = explanation(client, self._job_id, own)
        except QueuectlError:
            return  # whoever follows the job hears of it
        if said and not self._over.is_set():
            output.note(said)


def own_job(socket: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the job of this queue that this program runs in, if it runs in one."""
    job = environ.get("QUEUECTL_JOB_ID")
    return job if job and environ.get("QUEUECTL_SOCKET") == socket else None


def explanation(client: Session, job_id: str, own: str | None = None) -> str | None:
    """Return what a job waits for; None when it does not wait, or not for long.

    Args:
        client: the daemon.
        job_id: the job.
        own: the job that waits for it, and has a worker as long as it does.
    """
    place = client.call("position", {"id": job_id})
    if not place["ready"]:
        return None
    store = client.call("health")["store"]
    if store["problem"]:
        return f"job {job_id} waits: the daemon can store nothing: {store['problem']}"
    there = [w for w in client.call("workers.list")["workers"] if _works(w)]
    if not there:
        return f"job {job_id} waits: {output.NO_WORKERS}"
    if all(worker["state"] == "starting" for worker in there):
        return f"job {job_id} waits for a worker that is starting"
    workers = "the worker" if len(there) == 1 else f"one of {len(there)} workers"
    running = [worker["job"] for worker in there if worker["job"] is not None]
    return f"job {job_id} waits for {workers}{_busy(running)}{_before(place)}" + (
        f"; job {own} is this job itself: with no other worker it never begins"
        if own in running
        else ""
    )


def _works(worker: dict[str, Any]) -> bool:
    own = worker.get("reserved") and worker["state"] == "starting"
    return worker["state"] != "stopping" and (own or not worker.get("reserved"))


def _busy(running: Sequence[str]) -> str:
    if not running:
        return ""
    more = f" and {len(running) - NAMED} more" if len(running) > NAMED else ""
    noun = "job" if len(running) == 1 else "jobs"
    return f", busy with {noun} {', '.join(running[:NAMED])}{more}"


def _before(place: dict[str, Any]) -> str:
    if not place["ahead"]:
        return "; it is the next"
    more = " or more" if place["ahead_more"] else ""
    verb = "is" if place["ahead"] == 1 else "are"
    return f"; {change.counted(place['ahead'], 'job')}{more} {verb} before it"
