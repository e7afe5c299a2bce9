"""Two requests about one object at the same time, each pair many times.

pytest tests/faults/test_pairs.py                   some rounds of each
pytest tests/faults/test_pairs.py -m slow           more of them
"""

from collections.abc import Callable, Iterator
from random import Random

import pytest

from faults import pairs
from faults.pairs import GONE, Round, ended, failed, late, ready, running
from helpers.daemon import Daemon, a_daemon
from queuectl_protocol.vocabulary import FINAL_STATES

ROUNDS = 10
MORE_ROUNDS = 150

C, F, D, X = "completed", "failed", "dead", "cancelled"

PAIRS: list[tuple[Callable[[Round], None], str, str, set[str]]] = [
    (running, "cancel", "insist on retry", {C}),
    (running, "cancel many", "insist on retry", {C}),
    (running, "cancel", "retry", {X, C}),
    (running, "cancel many", "retry many", {X, C}),
    (running, "cancel", "cancel", {X}),
    (running, "cancel", "cancel many", {X}),
    (running, "cancel", "finish", {X, C}),
    (running, "cancel", "stop now", {X}),
    (running, "cancel", "wait", {X}),
    (running, "cancel", "follow", {X}),
    (running, "finish", "delete", {C, GONE}),
    (running, "finish", "prune", {C, GONE}),
    (running, "finish", "retry", {C}),
    (running, "finish", "follow", {C}),
    (running, "finish", "stop", {C}),
    (running, "finish", "stop now", {C}),
    (running, "stop now", "stop now", {C}),
    (running, "stop", "stop now", {C}),
    (running, "stop all", "stop all", {C}),
    (ready, "claim", "cancel", {X}),
    (ready, "claim", "start", {C}),
    (ready, "claim", "stop all", {C}),
    (ready, "claim", "claim", {C}),
    (late, "start", "start", {C}),
    (late, "start", "cancel", {X}),
    (late, "start", "retry", {C}),
    (late, "start", "stop all", {C}),
    (failed, "start", "start", {D}),
    (failed, "start", "retry", {D, F}),
    (failed, "retry", "retry", {F}),
    (failed, "start", "cancel", {X, D}),
    (failed, "retry", "cancel", {X, F}),
    (ended, "retry", "retry", {C}),
    (ended, "retry", "delete", {C, GONE}),
    (ended, "retry", "prune", {C, GONE}),
    (ended, "delete", "delete", {GONE}),
    (ended, "delete", "prune", {GONE}),
    (ended, "delete", "enqueue", {C, GONE}),
    (ended, "delete", "wait", {GONE}),
    (ended, "delete", "follow", {GONE}),
    (ended, "delete", "read", {GONE}),
    (ended, "prune", "follow", {GONE}),
    (ended, "prune", "get", {GONE}),
]
"""What there is before, two things that are asked for, and how the job may end."""

NAMES = [f"{before.__name__}: {a} x {b}" for before, a, b, _ in PAIRS]


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    """A daemon with a short grace before jobs are killed."""
    with a_daemon() as served:
        served.call("config.set", key="kill_grace", value=0.5)
        yield served


@pytest.mark.parametrize(("before", "one", "other", "allowed"), PAIRS, ids=NAMES)
def test_two_at_once_leave_everything_in_order(
    daemon: Daemon,
    before: Callable[[Round], None],
    one: str,
    other: str,
    allowed: set[str],
) -> None:
    """Both requests are answered, no worker stays busy, and the job ends."""
    play_rounds(daemon, ROUNDS, before, (one, other), allowed)


@pytest.mark.slow
@pytest.mark.parametrize(("before", "one", "other", "allowed"), PAIRS, ids=NAMES)
def test_two_at_once_many_times(
    daemon: Daemon,
    before: Callable[[Round], None],
    one: str,
    other: str,
    allowed: set[str],
) -> None:
    """More rounds, for rare interleavings."""
    play_rounds(daemon, MORE_ROUNDS, before, (one, other), allowed)


def play_rounds(
    daemon: Daemon,
    rounds: int,
    before: Callable[[Round], None],
    verbs: tuple[str, str],
    allowed: set[str],
) -> None:
    """Play a pair so often; in every third round nobody waits for the answers."""
    for number in range(rounds):
        with pairs.a_round(daemon, f"job-{number}") as round_:
            before(round_)
            pairs.play(round_, verbs, Random(number), vanish=number % 3 == 2)
            pairs.check(round_, allowed)
            if round_.state() == F:
                round_.control.call("cancel", id=round_.job)
            round_.control.call("prune", states=sorted(FINAL_STATES))
