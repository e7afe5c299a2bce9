"""The question before something is lost, for every command that can lose something.

Without a terminal nobody is asked: a script that calls a command means it.
"""

import sys
from collections.abc import Callable

import click

from queuectl.cli.view import output
from queuectl.cli.view.text import counted

yes_option = click.option("-y", "--yes", is_flag=True, help="Do not ask.")
"""For each command that asks."""


def demand_deletion(question: Callable[[], str | None], *, yes: bool) -> None:
    """Ask before jobs are deleted. Arguments and errors are those of ``demand``."""
    demand(question, yes=yes, otherwise="nothing was deleted")


def before_stop(busy: int, *, now: bool, yes: bool) -> None:
    """Before running jobs are stopped, ask; or note that they are waited for.

    Args:
        busy: how many jobs run.
        now: they are interrupted.
        yes: do not ask.
    """
    if now:
        demand_interruption(busy, yes=yes)
    elif busy:
        output.note(f"waiting for {counted(busy, 'running job')}")


def demand_interruption(busy: int, *, yes: bool) -> None:
    """Ask before running jobs are interrupted: what they have done so far is lost."""
    jobs = counted(busy, "job")
    question = f"{jobs} running: interrupt, to be run again from the beginning?"
    demand(lambda: question if busy else None, yes=yes, otherwise="nothing was stopped")


def demand(question: Callable[[], str | None], *, yes: bool, otherwise: str) -> None:
    """Return if a person agrees, if nobody can be asked, or if nothing would be lost.

    Args:
        question: returns what to ask, or None if nothing would be lost. It is called
            only where somebody can answer.
        yes: what ``yes_option`` says.
        otherwise: the message when nobody agreed: ``nothing was deleted``.

    Raises:
        click.ClickException: the answer is no, or there is none.
    """
    if yes or not _somebody_answers() or (asked := question()) is None:
        return
    try:
        agreed = click.confirm(asked, err=sys.stderr.isatty())
    except click.Abort:  # Ctrl-D, after which the cursor is still on the same line
        click.echo(err=True)
        agreed = False
    if not agreed:
        raise click.ClickException(otherwise)


def _somebody_answers() -> bool:
    """Tell whether a person can read a question and answer it."""
    return sys.stdin.isatty() and (sys.stderr.isatty() or sys.stdout.isatty())
