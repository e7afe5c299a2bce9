"""A daemon that follows scripts, for both clients."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from helpers.stub_daemon import Serve, StubDaemon


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start a daemon that follows the scripts given."""
    with ExitStack() as stack:
        yield lambda *scripts: stack.enter_context(StubDaemon(tmp_path / "s", *scripts))
