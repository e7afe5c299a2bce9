"""``python -m queuectl`` and the command ``queuectl``."""

import gc
import os
import signal
import sys

FEW_COLLECTIONS = 50_000
"""Containers made between two garbage collections: more than a short command makes.
With the usual 700 Python collects many times during the imports, and frees nothing."""

_AS_CLOSED = (os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)
"""How /dev/null is opened as stdin, stdout and stderr. Reading from the first and
writing to the second fails with EBADF, as it does with a closed stream. Writing to the
third succeeds: notes for people may get lost."""


def main() -> None:
    """Run the command line and exit with its status."""
    # Ctrl-C kills queuectl as it kills cp or grep: the daemon cleans up after a
    # client, and a shell loop stops only if its command died of the signal. Commands
    # that have something to end or to say (run, cancel) handle it themselves.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    gc.set_threshold(FEW_COLLECTIONS)
    open_closed_streams()
    from queuectl.cli import root  # noqa: PLC0415 - after the three lines above

    root.main()


def open_closed_streams() -> None:
    """Open /dev/null in place of each standard stream that the caller closed.

    Otherwise the next file or socket would get its number, and would receive the output
    that is meant for a person.
    """
    for fd, mode in enumerate(_AS_CLOSED):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, mode)  # gets this number: the lowest that is free
            os.set_inheritable(fd, True)
    # Python has None for a stream that was closed when it started.
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


if __name__ == "__main__":
    main()
