"""How long a command takes, whole process, beside Python with the bare imports."""

import os
from collections import defaultdict

from benchmarks import floors
from benchmarks.options import Options
from benchmarks.report import Figure, Series, Table, ratio_at_most
from benchmarks.served import BIN, served

COMMANDS = (("--help",), ("status",), ("enqueue", "true"))
RUNS = 20
"""Runs of each in a round, of which the fastest counts: the others met somebody."""

HINDERING = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")
"""Without compiled files every command would compile its sources anew."""


def run(options: Options) -> list[Table]:
    """Measure the commands that scripts call most."""
    found: dict[str, list[float]] = defaultdict(list)
    with served() as daemon:
        environment = {
            name: value
            for name, value in (os.environ | daemon.environment).items()
            if name not in {*HINDERING, "PYTHONPATH"}
        }
        for _ in range(options.rounds):
            taken: dict[str, list[float]] = defaultdict(list)
            for _ in range(RUNS):
                taken["floor"].append(floors.imports_ms(environment))
                for command in COMMANDS:
                    argv = [str(BIN / "queuectl"), *command]
                    ms = floors.process_ms(argv, environment)
                    taken[" ".join(command)].append(ms)
            for name, values in taken.items():
                found[name].append(min(values))
    floor = Series("imports", tuple(found.pop("floor")))
    figures = tuple(
        Figure(f"queuectl {name}", "ms", tuple(values), floor, ratio_at_most(1.25))
        for name, values in found.items()
    )
    notes = f"The floor is `python -c '{floors.IMPORTS}'`; the fastest of {RUNS} runs."
    return [Table("startup", "a command, from its spawn to its end", figures, notes)]
