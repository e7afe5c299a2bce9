"""One real systemd for all tests here; each leaves it as it was."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.systemdbox import Box, hindrance
from helpers.systemdbox_installed import a_machine
from helpers.systemdbox_queue import Service, a_service

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let these be left out by ``-m "not systemd"``."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.systemd)


@pytest.fixture(scope="session")
def box() -> Iterator[Box]:
    """A systemd with queuectl installed."""
    if reason := hindrance():
        pytest.skip(reason)
    with a_machine() as made:
        yield made


@pytest.fixture
def service(box: Box) -> Iterator[Service]:
    """The system's queue, installed and not running."""
    with a_service(box) as made:
        yield made
