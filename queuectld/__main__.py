"""The command ``queuectld``: reads the command line, starts the log and the daemon.

What a person sees of a failure is a line on stderr, never a traceback; what a
developer needs goes into the log.
"""

import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import click

from queuectl_protocol.version import __version__
from queuectld import config, daemon, detach, logs, stdio, systemd
from queuectld.detach import Outcome
from queuectld.journal import JournalHandler

FAILED = 1
BAD_CONFIG = 2

_events = logs.get("main")


def main() -> None:
    """Run the command, and exit with its status."""
    stdio.complete()
    try:
        command(prog_name="queuectld")
    except OSError as error:
        stdio.abandon(sys.stdout)
        what = error.filename or "cannot write"
        _exit(Outcome(FAILED, f"{what}: {error.strerror}"))
    except Exception as error:  # noqa: BLE001 (as in _serve; there is no log yet)
        _exit(Outcome(FAILED, f"{_internal(error)}; the details: {_details(error)}"))


def _details(error: Exception) -> str:
    """Write what a developer needs to a file of its own; return its path."""
    try:
        fd, path = tempfile.mkstemp(prefix="queuectld-", suffix=".log")
        with os.fdopen(fd, "w", errors="backslashreplace") as file:
            traceback.print_exception(error, file=file)
    except OSError as unwritable:
        return f"cannot be kept ({unwritable.strerror})"
    return path


def _internal(error: Exception) -> str:
    return f"internal error: {type(error).__name__}: {error}"


def _table_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(list(config.OPTIONS.values())):
        function = click.option(
            option.flag,
            option.key,
            metavar="|".join(option.choices) or option.kind.name,
            help=f"{option.doc}  [{option.default_text}]",
        )(function)
    return function


@click.command("queuectld", context_settings={"help_option_names": ["-h", "--help"]})
@_table_options
@click.option(
    "--config",
    "config_file",
    metavar="FILE",
    help="read this file  [queuectld.toml in state_dir, where there is one]",
)
@click.option(
    "--detach",
    "detached",
    is_flag=True,
    help="return as soon as the daemon is ready; log to queuectld.log in state_dir",
)
@click.option(
    "--check-config",
    is_flag=True,
    help="print the configuration, and where each value comes from",
)
@click.version_option(__version__, message="%(prog)s %(version)s")
def command(
    config_file: str | None, *, detached: bool, check_config: bool, **flags: str | None
) -> None:
    """Run the queuectl daemon, in the foreground, until SIGTERM or Ctrl-C.

    What has a default in brackets can also be said by a variable (QUEUECTLD_MAX_PAGE)
    or in the file (max_page = 1000). Flags go before variables, variables before the
    file. QUEUECTL_HOME puts everything under one directory.

    Exit status: 0 stopped as asked, 1 failed, 2 bad usage or configuration, 4 another
    daemon holds the state directory.
    """
    sources = config.Sources(
        flags={key: value for key, value in flags.items() if value is not None},
        environ=dict(os.environ),
        config_file=config_file,
        home=_directory(Path.home),
        cwd=_directory(Path.cwd),
        detached=detached,
    )
    try:
        loaded = config.load(sources)
    except config.ConfigError as error:
        _exit(Outcome(BAD_CONFIG, str(error)))
    if check_config:
        click.echo("\n".join(_listing(loaded)))
        return
    if not detached:
        _exit(_serve(loaded, lambda: None))
    died = f"the daemon ended before it was ready; see {loaded.log_file}"
    _exit(detach.run(lambda ready: _serve(loaded, ready), died=died))


def _serve(loaded: config.DaemonConfig, ready: Callable[[], None]) -> Outcome:
    logs.start(
        level=loaded.log_level,
        log_format=loaded.log_format,
        file=loaded.log_file,
        journal=JournalHandler() if _in_journal() else None,
    )
    logs.catch_stray_errors()
    try:
        return Outcome(daemon.run(loaded, ready=ready))
    except daemon.StartError as error:
        return Outcome(error.exit_status, str(error))
    except Exception as error:  # noqa: BLE001 (the last one who can tell a person)
        _events.exception("daemon_failed", error)
        where = loaded.log_file or "the record above"
        return Outcome(FAILED, f"{_internal(error)}; the details: {where}")


def _listing(loaded: config.DaemonConfig) -> Iterator[str]:
    """Yield the lines of a file that would make this configuration."""
    for key, option in config.OPTIONS.items():
        yield f"{option.toml(getattr(loaded, key))}  # {loaded.origins[key]}"
    # A table's lines come last: what follows one belongs to it.
    yield from loaded.roles.toml()


def _directory(find: Callable[[], Path]) -> str:
    """Return a directory, or the root: cwd may be gone, and a uid have no home."""
    try:
        return str(find())
    except (OSError, RuntimeError):
        return "/"


def _in_journal() -> bool:
    return systemd.is_journal(2, os.environ)


def _exit(outcome: Outcome) -> NoReturn:
    priority = "<3>" if _in_journal() else ""
    try:
        for line in outcome.message.splitlines():
            click.echo(f"{priority}queuectld: {line}", err=True)
    except OSError:  # the status tells as well
        stdio.abandon(sys.stderr)
    sys.exit(outcome.status)


if __name__ == "__main__":
    main()
