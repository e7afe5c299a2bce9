"""Reads a file of jobs, a line each, into batches. Keeps one batch in memory."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from queuectl.cli.input import job_json

BATCH = 1_000
"""Jobs in a batch."""

BATCH_BYTES = 2 * 1024 * 1024
"""Bytes of lines at which a batch is full too: well below the size of a frame."""

MAX_LINE = 4 * 1024 * 1024
"""Bytes of a line: more than all fields of a job may have together."""

_CHUNK = 256 * 1024

Parser = Callable[[bytes], dict[str, Any]]


class BadLineError(Exception):
    """A line is not a job; no job of its batch was enqueued.

    Attributes:
        line: its number in the file, from 1.
    """

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line


@dataclass(slots=True)
class Batch:
    """Jobs that are stored together.

    Attributes:
        jobs: in the order of the file.
        numbers: the line of each.
        last: the last line read for it; blank lines are lines too.
        size: bytes of its lines.
        position: bytes of the file up to its end.
    """

    last: int
    position: int
    jobs: list[dict[str, Any]] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    size: int = 0

    @property
    def full(self) -> bool:
        """Whether it takes no more lines."""
        return len(self.jobs) >= BATCH or self.size >= BATCH_BYTES


def shell_line(line: bytes) -> dict[str, Any]:
    """Return the job whose shell command this line is."""
    return {"command": line.decode("utf-8", "surrogateescape")}


class JobFile:
    """The batches of a file.

    ``take`` returns a batch if one is ready. If it returns none and the file has not
    ``ended``, ``read`` reads more of it.

    Attributes:
        fd: its descriptor.
        mistake: the first bad line; reading ends there.
    """

    def __init__(self, fd: int, parse: Parser = job_json.parse_json) -> None:
        self.fd = fd
        self.mistake: BadLineError | None = None
        self._parse = parse
        self._lines: list[bytes] = []  # complete lines, the next one last
        self._rest = b""
        self._batch = Batch(0, 0)
        self._at_end = False

    @property
    def ended(self) -> bool:
        """Whether no more batches will come."""
        return self.mistake is not None or (
            self._at_end and not self._lines and not self._batch.jobs
        )

    @property
    def partial(self) -> bool:
        """Whether a batch has begun that is not full."""
        return bool(self._batch.jobs)

    def read(self) -> None:
        """Read the next bytes of the file; blocks until it has some."""
        chunk = os.read(self.fd, _CHUNK)
        self._at_end = not chunk
        lines = (self._rest + chunk).split(b"\n")
        self._rest = b"" if self._at_end else lines.pop()
        if self._at_end and not lines[-1]:
            lines.pop()
        self._lines = lines[::-1]
        if len(self._rest) > MAX_LINE:
            self._lines.insert(0, self._rest)

    def take(self, *, partial: bool = False) -> Batch | None:
        """Return the next batch if it is full, or the last one of the file.

        Args:
            partial: also return a batch that is not full.
        """
        while self._lines and not self._batch.full and self.mistake is None:
            self._add(self._lines.pop())
        ready = self._batch.full or (
            self._batch.jobs and (partial or (self._at_end and not self._lines))
        )
        if not ready or self.mistake is not None:
            return None
        batch = self._batch
        self._batch = Batch(batch.last, batch.position)
        return batch

    def _add(self, line: bytes) -> None:
        batch = self._batch
        batch.last += 1
        batch.position += len(line) + 1
        batch.size += len(line)
        content = line.strip(b" \t\r")
        if not content:
            return
        try:
            batch.jobs.append(self._job(content))
        except ValueError as error:
            self.mistake = BadLineError(batch.last, str(error))
        batch.numbers.append(batch.last)

    def _job(self, line: bytes) -> dict[str, Any]:
        if len(line) > MAX_LINE:
            raise ValueError(f"a line has at most {MAX_LINE} bytes")
        return self._parse(line)
