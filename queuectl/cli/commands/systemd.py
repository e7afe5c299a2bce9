"""``systemd``: writes the daemon's units for this installation, and removes them."""

import os
import pwd
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from queuectl.cli import policy
from queuectl.cli.command_classes import Group, options
from queuectl.cli.systemd import orphaned_jobs, plan, unit_files
from queuectl.cli.systemd.plan import Step
from queuectl.cli.systemd.target import ROOT, Target
from queuectl.cli.systemd.unit_files import Manager
from queuectl.cli.view import output, text

F = TypeVar("F", bound=Callable[..., Any])


def _options(force: str) -> Callable[[F], F]:
    """Return a decorator that adds the options of ``install`` and ``uninstall``."""
    return options(
        click.option(
            "--system", "manager", flag_value="system", help="The machine's systemd."
        ),
        click.option(
            "--user",
            "manager",
            flag_value="user",
            help="Your own.  [default: --system for root, else --user]",
        ),
        click.option("--dry-run", is_flag=True, help="Show it all, change nothing."),
        click.option("--force", is_flag=True, help=force),
        click.option(
            "--root",
            type=click.Path(exists=True, file_okay=False, path_type=Path),
            default=ROOT,
            metavar="DIR",
            help="In a system's image at DIR, as systemctl --root.",
        ),
        click.option("--json", "as_json", is_flag=True, help="As one JSON object."),
    )


@click.group(cls=Group)
def systemd() -> None:
    """Run the daemon as a service of systemd.

    $ queuectl systemd install --dry-run  look at it first
    $ queuectl systemd install
    """


@systemd.command(rule=policy.LOOKS)
@click.option(
    "--backup", is_flag=True, help="With a timer that copies the database each night."
)
@_options("Replace files that are not as queuectl wrote them.")
def install(
    *,
    manager: str | None,
    backup: bool,
    dry_run: bool,
    force: bool,
    root: Path,
    as_json: bool,
) -> None:
    """Write the units of the service, and what else it needs.

    They run the queuectld that is beside this queuectl. Nothing is enabled and
    nothing started: the commands for that are printed. A file that was changed, or
    that is not queuectl's, is replaced only with --force, and the configuration is
    never replaced.

    $ sudo queuectl systemd install       /etc/systemd/system: for the machine
    $ queuectl systemd install --user     ~/.config/systemd/user: for yourself
    """
    target = _target(manager, root)
    program = unit_files.program(target.manager)
    steps = plan.installation(target, program, force=force, backup=backup)
    if not dry_run:
        output.keep()
        plan.write(target, steps)
    following = [] if dry_run else target.to_start(backup=backup)
    if as_json:
        _document(target, steps, following, dry_run=dry_run)
    elif dry_run:
        _show_texts(steps)
    else:
        _print(steps, following)
    if target == Target(Manager.USER, ROOT):
        _note_variables()


@systemd.command(rule=policy.LOOKS)
@_options("Remove files of queuectl also if they were changed.")
def uninstall(
    *, manager: str | None, dry_run: bool, force: bool, root: Path, as_json: bool
) -> None:
    """Remove the units that install wrote; keep the configuration and the jobs.

    The service has to be stopped and disabled before.

    $ sudo systemctl disable --now queuectld.service queuectld.socket
    $ sudo queuectl systemd uninstall
    """
    target = _target(manager, root)
    target.check_at_rest()
    steps = plan.removal(target, force=force)
    removed = any(step.action == "removed" for step in steps)
    if not dry_run:
        output.keep()
        plan.remove(target, steps)
    following = target.to_forget() if removed and not dry_run else []
    if as_json:
        _document(target, steps, following, dry_run=dry_run)
        return
    if not removed:
        output.line("there is nothing to remove")
    elif dry_run:
        output.line("This would be done:")
    _print(steps, following, account=_has_account(target))


@systemd.command("end-jobs", hidden=True, rule=policy.LOOKS)
@click.option("--user", "user", is_flag=True, help="Of your own systemd's service.")
def end_jobs(*, user: bool) -> None:
    """End the jobs that a failed service has left, when it is stopped.

    The unit queuectld-jobs.service runs it.
    """
    ended = orphaned_jobs.end(Manager.USER if user else Manager.SYSTEM)
    if ended:
        output.line(f"{ended} processes were left without a daemon, and were ended")


def _target(manager: str | None, root: Path) -> Target:
    default = Manager.USER if os.geteuid() else Manager.SYSTEM
    return Target(Manager(manager) if manager else default, root.resolve())


def _document(
    target: Target, steps: Sequence[Step], following: Sequence[str], *, dry_run: bool
) -> None:
    output.document(
        {
            "manager": target.manager.value,
            "dry_run": dry_run,
            "files": [step.to_json(whole=dry_run) for step in steps],
            "next": list(following),
        }
    )


def _show_texts(steps: Sequence[Step]) -> None:
    """Write the texts of all files as ``systemctl cat`` does."""
    for step in steps:
        path = text.escape(str(step.path))
        if step.action == "kept":
            output.line(f"# {path} is there and stays as it is.\n")
            continue
        output.line(f"# {path}")
        output.line(step.content.decode())


def _print(
    steps: Sequence[Step], following: Sequence[str], *, account: bool = False
) -> None:
    shown = [(step.action, str(step.path)) for step in steps]
    output.pairs([*shown, *([("left", "user and group queuectl")] if account else [])])
    if following:
        output.line("Next:")
        output.lines(f"  {text.escape(command)}" for command in following)


def _note_variables() -> None:
    """Note that variables here lead commands to another daemon than the service."""
    for name in unit_files.leading_elsewhere():
        output.note(
            f"{name} is set here, and systemd does not know it: commands that have it "
            "talk to another daemon than the service's"
        )


def _has_account(target: Target) -> bool:
    """Tell whether there is the user that systemd-sysusers makes for the service."""
    if target.manager is Manager.USER or target.root != ROOT:
        return False
    return any(user.pw_name == "queuectl" for user in pwd.getpwall())
