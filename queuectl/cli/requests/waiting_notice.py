"""A note for somebody who waits for a job: what the job itself waits for."""

import os
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Self

from queuectl.cli.connector import Connector
from queuectl.cli.view import output, text
from queuectl.errors import QueuectlError
from queuectl.sync.session import Session

DELAY = 2.0
"""Seconds that a job may wait before the note is written."""

NAMED = 5
"""Running jobs that the note names."""


class WaitingNotice:
    """Writes one note if the job has not begun after ``DELAY``.

    It asks in a thread and on a connection of its own, as the connection that follows
    the job is in use.
    """

    def __init__(self, connector: Connector, job_id: str, *, quiet: bool) -> None:
        self._connector = connector
        self._job_id = job_id
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._quiet = quiet

    def __enter__(self) -> Self:
        if not self._quiet:
            self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.cancel()

    def cancel(self) -> None:
        """Write no note: the job has begun, or its end is known."""
        self._over.set()

    def _run(self) -> None:
        if self._over.wait(DELAY):
            return
        try:
            with self._connector.connect(autostart=False) as client:
                own = own_job(client.place.socket)
                notice = explanation(client, self._job_id, own)
        except QueuectlError:
            return  # the command itself reports it
        if notice and not self._over.is_set():
            output.note(notice)


def own_job(socket: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the job of this queue that this program runs in, if it runs in one."""
    job = environ.get("QUEUECTL_JOB_ID")
    return job if job and environ.get("QUEUECTL_SOCKET") == socket else None


def explanation(client: Session, job_id: str, own: str | None = None) -> str | None:
    """Return what a job waits for; None if it does not wait, or for its time only.

    Args:
        client: the daemon.
        job_id: the job.
        own: the job that waits for it, and occupies a worker meanwhile.
    """
    place = client.call("position", {"id": job_id})
    if not place["ready"]:
        return None
    store = client.call("health")["store"]
    if store["problem"]:
        return f"job {job_id} waits: the daemon can store nothing: {store['problem']}"
    usable = [w for w in client.call("workers.list")["workers"] if _is_usable(w)]
    if not usable:
        return f"job {job_id} waits: {output.NO_WORKERS}"
    if all(worker["state"] == "starting" for worker in usable):
        return f"job {job_id} waits for a worker that is starting"
    workers = "the worker" if len(usable) == 1 else f"one of {len(usable)} workers"
    running = [worker["job"] for worker in usable if worker["job"] is not None]
    return f"job {job_id} waits for {workers}{_busy(running)}{_before(place)}" + (
        f"; job {own} is this job itself: with no other worker it never begins"
        if own in running
        else ""
    )


def _is_usable(worker: dict[str, Any]) -> bool:
    """Tell whether a worker may run the job.

    A reserved worker runs one job. While it starts, this may be the one; later it has
    its job.
    """
    if worker["state"] == "stopping":
        return False
    return not worker.get("reserved") or bool(worker["state"] == "starting")


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
    return f"; {text.counted(place['ahead'], 'job')}{more} {verb} before it"
