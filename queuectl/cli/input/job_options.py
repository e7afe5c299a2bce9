"""The options that describe a job, for ``enqueue`` and ``run``, and what they mean.

A new option is a row of ``SHARED``, or of ``ENQUEUE_ONLY``. Its name, or the name after
its flags, is that of the job's field on the wire; ``read`` passes it on.
"""

import os
import stat
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from queuectl import inherit
from queuectl.cli.command_classes import is_exact, options
from queuectl.cli.input import job_json
from queuectl.cli.input.param_types import (
    DURATION,
    EXPIRY,
    INTEGER,
    MOMENT,
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

_option = partial(partial, click.option)
"""A row: the arguments of ``click.option``, some of which a command may replace."""

ENQUEUE_ONLY = (
    _option(
        "--id",
        metavar="ID",
        show_default="a number",
        help="An id of your own; not of digits alone.",
    ),
    _option(
        "--max-retries",
        type=Whole(min=0),
        metavar="N",
        show_default="setting max_retries",
        help="Runs after the first.",
    ),
    _option("--delay", type=DURATION, help="Not before this much time has passed."),
    _option(
        "--at",
        "run_at",
        type=MOMENT,
        help="Not before: 2026-12-01T10:00:00Z, '2026-12-01 10:00' or 10:00.",
    ),
)
"""The options of ``enqueue`` alone, in the order of its help."""

SHARED = (
    _option(
        "--shell",
        type=SHELL,
        show_default="setting shell",
        help="Runs the command, if that is one line: /bin/bash.",
    ),
    _option(
        "-p",
        "--priority",
        type=INTEGER,
        metavar="N",
        show_default="0",
        help="Higher runs first.",
    ),
    _option("--timeout", type=DURATION, help="End a run after this long; 0: never."),
    _option(
        "--cwd",
        metavar="DIR",
        show_default="here",
        help="Where it runs.",
        shell_complete=path_completion("dir"),
    ),
    _option(
        "-e",
        "--env",
        type=VARIABLE,
        metavar="NAME[=VALUE]",
        multiple=True,
        help="Set a variable; NAME alone: to its value here.",
    ),
    _option(
        "--clean-env",
        is_flag=True,
        help="Start with a minimal environment, not this one.",
    ),
    _option(
        "--expires",
        type=EXPIRY,
        help="Cancel it if it has not started by then: 10m, 22:00 or a date.",
    ),
    _option("--label", metavar="TEXT", help="A name for people."),
    _option(
        "--nice",
        type=INTEGER,
        metavar="N",
        show_default="setting nice",
        help="Give way to others: added to the niceness, -20 to 19.",
    ),
    _option(
        "--memory-max",
        type=SIZE,
        show_default="setting memory_max",
        help="Kill it if its processes together need more; 0: no limit.",
    ),
    _option(
        "--cpu-quota",
        type=PERCENT,
        show_default="setting cpu_quota",
        help="Of one processor, for all its processes: 20%, 150%; 0: no limit.",
    ),
    _option(
        "--tasks-max",
        type=Whole(min=0),
        metavar="N",
        show_default="setting tasks_max",
        help="Processes and threads at a time; 0: no limit.",
    ),
    _option(
        "--rlimit",
        "rlimits",
        type=RLIMIT,
        metavar="NAME=VALUE",
        multiple=True,
        help="Limit of each process: nofile=1024, cpu=10m, fsize=1G, core=infinity.",
    ),
)
"""The options of both ``enqueue`` and ``run``, in the order of their help."""


class GivenOptions(NamedTuple):
    """What the options say.

    Attributes:
        fields: of the job, by their names on the wire.
        variables: added to the job's environment.
        clean_env: the job does not inherit this process's environment.
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
        """Return the fields that a job inherits from this process: cwd, umask, env.

        Args:
            greeting: the daemon's. A job of another user's daemon inherits nothing.
            job: its own fields.
            place: where the daemon is.

        Raises:
            CurrentDirectoryError: the job needs this directory, which was removed.
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
    """Return the environment that this user's daemon gives to a job without one."""
    import pwd  # noqa: PLC0415 - for --env with --clean-env alone

    from queuectl_protocol import environment  # noqa: PLC0415 - as above

    try:
        return environment.minimal(pwd.getpwuid(uid))
    except KeyError:
        return environment.minimal(None)


def add(*, timeout: str, enqueue: bool = False) -> Callable[[F], F]:
    """Return a decorator that adds the options.

    Args:
        timeout: what is shown as the default of ``--timeout``.
        enqueue: with those of ``enqueue`` alone.
    """
    default = {"--timeout": {"show_default": timeout}}
    rows = (*(ENQUEUE_ONLY if enqueue else ()), *SHARED)
    return options(*(row(**default.get(row.args[0], {})) for row in rows))


def read(
    *,
    env: tuple[tuple[str, str], ...],
    clean_env: bool,
    cwd: str | None,
    rlimits: tuple[tuple[str, int], ...] = (),
    **fields: Any,
) -> GivenOptions:
    """Return what the options say; one that is not given is None."""
    if fields.get("delay") is not None and fields.get("run_at") is not None:
        raise click.UsageError("give --delay or --at, not both")
    if rlimits:
        fields["rlimits"] = dict(rlimits)
    if cwd is not None:
        fields["cwd"] = inherit.absolute(cwd)
    if not isinstance(fields.get("expires", ""), str):
        fields["expires_in"] = fields.pop("expires")
    given = {name: value for name, value in fields.items() if value is not None}
    return GivenOptions(given, dict(env), clean_env)


def note_missing_directory(job: Mapping[str, Any]) -> None:
    """Note that the job's directory does not exist, if this process can see that."""
    cwd = job.get("cwd")
    if not isinstance(cwd, str):
        return
    try:
        missing = not stat.S_ISDIR(os.stat(cwd).st_mode)  # noqa: PTH116 - pathlib is slow
    except (FileNotFoundError, NotADirectoryError):
        missing = True
    except (OSError, ValueError):
        return  # the job's user may be allowed to look
    if missing:
        output.note(f"there is no directory {cwd} yet; without it the job fails")


def note_missing_shell(shell: object, uid: int, what: str = "the job fails") -> None:
    """Note that a shell does not exist, if this process can see that.

    Args:
        shell: its path.
        uid: of the daemon; another user's daemon may see other files.
        what: happens without the shell.
    """
    if not isinstance(shell, str) or uid != os.geteuid():
        return
    try:
        os.stat(shell)  # noqa: PTH116 - pathlib is slow
    except (FileNotFoundError, NotADirectoryError):
        output.note(f"there is no shell {shell} yet; without it {what}")
    except (OSError, ValueError):
        return  # the job's user may be allowed to look


def read_command(line: str | None, words: tuple[str, ...]) -> dict[str, Any]:
    """Return the job that ``-c LINE`` or the arguments mean.

    Arguments after ``--`` are a program and its arguments, also a single one.

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
