"""What each command may do to a queue besides asking it: start its daemon, change it.

The one table of its kind. A command that is not in it only looks.
"""

from enum import Enum
from typing import NamedTuple

import click


class Start(Enum):
    """Whether a command may start the daemon when none answers."""

    NEVER = "never"
    """It looks, or ends something: an empty queue that was made for it would be no
    answer, and a copy of that no backup."""

    EXISTING = "existing"
    """It changes what is there, and where there is no queue there is nothing."""

    ALWAYS = "always"


class Rule(NamedTuple):
    """What a command may do.

    Attributes:
        changes: it changes or makes something: it names the queue where there are two,
            and what it says of that must not get lost.
    """

    start: Start
    changes: bool


LOOKS = Rule(Start.NEVER, changes=False)
ACTS = Rule(Start.NEVER, changes=True)
ALTERS = Rule(Start.EXISTING, changes=True)
BEGINS = Rule(Start.ALWAYS, changes=True)

COMMANDS = {
    "enqueue": BEGINS,
    "run": BEGINS,
    "list": LOOKS,
    "show": LOOKS,
    "logs": LOOKS,
    "wait": LOOKS,
    "cancel": ALTERS,
    "retry": ALTERS,
    "start": ALTERS,
    "delete": ALTERS,
    "dlq list": LOOKS,
    "dlq show": LOOKS,
    "dlq retry": ALTERS,
    "dlq purge": ALTERS,
    "prune": ALTERS,
    "status": LOOKS,
    "stats": LOOKS,
    "config list": LOOKS,
    "config get": LOOKS,
    "config show": LOOKS,
    "config set": BEGINS,
    "config unset": BEGINS,
    "worker start": BEGINS,
    "worker scale": BEGINS,
    "worker stop": ACTS,
    "worker list": LOOKS,
    "daemon start": BEGINS,
    "daemon stop": ACTS,
    "daemon restart": ACTS,
    "daemon status": LOOKS,
    "daemon logs": LOOKS,
    "doctor": LOOKS,
    "health": LOOKS,
    "backup": ACTS,
    "systemd install": LOOKS,
    "systemd uninstall": LOOKS,
    "systemd end-jobs": LOOKS,
    "completion": LOOKS,
    "rpc": ACTS,  # nobody knows what its method does
}
"""The words of a command, as they are typed after ``queuectl`` and its options."""


def current() -> Rule:
    """Return the rule of the command that runs."""
    context = click.get_current_context(silent=True)
    if context is None:
        return LOOKS
    _program, _, words = context.command_path.partition(" ")
    return COMMANDS.get(words, LOOKS)
