"""The rounds that are played: the random campaign, and the storm of restarts."""

import random

from benchmarks.soak.campaign import Plan
from benchmarks.soak.load import Mix
from benchmarks.soak.strikes import RESTARTS, STRIKES


def campaign(seed: str, strikes: int) -> Plan:
    """Return a round with so many strikes, in which each kind comes as often."""
    dice = random.Random(f"{seed}/strikes")
    kinds = list(STRIKES) * (strikes // len(STRIKES))
    kinds += dice.sample(STRIKES, strikes - len(kinds))
    dice.shuffle(kinds)
    return Plan(seed=seed, strikes=kinds)


def storm(seed: str, *, restarts: int, jobs: int, gap: tuple[float, float]) -> Plan:
    """Return a round in which jobs flow while the daemon is restarted all the time."""
    dice = random.Random(f"{seed}/storm")
    return Plan(
        seed=seed,
        strikes=[dice.choice(RESTARTS) for _ in range(restarts)],
        gap=gap,
        patience=1.0,
        clients=4,
        workers=6,
        jobs=jobs // 4,
        mix=Mix(backlog=100, batch=50, longest=60),
    )
