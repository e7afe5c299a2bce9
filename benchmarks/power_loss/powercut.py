"""A small life of the real daemon, traced, and the power cuts it might have met."""

import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.power_loss.crashstates import Disk, Loss
from benchmarks.power_loss.promises import Promises, broken
from helpers import traced, waiting
from helpers.daemon import ROOT
from helpers.home import Home
from helpers.traced import Event, Removed, Renamed, Synced

CHECKPOINT_PAGES = 40
"""So that the log is emptied, and begun again, many times in a short life."""

_PROGRAM = f"""
import sys
synchronous = sys.argv.pop()
from queuectld.store.sqlite import connection
connection.AUTOCHECKPOINT_PAGES = {CHECKPOINT_PAGES}
configure = connection._configure
def configured(database):
    configure(database)
    if synchronous != "FULL":
        database.execute(f"PRAGMA synchronous = {{synchronous}}")
connection._configure = configured
from queuectld.__main__ import main
main()
"""
"""The daemon with a shorter log, and, for the counter-check, with weaker syncs."""

_TWO_LIVES = 'until "$@" && [ -e second ]; do touch second; done'


@dataclass(frozen=True, slots=True)
class Life:
    """A life of a daemon on record.

    Attributes:
        root: the directory that was there before.
        state_dir: what the daemon made in it.
    """

    root: str
    state_dir: str
    events: list[Event]


@dataclass(slots=True)
class Verdict:
    """What came of some crash states.

    Attributes:
        states: how many were tried, by what was lost.
        distinct: hashes of those that were not the same.
        syncs, promises: how much the life had of them.
        broken: broken promises, each with the words to find its state again.
    """

    states: Counter[Loss] = field(default_factory=Counter)
    distinct: set[int] = field(default_factory=set)
    syncs: int = 0
    promises: int = 0
    broken: list[str] = field(default_factory=list)


def live(synchronous: str = "FULL") -> Life:
    """Run a daemon through everything that it acknowledges; return what it did."""
    with _place() as root:
        record = root / "strace"
        home = _home(root)
        program = [sys.executable, "-P", "-c", _PROGRAM, synchronous]
        shell = ["sh", "-c", _TWO_LIVES, "sh", *program]
        with (root / "stderr").open("wb") as stderr:
            tracer = subprocess.Popen(
                traced.command(record, shell),
                cwd=root,
                env=home.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'protocol'}"},
                stdin=subprocess.DEVNULL,
                stderr=stderr,
            )
        try:
            waiting.until(home.answers, "the daemon answers")
            _work(home)
            tracer.wait(30)
        finally:
            home.clean_up()
            tracer.wait(30)
        return Life(str(root), str(home.root), traced.read(record, str(root)))


def while_spooled(life: Life) -> range:
    """Return the places of the events while a result was in the spool."""
    begun = [
        n
        for n, event in enumerate(life.events)
        if isinstance(event, Renamed) and "/spool/" in event.to
    ]
    (result,) = {life.events[n].to for n in begun}
    return range(begun[0], life.events.index(Removed(result)))


def without_syncs_of(life: Life, name: str) -> Life:
    """Return the life of a daemon that had not synced a file."""
    kept = [
        event
        for event in life.events
        if not (isinstance(event, Synced) and event.path.endswith(name))
    ]
    return replace(life, events=kept)


def cut(
    life: Life, states: int, seed: int, *, among: Sequence[int] | None = None
) -> Verdict:
    """Try so many crash states of a life; return what came of them.

    The moments are spread evenly over all that changed the disk or promised
    something. The same seed gives the same states.

    Args:
        life: what happened.
        states: how many power cuts.
        seed: of what is lost, and when.
        among: only cuts after these events.
    """
    verdict = Verdict(syncs=sum(isinstance(each, Synced) for each in life.events))
    rng = random.Random(seed)
    disk, promises = Disk(life.root), Promises()
    at = sorted(rng.choices(among or range(len(life.events)), k=states), reverse=True)
    for number, event in enumerate(life.events):
        disk.apply(event)
        promises.apply(event)
        while at and at[-1] == number:
            at.pop()
            # With everything synced there is one state only.
            loss = rng.choice(list(Loss)) if disk.unsynced else Loss.NONE
            _try(disk, promises, life, verdict, loss, rng, number)
    verdict.promises = len(promises)
    return verdict


def _try(
    disk: Disk,
    promises: Promises,
    life: Life,
    verdict: Verdict,
    loss: Loss,
    rng: random.Random,
    number: int,
) -> None:
    files = disk.crash(loss, rng)
    verdict.states[loss] += 1
    verdict.distinct.add(hash(frozenset(files.items())))
    with _place() as folder:
        for sentence in broken(promises, files, life.state_dir, folder):
            where = f"after event {number} of {len(life.events)}, {loss.value}"
            verdict.broken.append(f"{where}: {sentence}")


def _work(home: Home) -> None:
    """Have everything acknowledged that can be, one by one and in groups."""
    slow = home.gate()
    with home.connect() as client:
        for number in range(6):
            client.call("enqueue", job={"command": f"echo {number}"})
        client.call("config.set", key="backoff_base", value=1)
        together = [
            client.send("enqueue", job={"command": "true", "id": f"together-{number}"})
            for number in range(40)
        ]
        for request in together:
            client.result(request)
        client.call("cancel", id="together-39")
        client.call("workers.start", count=3)
        batch = [{"command": ["printf", "x" * 3000]} for _ in range(30)]
        ids = client.call("enqueue_many", jobs=batch)["ids"]
        client.call("enqueue", job={"command": "exit 3", "id": "bad", "max_retries": 1})
        for job_id in ("1", "together-7", ids[-1], "bad"):
            client.call("wait", id=job_id)
        gated = {
            "command": "echo >running; read _ <gate",
            "cwd": str(home.work),
            "priority": 9,
        }
        client.call("enqueue", job={**gated, "id": "outlives"})
        # Not only claimed: the worker has the order, and the job's process is there.
        home.appears("running")
        first = home.daemon
    home.send(first, 9)
    slow.open()
    waiting.until(lambda: home.answers() and home.daemon != first, "the second daemon")
    with home.connect() as client:
        client.call("wait", id="outlives")
        for number in range(10):
            job = {"command": f"echo again {number}", "id": f"again-{number}"}
            client.call("enqueue", job=job)
        waits = [client.send("wait", id=f"again-{number}") for number in range(10)]
        for request in waits:
            client.result(request)
        client.call("daemon.stop")


def _home(root: Path) -> Home:
    """Return a home whose state directory the daemon has yet to make."""
    home = Home(root)
    home.root = root / "state"
    home.socket = home.root / "queuectl.sock"
    home.environ["QUEUECTL_HOME"] = str(home.root)
    home.environ["PATH"] += f":{home.root}"
    return home


@contextmanager
def _place() -> Iterator[Path]:
    """Give a folder in memory, if there is one: thousands are made, and all is read."""
    memory = Path("/dev/shm")
    where = memory if os.access(memory, os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="queuectl-", dir=where))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
