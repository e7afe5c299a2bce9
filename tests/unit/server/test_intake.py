"""The account of what clients hold, all together."""

import asyncio

import pytest

from queuectld.server.intake import AT_WORK, LARGE, Intake


class Client:
    """A connection that remembers what it was told."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self.closed = self.told = 0

    def give_up(self) -> None:
        """Be closed."""
        self.closed += 1
        self._intake.release(self)

    def proceed(self) -> None:
        """Be told that there may be room."""
        self.told += 1


@pytest.fixture
def intake() -> Intake:
    """An account with nothing on it."""

    async def make() -> Intake:
        return Intake()

    return asyncio.run(make())


def test_who_holds_much_for_longest_is_closed(intake: Intake) -> None:
    """Not who is the last straw, nor who holds little; no more than must be."""
    small, large, larger, late = (Client(intake) for _ in range(4))
    intake.hold(small, 3, 100)
    intake.hold(large, 10, 100)
    intake.hold(larger, 50, 100)
    intake.hold(large, 40, 100)
    intake.hold(late, 30, 100)
    closed = [client.closed for client in (small, large, larger, late)]
    assert (closed, intake.held) == ([0, 1, 0, 0], 83)


def test_who_has_held_nothing_meanwhile_is_no_old_holder(intake: Intake) -> None:
    """Whoever gets on is not closed for having been there first."""
    first, second = Client(intake), Client(intake)
    intake.hold(first, 50, 100)
    intake.hold(second, 50, 100)
    intake.hold(first, 0, 100)
    intake.hold(first, 60, 100)
    assert (first.closed, second.closed, intake.held) == (0, 1, 60)


def test_a_lower_limit_closes_as_many_as_it_takes(intake: Intake) -> None:
    """As after a reload of the configuration."""
    clients = [Client(intake) for _ in range(5)]
    for size, client in enumerate(clients, 1):
        intake.hold(client, size, 100)
    intake.hold(clients[0], 2, 5)
    assert [client.closed for client in clients] == [1, 1, 1, 1, 0]
    assert intake.held == 5


def test_large_requests_wait_and_small_ones_do_not(intake: Intake) -> None:
    """A large one is told when another has ended; the first may have any size."""
    client = Client(intake)
    assert intake.admits(client, 10 * AT_WORK)
    intake.begin(AT_WORK)
    assert not intake.admits(client, LARGE)
    assert intake.admits(client, LARGE - 1)
    assert client.told == 0
    intake.end(AT_WORK)
    assert client.told == 1
    assert intake.admits(client, LARGE)


def test_who_is_gone_is_not_told(intake: Intake) -> None:
    """And counts for nothing."""
    client = Client(intake)
    intake.begin(AT_WORK)
    assert not intake.admits(client, LARGE)
    intake.hold(client, 10, 100)
    intake.release(client)
    intake.end(AT_WORK)
    assert (client.told, intake.held) == (0, 0)
