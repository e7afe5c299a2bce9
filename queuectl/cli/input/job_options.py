"""The options that describe a job, for ``enqueue`` and ``run``, and what they mean."""

import os
import stat
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from queuectl import inherit
from queuectl.cli.command_classes import is_exact
from queuectl.cli.input import job_json
from queuectl.cli.input.param_types import (
    DURATION,
    INTEGER,
    PERCENT,
    RLIMIT,
    SHELL,
    SIZE,
    VARIABLE,
    Whole,
    path_completion,
)
from queuectl.cli.view import output

if TYPE_CHECKING:
    from queuectl.paths import Place

F = TypeVar("F", bound=Callable[..., Any])


class JobOptions(NamedTuple):
    """What the options say.

    Attributes:
        fields: of the job, by their names on the wire.
        variables: to be set in its environment.
        clean_env: whether it starts without this environment.
    """

    fields: dict[str, Any]
    variables: dict[str, str]
    clean_env: bool

    def inherited(
        self,
        greeting: Mapping[str, Any],
        job: Mapping[str, Any],
        place: "Place | None" = None,
    ) -> dict[str, Any]:
        """Return what a job of this daemon gets from here: cwd, umask, env.

        Args:
            greeting: the daemon's: from another user a job inherits nothing.
            job: its own fields.
            place: where the daemon is.

        Raises:
            CurrentDirectoryError: the job needs a directory which is gone.
        """
        found = inherit.for_daemon(greeting, place)
        inherit.check(job, found)
        if self.clean_env:
            found.pop("env", None)
        if self.variables:
            env = found.get("env") or _minimal(greeting["uid"])
            found["env"] = {**env, **self.variables}
        return found

    def added_to(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """Return the job with the fields that the options set.

        Raises:
            click.UsageError: the job sets one of them too.
        """
        fields = {*self.fields, *(["env"] if self.variables else [])}
        if twice := sorted(fields & job.keys()):
            raise click.UsageError(
                f"{', '.join(twice)}: given in the JSON and by an option; choose one"
            )
        if "shell" in self.fields and isinstance(job.get("command"), list):
            raise click.UsageError(
                "--shell is for a command that is one line: several words are run as "
                "they are, without a shell"
            )
        return {**job, **self.fields}


def _minimal(uid: int) -> dict[str, str]:
    """Return the environment that the daemon of this user gives a job without one."""
    import pwd  # noqa: PLC0415 - for a variable beside an environment of nobody

    from queuectl_protocol import environment  # noqa: PLC0415 - as above

    try:
        return environment.minimal(pwd.getpwuid(uid))
    except KeyError:
        return environment.minimal(None)


def from_options(
    *,
    env: tuple[tuple[str, str], ...],
    clean_env: bool,
    cwd: str | None,
    rlimits: tuple[tuple[str, int], ...] = (),
    **fields: Any,
) -> JobOptions:
    """Return what the options of ``job_options`` say; one not given is None."""
    if rlimits:
        fields["rlimits"] = dict(rlimits)
    if cwd is not None:
        fields["cwd"] = inherit.absolute(cwd)
    given = {name: value for name, value in fields.items() if value is not None}
    return JobOptions(given, dict(env), clean_env)


def add(*, timeout: str) -> Callable[[F], F]:
    """Add the options that ``enqueue`` and ``run`` have in common.

    Args:
        timeout: what a job has that says nothing of it, in words.
    """
    options = (
        click.option(
            "--shell",
            type=SHELL,
            show_default="setting shell",
            help="Runs the command, if that is one line: /bin/bash.",
        ),
        click.option(
            "-p",
            "--priority",
            type=INTEGER,
            metavar="N",
            show_default="0",
            help="Higher runs first.",
        ),
        click.option(
            "--timeout",
            type=DURATION,
            show_default=timeout,
            help="End a run after this long; 0: never.",
        ),
        click.option(
            "--cwd",
            metavar="DIR",
            show_default="here",
            help="Where it runs.",
            shell_complete=path_completion("dir"),
        ),
        click.option(
            "-e",
            "--env",
            type=VARIABLE,
            metavar="NAME[=VALUE]",
            multiple=True,
            help="Set a variable; NAME alone: to its value here.",
        ),
        click.option(
            "--clean-env",
            is_flag=True,
            help="Start with a minimal environment, not this one.",
        ),
        click.option("--label", metavar="TEXT", help="A name for people."),
        click.option(
            "--nice",
            type=INTEGER,
            metavar="N",
            show_default="setting nice",
            help="Give way to others: added to the niceness, -20 to 19.",
        ),
        click.option(
            "--memory-max",
            type=SIZE,
            show_default="setting memory_max",
            help="Kill it if all its processes need more; 0: no limit.",
        ),
        click.option(
            "--cpu-quota",
            type=PERCENT,
            show_default="setting cpu_quota",
            help="Of one processor, for all its processes: 20%, 150%; 0: no limit.",
        ),
        click.option(
            "--tasks-max",
            type=Whole(min=0),
            metavar="N",
            show_default="setting tasks_max",
            help="Processes and threads at a time; 0: no limit.",
        ),
        click.option(
            "--rlimit",
            "rlimits",
            type=RLIMIT,
            metavar="NAME=VALUE",
            multiple=True,
            help="Of each process: nofile=1024, cpu=10m, fsize=1G, core=infinity.",
        ),
    )

    def add(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return add


def remark_directory(job: Mapping[str, Any]) -> None:
    """Say that the directory of a job is not there, if one can tell."""
    cwd = job.get("cwd")
    if not isinstance(cwd, str):
        return
    try:
        missing = not stat.S_ISDIR(os.stat(cwd).st_mode)  # noqa: PTH116 - pathlib is slow
    except (FileNotFoundError, NotADirectoryError):
        missing = True
    except (OSError, ValueError):
        return  # it may be open to whoever the job runs as
    if missing:
        output.note(f"there is no directory {cwd} yet; without it the job fails")


def remark_shell(shell: object, uid: int, what: str = "the job fails") -> None:
    """Say that a shell is not there, if one can tell.

    Args:
        shell: its path.
        uid: of the daemon; another user's may see what is not to be seen from here.
        what: happens without it.
    """
    if not isinstance(shell, str) or uid != os.geteuid():
        return
    try:
        os.stat(shell)  # noqa: PTH116 - pathlib is slow
    except (FileNotFoundError, NotADirectoryError):
        output.note(f"there is no shell {shell} yet; without it {what}")
    except (OSError, ValueError):
        return  # it may be open to whoever the job runs as


def read_command(line: str | None, words: tuple[str, ...]) -> dict[str, Any]:
    """Return the job that ``-c LINE`` or the arguments mean.

    Arguments after ``--`` are a program and its arguments, be it a single word.

    Raises:
        click.UsageError: there is no command, or two.
        click.ClickException: it is bad JSON.
    """
    if line is not None and words:
        raise click.UsageError("give the command by -c or as arguments, not both")
    if line is not None:
        return {"command": line}
    if not words:
        raise click.UsageError(
            "there is no command; give it in quotes ('sleep 2 && echo hi') "
            "or after -- (-- sleep 2)"
        )
    if is_exact():
        return {"command": list(words)}
    try:
        return job_json.command(words)
    except ValueError as error:
        raise click.ClickException(
            f"{error}; a shell line that begins with {{ is given with -c"
        ) from None
