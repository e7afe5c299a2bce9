"""Queuectl beside other job queues, measured in the same run.

    PYTHONPATH=tests python -m benchmarks.peers [--rounds 5] [--scale 1]

Installs what it can of them into ``build/peers`` and says of the rest why it cannot.
Every server runs on a private socket in a temporary folder and is gone at the end.
Prints tables, and each figure as a line of JSON; with ``--into DIR``, these go to
``DIR/bench-peers.md`` and ``DIR/bench-peers.jsonl`` also.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from benchmarks import floors
from benchmarks.peers import catalogue, measure
from benchmarks.peers.install import NotInstalledError
from benchmarks.peers.processes import PeerFailedError, adopt_orphans, sweep
from benchmarks.peers.session import Peer
from benchmarks.report import header, header_markdown, number, quantile

WORKERS = (2, 4, 8)
FLOOR_JOBS = 4000
ENQUEUED = 2000
STARTED = 40

FLOOR = "bare posix_spawn"
COMMITS = "bare SQLite commits, FULL"

TITLES = {
    "drain": "jobs/s of `sh -c true` from a full queue; ratio to the floor; "
    "which jobs survive",
    "enqueue": "jobs/s, one client, one job at a time, each acknowledged",
    "start": "ms from enqueue to start of the job, idle, one worker",
}

KEEPS = ("survive SIGKILL", "survive power loss", "output kept")

FAILURES = (PeerFailedError, OSError, AssertionError, subprocess.SubprocessError)

NOTES = {
    "drain": "Beside each rate its spread, and the median of its ratios to the floor "
    "of the same round. *All*: also those that run are run again by themselves; "
    "*waiting*: not those: Huey forgets them, RQ has them as failed, Procrastinate as "
    "running, until somebody does something about it. RQ and Celery without fsync "
    "use a Redis that writes nothing. Output that is not kept goes where the "
    "peer's own goes, or nowhere.",
    "enqueue": "The one worker is held meanwhile. For what of it survives, see above.",
    "start": "Until the shell's first act has reached the benchmark. Huey looks for "
    "jobs every 0.1 s or more seldom, as it does by default.",
}

Row = dict[str, object]
Cells = list[tuple[str, ...]]


class Run:
    """All measurements of one run, and who fell out and why."""

    def __init__(self, rounds: int, scale: float, only: Sequence[str]) -> None:
        self.rounds = rounds
        self.scale = scale
        self.versions: dict[str, str] = {}
        self.left_out: dict[str, str] = {}
        self._only = only
        self._found: dict[tuple[str, str, str], list[float]] = defaultdict(list)

    def install(self, peers: Iterable[Peer]) -> None:
        """Bring the peers here; note which cannot be had, or are not asked for."""
        for peer in peers:
            if self._only and not any(word in peer.name for word in self._only):
                self.left_out[peer.name] = "not asked for: --only"
                continue
            _tell(f"installing {peer.name}")
            try:
                self.versions[peer.name] = peer.install()
            except (NotInstalledError, OSError) as error:
                self.left_out[peer.name] = f"not installed: {error}"

    def measure(self) -> None:
        """Measure everything; in each round everybody takes a turn."""
        for turn in range(1, self.rounds + 1):
            for workers in WORKERS:
                _tell(f"round {turn} of {self.rounds}: drain, {workers} workers")
                self._drain(workers)
            _tell(f"round {turn} of {self.rounds}: enqueue and start")
            self._enqueue()
            for peer in catalogue.STARTED:
                self._note("start", peer, "1", self._starts(peer))

    def _drain(self, workers: int) -> None:
        floor = floors.spawn_rate(self.jobs(FLOOR_JOBS), workers)
        self._found["drain", FLOOR, str(workers)].append(floor)
        for peer in catalogue.DRAINED:
            if workers <= peer.most:
                jobs = max(workers, self.jobs(peer.jobs))
                self._note("drain", peer, str(workers), _drained(peer, jobs, workers))

    def _enqueue(self) -> None:
        jobs = self.jobs(ENQUEUED)
        with tempfile.TemporaryDirectory(prefix="peer-") as folder:
            commits = floors.commit_rate(Path(folder), jobs)
        self._found["enqueue", COMMITS, "1"].append(commits)
        for peer in catalogue.ENQUEUED:
            # Task-spooler's limit holds for its queue, however few are measured.
            count = min(jobs, peer.jobs) if "spooler" in peer.name else jobs
            self._note("enqueue", peer, "1", _enqueued(peer, count))

    def _starts(self, peer: Peer) -> Callable[[], list[float]]:
        return lambda: measure.start_ms(peer, self.jobs(STARTED))

    def _note(
        self, table: str, peer: Peer, key: str, measured: Callable[[], list[float]]
    ) -> None:
        if peer.name in self.left_out:
            return
        try:
            values = measured()
        except FAILURES as error:
            self.left_out[peer.name] = f"failed ({table}, {key} workers): {error}"
            _tell(f"{peer.name} {self.left_out[peer.name]}")
        else:
            self._found[table, peer.name, key] += values

    def jobs(self, full: int) -> int:
        """Return how many jobs, instead of ``full``, this run can afford."""
        return max(8, round(full * self.scale))

    def rows(self) -> list[Row]:
        """Return every figure as data."""
        return [self._row(*key, values) for key, values in self._found.items()]

    def _row(self, table: str, name: str, workers: str, values: list[float]) -> Row:
        row: Row = {"benchmark": f"peers {table}", "name": name, "workers": workers}
        row |= {"median": statistics.median(values), "values": values}
        floor = self._found.get((table, FLOOR, workers), [])
        pairs = list(zip(values, floor, strict=False))
        row["ratio"] = statistics.median(a / b for a, b in pairs) if pairs else None
        row |= _kept(name)
        row["p99"] = quantile(values, 0.99) if table == "start" else None
        return row


def _kept(name: str) -> Row:
    for peer in (*catalogue.DRAINED, *catalogue.ENQUEUED, *catalogue.STARTED):
        if peer.name == name:
            kept = (peer.survives_kill, peer.survives_power, peer.output)
            return dict(zip(KEEPS, kept, strict=True))
    return {}


def _drained(peer: Peer, jobs: int, workers: int) -> Callable[[], list[float]]:
    return lambda: [measure.drain_rate(peer, jobs, workers)]


def _enqueued(peer: Peer, jobs: int) -> Callable[[], list[float]]:
    return lambda: [measure.enqueue_rate(peer, jobs)]


def _drain_table(rows: list[Row], run: Run) -> Cells:
    cells: Cells = [
        ("", *(f"{n} workers" for n in WORKERS), "jobs", *KEEPS),
    ]
    floor_jobs = str(run.jobs(FLOOR_JOBS))
    cells.append((FLOOR, *_drain_cells(rows, FLOOR), floor_jobs, *("-" for _ in KEEPS)))
    cells += [
        (
            peer.name,
            *_drain_cells(rows, peer.name),
            str(run.jobs(peer.jobs)),
            *(peer.survives_kill, peer.survives_power, peer.output),
        )
        for peer in catalogue.DRAINED
        if peer.name not in run.left_out
    ]
    return cells


def _drain_cells(rows: list[Row], name: str) -> list[str]:
    found = {row["workers"]: row for row in _of(rows, "drain") if row["name"] == name}
    return [
        _cell(found[str(w)]) + _ratio(found[str(w)]) if str(w) in found else "-"
        for w in WORKERS
    ]


def _ratio(row: Row) -> str:
    return f" x{row['ratio']:.2f}" if row["name"] != FLOOR else ""


def _cell(row: Row) -> str:
    values = row["values"]
    assert isinstance(values, list)
    spread = f"{number(min(values))}-{number(max(values))}"
    return f"{number(statistics.median(values))} ({spread})"


def _enqueue_table(rows: list[Row]) -> Cells:
    found = _of(rows, "enqueue")
    return [("", "jobs/s"), *((str(row["name"]), _cell(row)) for row in found)]


def _start_table(rows: list[Row]) -> Cells:
    found = _of(rows, "start")
    cells: Cells = [("", "p50 (least - most)", "p99", "jobs")]
    for row in found:
        values = row["values"]
        assert isinstance(values, list)
        p99 = number(quantile(values, 0.99))
        cells.append((str(row["name"]), _cell(row), p99, str(len(values))))
    return cells


def _of(rows: list[Row], table: str) -> list[Row]:
    return [row for row in rows if row["benchmark"] == f"peers {table}"]


def _markdown(title: str, notes: str, cells: Cells) -> str:
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    padded = [
        [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        for row in [cells[0], ["-" * width for width in widths], *cells[1:]]
    ]
    lines = ["| " + " | ".join(row) + " |" for row in padded]
    return "\n".join([f"### {title}", "", notes, "", *lines])


def _report(run: Run, facts: dict[str, str]) -> str:
    rows = run.rows()
    versions = {name: said for name, said in run.versions.items() if said}
    tables = {
        "drain": _drain_table(rows, run),
        "enqueue": _enqueue_table(rows),
        "start": _start_table(rows),
    }
    parts = [header_markdown(facts)]
    parts += [
        _markdown(TITLES[name], NOTES[name], cells) for name, cells in tables.items()
    ]
    parts.append("Versions:\n\n" + header_markdown(versions))
    if run.left_out:
        parts.append("Left out:\n\n" + header_markdown(run.left_out))
    return "\n\n".join(parts) + "\n"


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.peers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the jobs")
    parser.add_argument("--only", nargs="*", default=(), help="parts of peers' names")
    parser.add_argument("--into", type=Path, help="a directory for tables and figures")
    return parser.parse_args()


def main() -> None:
    """Install the peers, measure all, and print it."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if "TMPDIR" not in os.environ:
        tempfile.tempdir = (
            "/var/tmp"  # /tmp may be memory, on which fsync costs nothing
        )
    adopt_orphans()
    run = Run(arguments.rounds, arguments.scale, arguments.only)
    facts = header()
    with tempfile.TemporaryDirectory(prefix="peer-") as folder:
        facts["fdatasync"] = f"{floors.fdatasync_ms(Path(folder)):.3f} ms in {folder}"
    everybody = (*catalogue.DRAINED, *catalogue.ENQUEUED, *catalogue.STARTED)
    run.install({peer.name: peer for peer in everybody}.values())
    try:
        run.measure()
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    finally:
        sweep()
    text = _report(run, facts)
    data = "".join(json.dumps(row) + "\n" for row in run.rows())
    print(text, data, sep="\n")
    if arguments.into:
        arguments.into.mkdir(parents=True, exist_ok=True)
        (arguments.into / "bench-peers.md").write_text(text)
        (arguments.into / "bench-peers.jsonl").write_text(data)


if __name__ == "__main__":
    main()
