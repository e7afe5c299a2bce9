"""Runs the benchmarks: ``python -m benchmarks [NAME ...]``.

Prints each table when it is there, and its figures as JSON lines. With ``--into DIR``,
the JSON goes to ``DIR/bench.jsonl`` instead, and the tables also to ``DIR/bench.md``,
which can be pasted into docs/benchmarks.md as it is.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import TextIO

from benchmarks.options import Options
from benchmarks.report import Table, header, header_markdown

NAMES = (
    "drain",
    "live",
    "durable",
    "bulk",
    "latency",
    "startup",
    "memory",
    "idle",
    "follow",
    "scale",
    "prune",
)
"""In this order: what is likeliest to be looked at first."""

Run = Callable[[Options], list[Table]]


def main() -> None:
    """Run what is named, or everything."""
    arguments = _arguments()
    facts = header()
    options = Options(arguments.rounds, arguments.scale, arguments.sizes)
    missed = 0
    with _sinks(arguments.into) as (text, data):
        _say(text, header_markdown(facts))
        for name in arguments.names or NAMES:
            for table in _tables(name, options):
                _say(text, table.markdown())
                data.write(table.json_lines())
                data.flush()
                missed += sum(figure.met is False for figure in table.figures)
        _say(text, f"Bars missed: {missed}.")


def _tables(name: str, options: Options) -> Iterator[Table]:
    run: Run = import_module(f"benchmarks.{name}").run
    begun = time.perf_counter()
    yield from run(options)
    print(f"({name} took {time.perf_counter() - begun:.0f} s)", file=sys.stderr)


def _say(sinks: Sequence[TextIO], text: str) -> None:
    for sink in sinks:
        print(text, file=sink, end="\n\n", flush=True)


@contextmanager
def _sinks(into: Path | None) -> Iterator[tuple[list[TextIO], TextIO]]:
    """Give where tables go, and where figures go as JSON."""
    if into is None:
        yield [sys.stdout], sys.stdout
        return
    into.mkdir(parents=True, exist_ok=True)
    with ExitStack() as files:
        text = files.enter_context((into / "bench.md").open("w"))
        data = files.enter_context((into / "bench.jsonl").open("w"))
        yield [sys.stdout, text], data


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    defaults = Options()
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], metavar="NAME")
    parser.add_argument("--rounds", type=int, default=defaults.rounds)
    parser.add_argument(
        "--scale", type=float, default=defaults.scale, help="share of the full amounts"
    )
    parser.add_argument(
        "--sizes",
        type=lambda text: tuple(int(size) for size in text.split(",")),
        default=defaults.sizes,
        help="jobs in the store, for `scale`: 100,10000",
    )
    parser.add_argument("--into", type=Path, help="a directory for tables and figures")
    return parser.parse_args()


if __name__ == "__main__":
    main()
