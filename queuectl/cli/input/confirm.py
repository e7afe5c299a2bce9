"""The question before something is lost: one for every command that can lose it.

Off a terminal nobody is asked: a script that calls a command means it.
"""

import sys
from collections.abc import Callable

import click

yes_option = click.option("-y", "--yes", is_flag=True, help="Do not ask.")
"""For each command that asks."""


def demand(question: Callable[[], str | None], *, yes: bool, otherwise: str) -> None:
    """Return if a person agrees, or if there is nobody, or nothing, to ask.

    Args:
        question: returns what to ask, and is called only where somebody can answer;
            None: nothing would be lost.
        yes: what ``yes_option`` says.
        otherwise: what is so when nobody agreed: ``nothing was deleted``.

    Raises:
        click.ClickException: the answer is no, or none.
    """
    if yes or not _somebody_answers() or (asked := question()) is None:
        return
    try:
        agreed = click.confirm(asked, err=sys.stderr.isatty())
    except click.Abort:  # Ctrl-D; it leaves the line as it is
        click.echo(err=True)
        agreed = False
    if not agreed:
        raise click.ClickException(otherwise)


def _somebody_answers() -> bool:
    """Tell whether a person can read a question and answer it."""
    return sys.stdin.isatty() and (sys.stderr.isatty() or sys.stdout.isatty())
