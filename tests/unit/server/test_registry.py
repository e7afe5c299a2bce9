"""Which connections are kept for operators, and each user's share, at any limit."""

import pytest

from queuectld.server.connection.registry import Registry, kept


@pytest.mark.parametrize(
    ("limit", "for_operators"), [(1, 0), (2, 1), (9, 1), (20, 2), (1000, 100)]
)
def test_a_tenth_is_kept(limit: int, for_operators: int) -> None:
    """At least one is kept for operators, unless only one is allowed."""
    assert kept(limit) == for_operators


@pytest.mark.parametrize(
    ("limit", "share"), [(1, 1), (2, 1), (3, 1), (20, 9), (1000, 450)]
)
def test_a_user_has_half_of_the_rest(limit: int, share: int) -> None:
    """Each user may have at least one."""
    connections = Registry()
    for number in range(share):
        assert connections.objection(7, operates=False, limit=limit) is None
        connections.add(number, 7)
    assert connections.objection(7, operates=False, limit=limit)


def test_what_operators_hold_is_not_what_is_kept() -> None:
    """A tenth stays free for operators, however many connections others have."""
    connections = Registry()
    for number in range(10):
        connections.add(number, 0)
    for number in range(10, 18):
        assert connections.objection(number, operates=False, limit=20) is None
        connections.add(number, number)
    assert connections.objection(99, operates=False, limit=20)
    assert connections.objection(0, operates=True, limit=20) is None


def test_one_that_was_never_let_in_is_not_counted_out() -> None:
    """Nor is a connection counted twice."""
    connections = Registry()
    connections.add("one", 7)
    connections.discard("other")
    connections.discard("one")
    connections.discard("one")
    assert len(connections) == 0
    assert connections.objection(7, operates=False, limit=1) is None
