"""The command line as its user has it: what is typed, and what comes of it."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import pytest

from helpers.home import BIN, Home, a_home
from helpers.terminal import Terminal

PATIENCE = 60.0
"""Seconds after which a command is taken to hang."""

NO_WORKERS = "no workers are running; start some: queuectl worker start --count 2\n"
"""The note of a command whose jobs no worker will run."""


class Said(NamedTuple):
    """How a command ended and what it wrote. Bytes that are no text are surrogates."""

    code: int
    out: str
    err: str

    def refused(self, *subjects: str) -> bool:
        """Return whether stderr has a refusal for each of these, which names it."""
        lines = self.err.splitlines()
        return len(lines) == len(subjects) and all(
            line.startswith("queuectl: ") and subject in line
            for line, subject in zip(lines, subjects, strict=True)
        )


class Cli:
    """``queuectl`` in a home.

    Attributes:
        home: what it works on.
    """

    def __init__(self, home: Home) -> None:
        self.home = home

    def __call__(
        self,
        *arguments: str,
        stdin: str = "",
        cwd: Path | None = None,
        **variables: str,
    ) -> Said:
        """Run a command to its end."""
        done = subprocess.run(
            [BIN / "queuectl", *arguments],
            input=_bytes(stdin),
            capture_output=True,
            cwd=cwd or self.home.work,
            env=self.home.environ | variables,
            umask=0o022,  # what jobs inherit is shown
            timeout=PATIENCE,
            check=False,
        )
        return Said(done.returncode, _text(done.stdout), _text(done.stderr))

    def ok(self, *arguments: str, **options: Any) -> str:
        """Run a command that succeeds and has nothing to remark; return its stdout."""
        said = self(*arguments, **options)
        assert said == (0, said.out, "")
        return said.out

    def json(self, *arguments: str, **options: Any) -> Any:
        """Run a command that succeeds; return the one JSON document it writes."""
        return json.loads(self.ok(*arguments, **options))

    def refused(self, *arguments: str, code: int = 1, **options: Any) -> str:
        """Run a command that is refused with one line; return what that says."""
        said = self(*arguments, **options)
        assert said == (code, "", said.err)
        assert said.err.count("\n") == 1
        assert said.err.startswith("queuectl: ")
        return said.err.removeprefix("queuectl: ").rstrip("\n")

    def misuse(self, *arguments: str, **options: Any) -> str:
        """Run a command that is a mistake; return what its usage message says."""
        said = self(*arguments, **options)
        assert said == (2, "", said.err)
        usage, hint, empty, error = said.err.splitlines()
        assert usage.startswith("Usage: queuectl ")
        assert hint.startswith("Try 'queuectl ")
        assert empty == ""
        return error.removeprefix("Error: ")

    def terminal(
        self,
        *arguments: str,
        columns: int = 80,
        stdout: IO[bytes] | None = None,
        **variables: str,
    ) -> Terminal:
        """Run a command on a terminal, where a person looks at it."""
        return Terminal(
            [BIN / "queuectl", *arguments],
            cwd=self.home.work,
            env={**self.home.environ, "TERM": "xterm", **variables},
            columns=columns,
            stdout=stdout,
        )

    def enqueue(self, command: str, *options: str) -> str:
        """Enqueue a shell line; return the job's id."""
        return self.ok("enqueue", *options, "-c", command).rstrip("\n")

    def ended(self, command: str, *options: str) -> str:
        """Enqueue a shell line and wait for the job's end; return its id."""
        job = self.enqueue(command, *options)
        self.home.ended(job)
        return job


def shared(*, workers: int) -> Any:
    """Return a fixture: a command line that all tests of a module share.

    Args:
        workers: how many wait for jobs; without any, jobs stay where they are.
    """

    @pytest.fixture(scope="module")
    def cli() -> Iterator[Cli]:
        with a_home() as home:
            made = Cli(home)
            made.ok("daemon", "start")
            if workers:
                made.ok("worker", "start", "--count", str(workers))
            yield made

    return cli


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
