"""The command ``queuectld``: reads the command line, starts the log and the daemon.

After a failure a person sees a line on stderr, never a traceback; the traceback goes
into the log.
"""

import contextlib
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import click

from queuectl_protocol.version import __version__
from queuectld import config, daemon
from queuectld.host import detach, logs, sd_notify, stdio, systemd_unit
from queuectld.host.detach import ServeOutcome
from queuectld.host.journal import JournalHandler
from queuectld.server.connection import startup_refusal

FAILED = 1
BAD_CONFIG = 2
UNKNOWN_NAME = 5
"""A role is given to a name that is not known here, perhaps not yet: a directory
service may be late. Unlike after a mistake, a retry makes sense."""

_events = logs.get("main")


def main() -> None:
    """Run the command, and exit with its status."""
    stdio.open_closed()
    try:
        command(prog_name="queuectld")
    except OSError as error:
        stdio.discard(sys.stdout)
        what = error.filename or "cannot write"
        _exit(ServeOutcome(FAILED, f"{what}: {error.strerror}"))
    except Exception as error:  # noqa: BLE001 (as in _serve; there is no log yet)
        _exit(
            ServeOutcome(FAILED, f"{_internal(error)}; the details: {_details(error)}")
        )


def _details(error: Exception) -> str:
    """Write the traceback to a file of its own; return the path of the file."""
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
    help="print the configuration, where each value comes from, and the directories "
    "that would be used",
)
@click.option(
    "--service",
    "of_service",
    is_flag=True,
    help="with --check-config: as the system's service has it, by its unit's variables",
)
@click.version_option(__version__, message="%(prog)s %(version)s")
def command(
    config_file: str | None,
    *,
    detached: bool,
    check_config: bool,
    of_service: bool,
    **flags: str | None,
) -> None:
    """Run the queuectl daemon, in the foreground, until SIGTERM or Ctrl-C.

    What has a default in brackets can also be said by a variable (QUEUECTLD_MAX_PAGE)
    or in the file (max_page = 1000). Flags go before variables, variables before the
    file. QUEUECTL_HOME puts everything under one directory.

    Exit status: 0 stopped as asked, 1 failed, 2 bad usage or configuration, 4 another
    daemon holds the state directory, 5 a user or group in [roles] is not known here, or
    not yet, 6 the database is of a newer queuectld.
    """
    if of_service and not check_config:
        raise click.UsageError("--service is for --check-config")
    sources = config.Sources(
        flags={key: value for key, value in flags.items() if value is not None},
        environ=_environment(of_service=of_service),
        config_file=config_file,
        home=_directory(Path.home),
        cwd=_directory(Path.cwd),
        detached=detached,
    )
    try:
        loaded = config.load(sources)
    except config.ConfigError as error:
        status = UNKNOWN_NAME if error.may_pass else BAD_CONFIG
        if not check_config:
            _refuse_waiting()
        _exit(ServeOutcome(status, str(error)))
    if check_config:
        click.echo("\n".join(_listing(loaded)))
        return
    if not detached:
        outcome = _serve(loaded, lambda: None)
        _refuse_waiting()
        _exit(outcome)
    died = f"the daemon ended before it was ready; see {loaded.log_file}"
    _exit(detach.run(lambda ready: _serve(loaded, ready), died=died))


def _serve(loaded: config.DaemonConfig, ready: Callable[[], None]) -> ServeOutcome:
    logs.start(
        level=loaded.log_level,
        log_format=loaded.log_format,
        file=loaded.log_file,
        journal=JournalHandler() if _in_journal() else None,
    )
    logs.catch_stray_errors()
    try:
        return ServeOutcome(daemon.run(loaded, ready=ready))
    except daemon.StartError as error:
        return ServeOutcome(error.exit_status, str(error))
    except Exception as error:  # noqa: BLE001 (the last place that can report it)
        _events.exception("daemon_failed", error)
        where = loaded.log_file or "the record above"
        return ServeOutcome(FAILED, f"{_internal(error)}; the details: {where}")


def _listing(loaded: config.DaemonConfig) -> Iterator[str]:
    """Yield the lines of a file that makes this configuration."""
    for key, option in config.OPTIONS.items():
        yield f"{option.toml(getattr(loaded, key))}  # {loaded.origins[key]}"
    # A table comes last: lines after it would belong to it.
    yield from loaded.roles.toml()
    yield ""
    yield f"# as uid {os.geteuid()}:"
    for title, path in _places(loaded):
        yield f"# {title:<13} {path}"


def _places(loaded: config.DaemonConfig) -> Iterator[tuple[str, str]]:
    """Yield the places that would be used."""
    yield "state", _seen(loaded.state_dir)
    yield "database", _seen(loaded.database)
    yield "output", _seen(loaded.output_dir)
    yield "runtime", _seen(loaded.runtime_dir)
    yield "socket", _seen(loaded.socket)
    file = loaded.config_file
    yield "configuration", _seen(file) if file else "no file"


def _seen(path: Path) -> str:
    """Return a path with its owner and mode, or the reason why it has none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return f"{path} (is not there yet)"
    except OSError as error:
        return f"{path} ({(error.strerror or str(error)).lower()})"
    return f"{path} (uid {found.st_uid}, mode {found.st_mode & 0o7777:04o})"


def _refuse_waiting() -> None:
    """Refuse the clients that wait at sockets of systemd for a daemon that has failed.

    A daemon that has served has taken its sockets, and none are left here.
    """
    with contextlib.suppress(sd_notify.ActivationError):
        passed = sd_notify.take_listeners(os.environ, os.getpid())
        startup_refusal.refuse_waiting(each.socket for each in passed)


def _environment(*, of_service: bool) -> dict[str, str]:
    if not of_service:
        return dict(os.environ)
    ours = {option.variable for option in config.OPTIONS.values()} | {
        "QUEUECTL_HOME",
        "QUEUECTL_SOCKET",
    }
    own = {name: value for name, value in os.environ.items() if name not in ours}
    try:
        return own | dict(systemd_unit.environment())
    except systemd_unit.ServiceError as error:
        _exit(ServeOutcome(FAILED, str(error)))


def _directory(find: Callable[[], Path]) -> str:
    """Return a directory, or the root if cwd is deleted or the user has no home."""
    try:
        return str(find())
    except (OSError, RuntimeError):
        return "/"


def _in_journal() -> bool:
    return sd_notify.is_journal(2, os.environ)


def _exit(outcome: ServeOutcome) -> NoReturn:
    priority = "<3>" if _in_journal() else ""
    try:
        for line in outcome.message.splitlines():
            click.echo(f"{priority}queuectld: {line}", err=True)
    except OSError:  # the status tells as well
        stdio.discard(sys.stderr)
    sys.exit(outcome.status)


if __name__ == "__main__":
    main()
