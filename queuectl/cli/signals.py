"""Ctrl-C while the daemon works on something for us: what becomes of that is said.

The command still dies of the signal, at once: see ``__main__``.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from queuectl.cli.exits import die_of
from queuectl.cli.view import output


@contextmanager
def explained(sentence: str) -> Iterator[None]:
    """Say on Ctrl-C what goes on without us.

    A signal that our parent had ignored stays ignored: see nohup(1).
    """
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        yield
        return

    def leave(*_: object) -> None:
        # It may have come in the middle of writing, which cannot be begun again.
        with suppress(RuntimeError):
            output.note(f"interrupted: {sentence}")
        die_of(signal.SIGINT)

    signal.signal(signal.SIGINT, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
