"""What the tests of the host have in common."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from helpers.journald import StandIn
from queuectld.host import logs
from queuectld.host.journal import JournalHandler


@pytest.fixture
def journald() -> Iterator[StandIn]:
    """A journal in a directory whose path is short enough for a socket."""
    with TemporaryDirectory(prefix="queuectl-") as folder:
        stand_in = StandIn(Path(folder) / "socket")
        yield stand_in
        stand_in.socket.close()


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Start the log of this process on a journal; it is put back afterwards."""
    monkeypatch.setattr(logging, "raiseExceptions", logging.raiseExceptions)
    level = logging.getLogger().level

    def begin(path: Path, log_format: str = "text") -> None:
        handler = JournalHandler(path)
        logs.start(level="debug", log_format=log_format, journal=handler)

    yield begin
    logs.stop()
    logging.getLogger().setLevel(level)
