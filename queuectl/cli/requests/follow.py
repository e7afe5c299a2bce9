"""Follows a job's output: every byte once, also across restarts of the daemon."""

from collections.abc import Callable, Sequence
from typing import Any

from queuectl.cli.connector import Connector
from queuectl.sync.session import Session

Write = Callable[[str, bytes], None]
"""Takes ``stdout`` or ``stderr``, and bytes of it."""


class Follower:
    """Follows one job to its end.

    Args:
        job_id: the job.
        write: where its output goes.
        run: follow this attempt only; None: the last one, and those after it.
        tail: begin with the last so many lines; None: with all of them.
        streams: which of stdout and stderr.
        connected: called with each new connection before the output is followed on it.
        begun: called when an attempt begins or has begun.
    """

    def __init__(
        self,
        job_id: str,
        write: Write,
        *,
        run: int | None = None,
        tail: int | None = None,
        streams: Sequence[str] = ("stdout", "stderr"),
        connected: Callable[[Session], object] = lambda _: None,
        begun: Callable[[], object] = lambda: None,
    ) -> None:
        self._job_id = job_id
        self._write = write
        self._run = run
        self._tail = tail
        self._streams = list(streams)
        self._connected = connected
        self._begun = begun
        self._seen: dict[tuple[int, str], int] = {}
        self._gone: dict[tuple[int, str], dict[str, Any]] = {}

    @property
    def missing(self) -> list[str]:
        """Return a sentence for each stream of which the daemon has lost a part."""
        return [
            f"the {stream} of attempt {run} of job {self._job_id} {_loss(event)}"
            for (run, stream), event in self._gone.items()
        ]

    def follow(self, connector: Connector) -> dict[str, Any]:
        """Follow to the end of the attempt or of the job; return the job."""
        return connector.persist(self._resume)

    def _resume(self, client: Session) -> dict[str, Any]:
        """Follow on a new connection, from the attempt that was followed last.

        The daemon sends its output again; what was written already is dropped by its
        offset.
        """
        self._connected(client)
        if self._seen and self._run is None:
            run = max(run for run, _ in self._seen)
            while self._stream(client, run)["runs"] > run:
                run += 1
        return self._stream(client, self._run)

    def _stream(self, client: Session, run: int | None) -> dict[str, Any]:
        params: dict[str, Any] = {"id": self._job_id, "streams": self._streams}
        if run is not None:
            params["run"] = run
        if self._tail is not None and not self._seen:
            params["tail"] = self._tail
        with client.stream("logs.follow", params) as events:
            for event in events:
                if event["type"] == "attempt":
                    self._begun()
                elif event["type"] == "data":
                    self._take(event["run"], event["stream"], event)
                elif event["type"] == "gone":
                    self._gone[event["run"], event["stream"]] = event
        assert events.result is not None
        job: dict[str, Any] = events.result["job"]
        return job

    def _take(self, run: int, stream: str, event: dict[str, Any]) -> None:
        start, data = event["offset"], event["data"]
        seen = self._seen.get((run, stream), start)
        if new := data[max(0, seen - start) :]:
            self._write(stream, new)
        self._seen[run, stream] = max(seen, start + len(data))


def _loss(event: dict[str, Any]) -> str:
    size, left = event["size"], event.get("left")
    what = f"is gone from byte {left} on" if left else "is gone"
    told = "" if left is None else f", and its file has {left} now"
    return f"{what}: it had {size} bytes{told}"
