"""What a command may do to a queue besides asking it: start its daemon, change it.

Each command is declared with its rule.
"""

from enum import Enum
from typing import NamedTuple

import click


class Start(Enum):
    """Whether a command may start the daemon when none answers."""

    NEVER = "never"
    """The command only looks, or ends something. A queue made for it would be empty,
    and would answer nothing."""

    EXISTING = "existing"
    """The command changes jobs, and where there is no queue there are none."""

    ALWAYS = "always"


class Rule(NamedTuple):
    """What a command may do.

    Attributes:
        start: whether it may start the daemon.
        changes: it changes or makes something. It then names the queue where there are
            two, and its result is not lost when stdout cannot be written.
    """

    start: Start
    changes: bool


LOOKS = Rule(Start.NEVER, changes=False)
ACTS = Rule(Start.NEVER, changes=True)
ALTERS = Rule(Start.EXISTING, changes=True)
BEGINS = Rule(Start.ALWAYS, changes=True)


def current() -> Rule:
    """Return the rule of the command that runs."""
    context = click.get_current_context(silent=True)
    rule: Rule = getattr(context and context.command, "rule", LOOKS)
    return rule
