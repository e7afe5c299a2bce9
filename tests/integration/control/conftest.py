"""What the tests of control have in common."""

from collections.abc import Iterator

import pytest

from helpers.home import Home, a_home
from helpers.service_manager import BEAT, Manager


@pytest.fixture
def home() -> Iterator[Home]:
    """A home in which no daemon runs yet; none may be left in it."""
    with a_home() as made:
        yield made


@pytest.fixture
def manager(home: Home) -> Iterator[Manager]:
    """A manager that receives the messages of the daemons in the home."""
    made = Manager(home.root / "notify")
    home.environ["NOTIFY_SOCKET"] = str(home.root / "notify")
    yield made
    made.socket.close()


@pytest.fixture
def watched(home: Home, manager: Manager) -> Manager:
    """The same manager, with a watchdog."""
    home.environ["WATCHDOG_USEC"] = str(round(2 * BEAT * 1_000_000))
    return manager
