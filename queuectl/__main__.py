"""``python -m queuectl`` and the command ``queuectl``."""

import gc
import signal

from queuectl import stdio

FEW_COLLECTIONS = 50_000
"""Containers made between two collections of garbage: more than a short command makes.
At the usual 700 Python looks for garbage again and again while it imports, and finds
none."""


def main() -> None:
    """Run the command line and exit with its status."""
    # Ctrl-C kills queuectl as it kills cp or grep: the daemon cleans up after a
    # client, and a shell loop stops only if its command died of the signal. Commands
    # that have something to end or to say (run, cancel) handle it themselves.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    gc.set_threshold(FEW_COLLECTIONS)
    stdio.complete()
    from queuectl.cli import root  # noqa: PLC0415 - imported after the signals are set

    root.main()


if __name__ == "__main__":
    main()
