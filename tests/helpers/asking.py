"""What tests ask a daemon, over its socket: the short forms of it.

Never starts anything: that is for ``helpers.home``.
"""

from pathlib import Path
from typing import Any

from helpers import waiting
from helpers.rawclient import PATIENCE, RawClient

Map = dict[str, Any]


class Asking:
    """Somebody who knows a socket.

    Attributes:
        socket: where the daemon answers, if one runs.
    """

    def __init__(self, socket: Path) -> None:
        self.socket = socket

    def configure(self, **settings: str) -> None:
        """Set job settings."""
        for key, value in settings.items():
            self.ask("config.set", key=key, value=value)

    def connect(self) -> RawClient:
        """Connect to the daemon that runs."""
        return RawClient(self.socket)

    def ask(self, method: str, **params: Any) -> Any:
        """Ask the daemon that runs."""
        with self.connect() as client:
            return client.call(method, **params)

    def answers(self) -> bool:
        """Whether a daemon answers."""
        try:
            self.ask("ping")
        except (OSError, EOFError):
            return False
        return True

    def job(self, job_id: str) -> Map:
        """Return a job as it is now."""
        found: Map = self.ask("get", id=job_id)["job"]
        return found

    def attempts(self, job_id: str) -> list[Map]:
        """Return its attempts, oldest first."""
        found: list[Map] = self.ask("get", id=job_id)["attempts"]
        return found

    def reasons(self, job_id: str) -> list[str | None]:
        """Return why its attempts ended; None for one that runs."""
        return [attempt["reason"] for attempt in self.attempts(job_id)]

    def ended(self, job_id: str) -> Map:
        """Wait until a job is completed, dead or cancelled; return it."""
        reply = self.ask("wait", id=job_id, timeout=PATIENCE)
        assert not reply["timed_out"], reply["job"]
        found: Map = reply["job"]
        return found

    def until_state(self, job_id: str, state: str) -> Map:
        """Wait until a job is in a state that it leaves by itself."""
        return waiting.until(
            lambda: (job := self.job(job_id))["state"] == state and job,
            f"job {job_id} is {state}",
        )

    def output(self, job_id: str, run: int | None = None) -> str:
        """Return what an attempt, the last unless told, wrote to stdout."""
        params = {} if run is None else {"run": run}
        found = self.ask("logs.read", id=job_id, stream="stdout", **params)
        data: bytes = found["data"]
        return data.decode()

    def workers(self) -> list[Map]:
        """Return the workers that the daemon knows."""
        found: list[Map] = self.ask("workers.list")["workers"]
        return found

    def worker_of(self, job_id: str) -> Map:
        """Return the worker that runs a job."""
        (found,) = [each for each in self.workers() if each["job"] == job_id]
        return found
