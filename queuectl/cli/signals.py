"""Signals: which of them a command may handle, and what a command says of its end.

By default Ctrl-C kills a command at once: see ``queuectl.__main__``.
"""

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from queuectl.cli.exits import Status
from queuectl.cli.view import output

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that ask a program to end."""


def handle(
    numbers: Iterable[signal.Signals], handler: Callable[..., object]
) -> list[signal.Signals]:
    """Handle these signals; return those that are handled.

    A signal that the parent process ignores stays ignored: see nohup(1).
    """
    handled = [n for n in numbers if signal.getsignal(n) is not signal.SIG_IGN]
    for number in handled:
        signal.signal(number, handler)
    return handled


def die_of(number: signal.Signals) -> NoReturn:
    """End this process by a signal, as its parent expects after one."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    raise SystemExit(Status.SIGNALLED + number)  # the signal is blocked


@contextmanager
def explained(sentence: str) -> Iterator[None]:
    """On Ctrl-C, say what the daemon goes on with; then die of the signal."""

    def leave(*_: object) -> None:
        # The signal may interrupt a write, and a buffered stream refuses to be
        # entered twice.
        with suppress(RuntimeError):
            output.note(f"interrupted: {sentence}")
        die_of(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    handle([signal.SIGINT], leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
