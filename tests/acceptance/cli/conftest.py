"""What the tests of the command line have in common."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from helpers.installation import Installation, python_for_services


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that every account can enter, unlike pytest's."""
    with TemporaryDirectory(prefix="queuectl-install-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.fixture
def installation(place: Path) -> Installation:
    """An installation for the whole machine."""
    return Installation(place / "opt", python_for_services())
