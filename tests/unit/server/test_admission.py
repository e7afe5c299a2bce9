"""Admission control: which connection is closed, and which request waits."""

import asyncio

import pytest

from queuectld.server.connection.admission import AT_WORK, LARGE, Admission


class Client:
    """A connection that counts the calls."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self.closed = self.told = 0

    def shed(self) -> None:
        """Count a close."""
        self.closed += 1
        self._admission.release(self)

    def proceed(self) -> None:
        """Count a notice that there may be room."""
        self.told += 1


@pytest.fixture
def admission() -> Admission:
    """Admission control without any connection."""

    async def make() -> Admission:
        return Admission()

    return asyncio.run(make())


def test_who_holds_much_for_longest_is_closed(admission: Admission) -> None:
    """Neither the newest nor a small holder is closed, and no more than necessary."""
    small, large, larger, late = (Client(admission) for _ in range(4))
    admission.hold(small, 3, 100)
    admission.hold(large, 10, 100)
    admission.hold(larger, 50, 100)
    admission.hold(large, 40, 100)
    admission.hold(late, 30, 100)
    closed = [client.closed for client in (small, large, larger, late)]
    assert (closed, admission.held) == ([0, 1, 0, 0], 83)


def test_who_has_held_nothing_meanwhile_is_no_old_holder(admission: Admission) -> None:
    """A connection that held nothing in between is not the longest holder."""
    first, second = Client(admission), Client(admission)
    admission.hold(first, 50, 100)
    admission.hold(second, 50, 100)
    admission.hold(first, 0, 100)
    admission.hold(first, 60, 100)
    assert (first.closed, second.closed, admission.held) == (0, 1, 60)


def test_a_lower_limit_closes_as_many_as_it_takes(admission: Admission) -> None:
    """A reload of the configuration may lower the limit."""
    clients = [Client(admission) for _ in range(5)]
    for size, client in enumerate(clients, 1):
        admission.hold(client, size, 100)
    admission.hold(clients[0], 2, 5)
    assert [client.closed for client in clients] == [1, 1, 1, 1, 0]
    assert admission.held == 5


def test_large_requests_wait_and_small_ones_do_not(admission: Admission) -> None:
    """A large request waits for the end of another; the first may have any size."""
    client = Client(admission)
    assert admission.admits(client, 10 * AT_WORK)
    admission.begin(AT_WORK)
    assert not admission.admits(client, LARGE)
    assert admission.admits(client, LARGE - 1)
    assert client.told == 0
    admission.end(AT_WORK)
    assert client.told == 1
    assert admission.admits(client, LARGE)


def test_who_is_gone_is_not_told(admission: Admission) -> None:
    """A connection that has gone is not called, and holds nothing."""
    client = Client(admission)
    admission.begin(AT_WORK)
    assert not admission.admits(client, LARGE)
    admission.hold(client, 10, 100)
    admission.release(client)
    admission.end(AT_WORK)
    assert (client.told, admission.held) == (0, 0)
