"""A round of the campaign: a home, a load, strikes at random times, and the verdict."""

import bisect
import random
import select
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks.soak import oracle
from benchmarks.soak.evidence import Evidence, collect
from benchmarks.soak.keeper import Keeper
from benchmarks.soak.ledger import Ledger
from benchmarks.soak.load import Client, Mix
from benchmarks.soak.strikes import Blow, Field, Strike, busy, hit, late_result_forged
from helpers import waiting
from helpers.home import Home

WITHIN = 120.0
"""Seconds until the last job must have ended once the strikes are over."""

PAUSE = 0.5
"""Seconds after the last strike in which a daemon that was told to end begins to."""

NS = 1e9


@dataclass(frozen=True, slots=True)
class Plan:
    """What a round is to be.

    Attributes:
        strikes: those that fall, in this order; or fewer, if ``until`` says enough.
        gap: least and most seconds between two of them.
        patience: how often, from 0 to 1, a strike waits for the last one to be over.
        jobs: so many for each client at most; None: as many as it takes.
    """

    seed: str
    strikes: Sequence[Strike]
    gap: tuple[float, float] = (0.0, 0.3)
    patience: float = 0.8
    clients: int = 3
    workers: int = 4
    jobs: int | None = None
    mix: Mix = field(default_factory=Mix)


@dataclass(slots=True)
class Round:
    """What became of a round.

    Attributes:
        violations: what the oracle found; empty is good.
        retries: of each lost run: the strike that hit its worker, and the seconds from
            there to the start of the job's next attempt.
        disturbed: lost runs whose recovery was hit by another strike: not timed.
        restarts: seconds from a daemon's start to the first job that starts after it.
    """

    seed: str
    blows: list[Blow]
    violations: list[str]
    jobs: int = 0
    attempts: int = 0
    resent: int = 0
    retries: list[tuple[str, float]] = field(default_factory=list)
    disturbed: int = 0
    restarts: list[float] = field(default_factory=list)


def play(home: Home, plan: Plan) -> Round:
    """Play a round to its end, and judge it."""
    ledger, keeper = Ledger(), Keeper(home)
    clients = [_client(home, ledger, plan, n) for n in range(plan.clients)]
    keeper.begin()
    try:
        home.configure(backoff_base="1", backoff_max="0.05", kill_grace="0.3")
        home.ask("workers.start", count=plan.workers)
        for client in clients:
            client.start()
        dice = random.Random(plan.seed)
        blows = list(_strike(Field(home, keeper, dice), plan, clients))
        for client in clients:
            if plan.jobs is None:
                client.ending.set()
            client.join(WITHIN)
            assert not client.is_alive(), f"client {client.name} gets no answer"
        status = _done(home)
    except BaseException:
        keeper.leave()
        for client in clients:
            client.give_up()
        raise
    _end(home, keeper)
    evidence = collect(home, ledger, status)
    failed = keeper.wrong + [each for client in clients for each in client.failed]
    return _summary(plan, blows, evidence, keeper, failed)


def _client(home: Home, ledger: Ledger, plan: Plan, number: int) -> Client:
    client = Client(f"c{number}", home, ledger, f"{plan.seed}/{number}")
    client.mix = plan.mix
    if plan.jobs is not None:
        client.limit = plan.jobs
    return client


def _strike(field_: Field, plan: Plan, clients: list[Client]) -> Iterator[Blow]:
    last: Blow | None = None
    for strike in plan.strikes:
        if field_.dice.random() < plan.patience:
            waiting.until(
                lambda: _works(field_) or not any(c.is_alive() for c in clients),
                "a job runs",
                within=60,
            )
        select.poll().poll(field_.dice.uniform(*plan.gap) * 1000)
        blow = hit(strike, field_)
        if last:
            last.next = blow.at
        last = blow
        yield blow


def _works(field_: Field) -> bool:
    """Whether a daemon answers and a worker is busy: then a strike meets the most."""
    return field_.home.answers() and bool(busy(field_))


def _done(home: Home) -> dict[str, int]:
    """Wait until no job waits or runs; return the status that says so."""
    select.poll().poll(PAUSE * 1000)

    def done() -> dict[str, int] | None:
        try:
            status: dict[str, int] = home.ask("status")
        except (OSError, EOFError):
            return None
        waits = sum(status[state] for state in ("pending", "processing", "failed"))
        return None if waits or status["draining"] else status

    found = waiting.until(done, "all jobs have ended", within=WITHIN)
    assert found is not None
    return found


def _end(home: Home, keeper: Keeper) -> None:
    keeper.leave()
    home.send(keeper.pid, signal.SIGTERM)
    keeper.end()


def _summary(
    plan: Plan, blows: list[Blow], evidence: Evidence, keeper: Keeper, wrong: list[str]
) -> Round:
    retries = list(_retries(blows, evidence))
    forged = sum(blow.kind == late_result_forged.__name__ for blow in blows)
    if evidence.refused > forged:
        wrong.append(f"{evidence.refused} results refused, and {forged} were forged")
    clean = [(blow.kind, (at - blow.at) / NS) for blow, at in retries if at < blow.next]
    return Round(
        seed=plan.seed,
        blows=blows,
        violations=wrong + oracle.judge(evidence),
        jobs=len(evidence.ledger.promised),
        attempts=sum(map(len, evidence.attempts.values())),
        resent=evidence.ledger.resent,
        retries=clean,
        disturbed=len(retries) - len(clean),
        restarts=list(_restarts(keeper, evidence)),
    )


def _retries(blows: list[Blow], evidence: Evidence) -> Iterator[tuple[Blow, int]]:
    """Yield, for each lost run, the strike that lost it and when the next one began."""
    ids = {row["seq"]: job_id for job_id, row in evidence.jobs.items()}
    for blow in blows:
        for seq, run in blow.runs:
            ends = {a["run"]: a["reason"] for a in evidence.attempts.get(seq, [])}
            if ends.get(run) != "lost":
                continue  # it had just told its result
            later = [
                line.at
                for line in evidence.traces[ids[seq]]
                if line.event == "start" and line.run > run
            ]
            if later:
                yield blow, later[0]


def _restarts(keeper: Keeper, evidence: Evidence) -> Iterator[float]:
    """Yield, for each start of a daemon, the seconds until a job started after it."""
    begun = sorted(
        line.at
        for lines in evidence.traces.values()
        for line in lines
        if line.event == "start"
    )
    for start, following in zip(keeper.starts, keeper.starts[1:], strict=False):
        if start.ready is None:
            continue  # it was killed before it could recover anything
        # What starts before the daemon is ready was given out by the one before it.
        place = bisect.bisect(begun, start.ready)
        if place < len(begun) and begun[place] < following.at:
            yield (begun[place] - start.at) / NS
