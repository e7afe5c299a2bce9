"""One installed queue for all tests here; each leaves it as it was."""

from collections.abc import Iterator

import pytest

from helpers.systemdbox_queue import Service, a_service
from helpers.umlbox import Machine, a_machine, hindrance


@pytest.fixture(scope="session")
def box() -> Machine:
    """The machine around this process, with the queue installed."""
    if reason := hindrance():
        pytest.skip(reason)
    return a_machine()


@pytest.fixture
def service(box: Machine) -> Iterator[Service]:
    """The system's queue, installed and not running."""
    with a_service(box) as made:
        yield made
