"""The root command, and ``main``: turns every error into a message and an exit status.

A new command is a file in ``commands`` and a row in ``SECTIONS``.
"""

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from errno import EPIPE
from typing import NoReturn

import click

from queuectl.cli.command_classes import LazyGroup
from queuectl.cli.connector import Connector
from queuectl.cli.exits import Status, of_error
from queuectl.cli.input.param_types import path_completion
from queuectl.cli.view import output, text
from queuectl.errors import QueuectlError
from queuectl_protocol import __version__

COMPLETE = "_QUEUECTL_COMPLETE"
"""The variable that a shell sets to ask for completions; click's name for it."""

SECTIONS = {
    "Jobs": {
        "enqueue": "Put a job into the queue and print its id.",
        "run": "Run a command as a job, and end with its exit code.",
        "list": "List jobs, newest first.",
        "show": "Show a job with all its attempts.",
        "logs": "Write a job's output.",
        "wait": "Wait until jobs have ended.",
        "cancel": "Cancel jobs that wait or run.",
        "retry": "Run jobs again that have ended, or wait for their retry.",
        "start": "Let jobs run now that wait for their time.",
        "dlq": "The dead letter queue: jobs that failed for good.",
        "delete": "Delete certain jobs that have ended, with their output.",
        "prune": "Delete jobs that have ended, with their output.",
    },
    "Queue": {
        "status": "Count jobs and workers, and tell which queue it is.",
        "stats": "Tell how jobs have done: counts, success rate, run and wait times.",
        "config": "Settings of jobs: retries, timeout, backoff, retention.",
    },
    "Workers and daemon": {
        "worker": "Workers: each runs one job at a time.",
        "daemon": "The daemon that keeps the queue and its workers.",
        "doctor": "Examine this installation, and the daemon if it runs.",
        "health": "Tell in one line whether the queue is well, for a monitor.",
        "backup": "Copy the database to FILE, while work goes on.",
        "systemd": "Run the daemon as a service of systemd.",
    },
    "Tools": {
        "completion": (
            "Print a completion script: commands, options, states, job ids, settings."
        ),
        "rpc": "Call a method of the protocol and print what comes back as JSON.",
    },
}
"""Title -> command -> its first sentence, as ``--help`` lists them. To load every
command for it takes longer than most commands do."""

EPILOG = """\
\b
Exit status:
  0      done
  1      the operation failed: no such job, bad JSON, refused
  2      a mistake in the command line: bad option, state name, key or value
  3      no daemon is running, and none could be started
  4      done, but the result could not be written to stdout: stderr has it
`run`, `wait` and `enqueue --wait` end with the job's own exit code, or with
  124    --timeout or the job's own timeout ran out
  127    the job could not be started
  128+n  it died of signal n
  130    it was cancelled

\b
Which queue:
  option        --user, --system or --socket; else
  environment   QUEUECTL_SOCKET, else QUEUECTL_HOME; else
  your own      if there is one; else
  the system's  if you may use it; else
  your own      begun by the first command that puts something in
`queuectl status` tells which one it is.

\b
Environment:
  QUEUECTL_HOME         your own queue is in this directory; first in a job
  QUEUECTL_SOCKET       the daemon's socket, as --socket; jobs have it
  QUEUECTL_AUTOSTART=0  start no daemon, as --no-autostart
  NO_COLOR              no colours
"""


@click.command(
    cls=LazyGroup,
    package="queuectl.cli.commands",
    sections=SECTIONS,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("--user", is_flag=True, help="Your own queue.")
@click.option("--system", is_flag=True, help="The queue of the system's service.")
@click.option(
    "--socket",
    metavar="PATH",
    help="The queue whose daemon listens there.",
    shell_complete=path_completion("file"),
)
@click.option(
    "--autostart/--no-autostart",
    envvar="QUEUECTL_AUTOSTART",
    default=True,
    show_default=True,
    help="Start the daemon when none answers, for a command that needs it.",
)
@click.version_option(__version__, prog_name="queuectl", message="%(prog)s %(version)s")
@click.pass_context
def root(
    ctx: click.Context,
    /,
    *,
    user: bool,
    system: bool,
    socket: str | None,
    autostart: bool,
) -> None:
    """A durable job queue for shell commands.

    $ queuectl worker start --count 2     two workers, until you stop them
    $ queuectl enqueue 'make test'        a job; its id is printed
    $ queuectl logs --follow 1            its output, as it comes
    $ queuectl run -- make -j4            all of it in one, like running it here
    """
    queue = _selected_queue(user=user, system=system, socket=socket)
    if queue:
        output.select(f"--{queue}")
    elif socket:
        output.select("--socket", socket)
    ctx.obj = Connector(socket, autostart, queue)


def _selected_queue(*, user: bool, system: bool, socket: str | None) -> str | None:
    """Return ``user`` or ``system`` if one of them is selected.

    Raises:
        click.UsageError: more than one of the options was given.
    """
    given = {"user": user, "system": system, "socket": socket}
    asked = [name for name, value in given.items() if value]
    if len(asked) > 1:
        raise click.UsageError(f"give --{asked[0]} or --{asked[1]}, not both")
    return asked[0] if asked and not socket else None


def main() -> NoReturn:
    """Run the command line and exit with its status."""
    # Everything is written and closed. The interpreter's own way out, which tears down
    # module by module, takes a tenth of a short command's time.
    os._exit(run())


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command, flush stdout and return the exit status."""
    output.prepare()
    status: int = Status.OK
    try:
        status = _run(arguments)
        output.flush()
    except output.StdoutError as error:
        status = _stdout_failed(error.error, status)
    except OSError as error:
        if error.filename is None:  # click could not write a help text
            _abandon_stdout()
        what = error.filename or "cannot write"
        output.note(f"queuectl: {what}: {error.strerror}")
        status = Status.FAILED
    except Exception as error:  # noqa: BLE001 - the last place that can report it
        from queuectl.cli import crash_report  # noqa: PLC0415 - hardly ever used

        output.note(crash_report.report(error))
        status = Status.FAILED
    return status


def _abandon_stdout() -> None:
    """Drop what stdout still holds and cannot write, so that the exit does not fail."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.stdout.flush()


def _stdout_failed(error: OSError, status: int) -> int:
    """Write the result of a change to stderr, as stdout failed; return the status.

    A command that only looks ends as any program in a pipe does.
    """
    _abandon_stdout()
    if done := output.unwritten():
        output.note(
            f"queuectl: this was done, and cannot be written to stdout "
            f"({error.strerror}):\n{done.rstrip()}"
        )
        return status or Status.UNSAID
    if error.errno == EPIPE:
        from queuectl.cli.signals import die_of  # noqa: PLC0415 - seldom needed

        die_of(signal.SIGPIPE)
    output.note(f"queuectl: cannot write: {error.strerror}")
    return status or Status.FAILED


def _run(arguments: Sequence[str] | None) -> int:
    if COMPLETE in os.environ:
        from queuectl.cli.input.completion import answer  # noqa: PLC0415 - only shells ask

        if answer.wanted():
            answer.write(root)
            return Status.OK
    try:
        status = root.main(arguments, prog_name="queuectl", standalone_mode=False)
    except click.UsageError as error:
        _show(error)
        return error.exit_code
    except click.ClickException as error:
        output.note(f"queuectl: {text.brief(error.format_message())}")
        return error.exit_code
    except click.Abort:
        return Status.FAILED
    except QueuectlError as error:
        output.fault("queuectl", error)
        return of_error(error)
    return status if isinstance(status, int) else Status.OK


def _show(error: click.UsageError) -> None:
    """Show a mistake; its message repeats what was typed, which may be anything."""
    message = text.brief(error.message)
    shown = "\n".join(map(text.escape, message.split("\n")))
    if shown != error.message:
        error = click.UsageError(shown, error.ctx)
    with suppress(OSError):
        error.show()
