"""Two requests about one object at the same time: a round of it, and what must hold.

A round brings a job into a state, lets two clients ask for one thing each, lets the job
come to its end, and looks at everything that either may have left behind.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from types import MappingProxyType
from typing import Any

from helpers import waiting
from helpers.daemon import Daemon
from helpers.home import Gate
from helpers.rawclient import RawClient
from queuectl_protocol.messages import Failure, Reply
from queuectl_protocol.vocabulary import FINAL_STATES, JobState

Map = dict[str, Any]

GONE = "gone"
"""What is said in place of the state of a job that was deleted."""

SLOWLY = {"backoff_base": 1000, "backoff_max": 1000}
"""A retry waits for longer than a test does."""

RUNS = 20
"""Times that the gate lets a job go on: more than it runs."""

GATED = (
    "exec 9>>lock.$QUEUECTL_JOB_ID; flock -n -E 77 9; "
    "[ $? = 77 ] && echo overlap >>overlaps; read _ <gate.$QUEUECTL_JOB_ID"
)
"""A job that notices another run of itself, and goes on when the gate is opened."""

OUTPUT = "echo output"
"""A job that ends at once."""

PINGS = 6
"""Requests before the one that matters, at most: they shift one against the other."""

Params = Callable[["Round"], Map]
VERBS: Mapping[str, tuple[str, Params]] = MappingProxyType(
    {
        "cancel": ("cancel", lambda r: {"id": r.job}),
        "cancel many": ("cancel_many", lambda r: {"ids": [r.job]}),
        "retry": ("retry", lambda r: {"id": r.job}),
        "retry many": ("retry_many", lambda r: {"ids": [r.job]}),
        "start": ("start", lambda r: {"id": r.job}),
        "delete": ("delete", lambda r: {"id": r.job}),
        "enqueue": (
            "enqueue",
            lambda r: {
                "job": {"id": r.job, "command": OUTPUT, "max_retries": 0},
                "if_exists": "return",
            },
        ),
        "get": ("get", lambda r: {"id": r.job}),
        "read": ("logs.read", lambda r: {"id": r.job, "stream": "stdout"}),
        "wait": ("wait", lambda r: {"id": r.job}),
        "follow": ("logs.follow", lambda r: {"id": r.job}),
        "prune": ("prune", lambda _: {"states": sorted(FINAL_STATES)}),
        "claim": ("workers.start", lambda _: {}),
        "stop": ("workers.stop", lambda r: {"workers": [r.worker]}),
        "stop now": ("workers.stop", lambda r: {"workers": [r.worker], "now": True}),
        "stop all": ("workers.stop", lambda _: {"now": True}),
    }
)
"""What two clients may ask for: ``finish`` is not among them, the job does that."""

ENDS = {"wait", "follow", "stop"}
"""What is answered when the job has come to its end."""

INSIST = "insist on retry"
"""A retry that is asked for again until it is done; cancel comes before it."""

TOLD = MappingProxyType(
    {
        "cancel": {JobState.CANCELLED},
        "retry": {JobState.PENDING},
        "start": {JobState.PENDING, JobState.FAILED},
        "delete": FINAL_STATES,
        "wait": FINAL_STATES,
        "follow": FINAL_STATES,
    }
)
"""The states that a good answer may tell."""


@dataclass
class Round:
    """One playing of a pair.

    Attributes:
        job: its id.
        worker: the number of the worker that runs it; 0: none does.
        ends: how each request ended, by its verb and its place.
    """

    daemon: Daemon
    control: RawClient
    gate: Gate
    job: str
    worker: int = 0
    ends: list[tuple[str, Reply | Failure]] = field(default_factory=list)

    def state(self) -> str:
        """Return the job's state."""
        job = self._look()
        return GONE if job is None else str(job["state"])

    def rests(self) -> bool:
        """Whether nothing more will happen to the job by itself, in a test's time."""
        job = self._look()
        if job is None or job["state"] in FINAL_STATES:
            return True
        soon = datetime.now(UTC) + timedelta(minutes=1)
        waits = job["state"] == JobState.FAILED
        return waits and datetime.fromisoformat(job["run_at"]) > soon

    def _look(self) -> Map | None:
        end = self.control.end(self.control.send("get", id=self.job))
        return None if isinstance(end, Failure) else end.result["job"]

    def did(self, verb: str) -> bool:
        """Whether somebody was told that this was done."""
        return any(said.startswith(verb) and _done(end) for said, end in self.ends)


# -- what there is before ------------------------------------------------------------


def running(round_: Round) -> None:
    """Let the job run, and stay at its gate."""
    enqueue(round_, GATED, max_retries=0)

    def runs_it() -> list[int]:
        workers = round_.control.call("workers.list")["workers"]
        return [each["worker"] for each in workers if each["job"] == round_.job]

    (round_.worker,) = waiting.until(runs_it, "it runs")


def ready(round_: Round) -> None:
    """Let it wait for a worker, of which there is none."""
    round_.control.call("workers.stop")
    enqueue(round_, GATED, max_retries=0)


def late(round_: Round) -> None:
    """Let it wait for its time, while workers have nothing to do."""
    enqueue(round_, GATED, max_retries=0, delay=3600)


def failed(round_: Round) -> None:
    """Let it wait for its last retry."""
    enqueue(round_, "exit 1", max_retries=1, **SLOWLY)
    waiting.until(lambda: round_.state() == JobState.FAILED, "it has failed")


def ended(round_: Round) -> None:
    """Let it be completed, with some output."""
    enqueue(round_, OUTPUT, max_retries=0)
    round_.control.call("wait", id=round_.job)


def enqueue(round_: Round, command: str, **fields: Any) -> None:
    """Add the job of this round."""
    fields |= {"id": round_.job, "cwd": str(round_.daemon.home)}
    round_.control.call("enqueue", job={"command": command, **fields})


# -- a round -------------------------------------------------------------------------


@contextmanager
def a_round(daemon: Daemon, job: str) -> Iterator[Round]:
    """Make what a round needs; at its end nothing of it is left in the queue."""
    gate_file = daemon.home / f"gate.{job}"
    with daemon.connect() as control, closing(Gate(gate_file)) as gate:
        control.call("workers.ensure", count=2)
        yield Round(daemon, control, gate, job)
    gate_file.unlink()


def play(
    round_: Round, verbs: tuple[str, str], chance: Random, *, vanish: bool
) -> None:
    """Ask for both at once; ``vanish``: do not wait for the answers."""
    with ExitStack() as stack:
        asked = []
        clients = [stack.enter_context(round_.daemon.connect()) for _ in verbs]
        for client in clients:
            client.greeting()
        parts = list(zip(verbs, clients, strict=True))
        chance.shuffle(parts)
        for verb, client in sorted(parts, key=lambda part: part[0] == INSIST):
            for _ in range(chance.randrange(PINGS)):
                client.send("ping")
            if verb == "finish":
                round_.gate.open()
            elif verb == INSIST:
                round_.ends.append(("retry", insist(round_, client)))
            else:
                method, params = VERBS[verb]
                asked.append((verb, client, client.send(method, **params(round_))))
        if vanish:
            for client in clients:
                client.close()
            if "stop" in verbs:
                round_.gate.open(RUNS)
            assert_let_go(round_)  # what was begun is done, though the job may go on
        else:
            collect(round_, asked)
        round_.gate.open(RUNS)


def insist(round_: Round, client: RawClient) -> Reply | Failure:
    """Send requests for a retry until the first one is accepted."""
    while True:
        asked = [client.send("retry", id=round_.job) for _ in range(20)]
        ends = [client.end(request) for request in asked]
        for end in ends:
            if isinstance(end, Reply):
                return end


def collect(round_: Round, asked: list[tuple[str, RawClient, int]]) -> None:
    """Wait for the answers; for some of them the job has to continue."""
    for verb, client, request in sorted(asked, key=lambda each: each[0] in ENDS):
        if verb in ENDS:
            round_.gate.open(RUNS)
            round_.control.call("workers.ensure", count=1)
        round_.ends.append((verb, client.end(request)))


def resting(round_: Round) -> str:
    """Wait until the job has come to rest; return its state then."""
    round_.control.call("workers.ensure", count=1)
    waiting.until(round_.rests, f"job {round_.job} comes to rest")
    return round_.state()


# -- what must hold ------------------------------------------------------------------


def check(round_: Round, allowed: set[str]) -> None:
    """Look at the answers, the job, the workers, the counters and the connections."""
    for verb, end in round_.ends:
        assert_good_answer(verb, end)
    assert_let_go(round_)
    state = resting(round_)
    assert state in allowed, f"{state}; {round_.ends}"
    if round_.did("cancel") and not round_.did("retry"):
        assert state == JobState.CANCELLED, round_.ends
    if round_.did("delete") and not round_.did("enqueue"):
        assert state == GONE, round_.ends
    if state != GONE:
        assert_whole(round_)
    assert not (round_.daemon.home / "overlaps").exists()
    assert_workers(round_)
    assert_counted(round_)


def assert_good_answer(verb: str, end: Reply | Failure) -> None:
    """The request was carried out, or its error is one that fits."""
    if isinstance(end, Failure):
        assert end.code in {"invalid_state", "not_found"}, (verb, end)
    elif verb in TOLD:
        assert end.result["job"]["state"] in TOLD[verb], (verb, end)
    elif verb.endswith("many"):
        (result,) = end.result["results"]
        told = TOLD[verb.removesuffix(" many")]
        assert result["error"] or result["job"]["state"] in told, (verb, end)


def _done(end: Reply | Failure) -> bool:
    if isinstance(end, Failure):
        return False
    return all(each["error"] is None for each in end.result.get("results", ()))


def assert_let_go(round_: Round) -> None:
    """No connection is open but the one that asks."""
    waiting.until(
        lambda: round_.control.call("daemon.status")["connections"] == 1,
        "the other connections are over",
    )


def assert_whole(round_: Round) -> None:
    """Every run is on record once, each under a later lease, and has ended."""
    view = round_.control.call("get", id=round_.job)
    attempts = view["attempts"]
    assert [each["run"] for each in attempts] == [*range(1, view["job"]["runs"] + 1)]
    leases = [each["lease"] for each in attempts]
    assert leases == sorted(set(leases))
    assert all(each["reason"] for each in attempts)


def assert_workers(round_: Round) -> None:
    """None is busy, and there are as many as are wanted."""

    def in_order() -> bool:
        listed = round_.control.call("workers.list")
        states = [worker["state"] for worker in listed["workers"]]
        return states == ["idle"] * listed["wanted"]

    waiting.until(in_order, f"workers are as wanted: {round_.ends}")


def assert_counted(round_: Round) -> None:
    """The counters say what the lists say."""
    counts = round_.control.call("status")
    for state in JobState:
        listed = round_.control.call("list", state=state.value, limit=1000)["jobs"]
        assert counts[state] == len(listed), state
