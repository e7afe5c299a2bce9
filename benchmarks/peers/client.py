"""Enqueues for the benchmark, in a process of its own, with the peer's own library.

    python client.py APP [ARGUMENT ...]

Imports nothing of the project, as it runs in the peers' environments. ``APP`` is a
module of ``apps`` with ``connect(*arguments)``, which returns a function that enqueues
a shell command. On standard input: lines of a count and a command. For each, the
command is enqueued so often, one at a time; then a line says when that began and
ended, by the machine's monotonic clock.
"""

import sys
import time
from importlib import import_module


def main() -> None:
    """Serve until standard input ends."""
    enqueue = import_module(sys.argv[1]).connect(*sys.argv[2:])
    for line in sys.stdin:
        count, _, command = line.rstrip("\n").partition(" ")
        begun = time.monotonic()
        for _ in range(int(count)):
            enqueue(command)
        print(begun, time.monotonic(), flush=True)


if __name__ == "__main__":
    main()
