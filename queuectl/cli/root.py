"""The root command and the way out: every error becomes a message and a status here."""

import signal
import sys
from collections.abc import Sequence

import click

from queuectl.cli import output
from queuectl.cli.command import LazyGroup
from queuectl.cli.connector import Connector
from queuectl.cli.exits import Status, die_of, of_error
from queuectl.errors import QueuectlError
from queuectl_protocol import __version__

SECTIONS = {
    "Jobs": {
        "enqueue": "queuectl.cli.enqueue:enqueue",
        "run": "queuectl.cli.run:run",
        "list": "queuectl.cli.jobs:list_jobs",
        "show": "queuectl.cli.jobs:show",
        "logs": "queuectl.cli.logs:logs",
        "wait": "queuectl.cli.waiting:wait",
        "cancel": "queuectl.cli.change:cancel",
        "retry": "queuectl.cli.change:retry",
        "dlq": "queuectl.cli.dlq:dlq",
        "prune": "queuectl.cli.change:prune",
    },
    "Queue": {
        "status": "queuectl.cli.status:status",
        "stats": "queuectl.cli.stats:stats",
        "config": "queuectl.cli.config:config",
    },
    "Workers and daemon": {
        "worker": "queuectl.cli.workers:worker",
        "daemon": "queuectl.cli.daemon:daemon",
        "doctor": "queuectl.cli.doctor:doctor",
        "backup": "queuectl.cli.backup:backup",
    },
    "Tools": {
        "completion": "queuectl.cli.completion:completion",
        "rpc": "queuectl.cli.rpc:rpc",
    },
}

EPILOG = """\
\b
Exit status:
  0      done
  1      the operation failed: no such job, bad JSON, refused
  2      a mistake in the command line: bad option, state name, key or value
  3      no daemon is running, and none could be started
`run`, `wait` and `enqueue --wait` end with the job's own exit code, or with
  124    --timeout or the job's own timeout ran out
  127    the job could not be started
  128+n  it died of signal n
  130    it was cancelled

\b
Environment:
  QUEUECTL_HOME         one directory for everything: database, socket, log
  QUEUECTL_SOCKET       the daemon's socket, as --socket
  QUEUECTL_AUTOSTART=0  start no daemon, as --no-autostart
  NO_COLOR              no colours
"""


@click.command(
    cls=LazyGroup,
    sections=SECTIONS,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--socket",
    metavar="PATH",
    help="The daemon's socket.",
)
@click.option(
    "--autostart/--no-autostart",
    envvar="QUEUECTL_AUTOSTART",
    default=True,
    show_default=True,
    help="Start the daemon when none answers.",
)
@click.version_option(__version__, prog_name="queuectl", message="%(prog)s %(version)s")
@click.pass_context
def root(ctx: click.Context, socket: str | None, autostart: bool) -> None:
    """A durable job queue for shell commands.

    $ queuectl worker start --count 2     two workers, until you stop them
    $ queuectl enqueue 'make test'        a job; its id is printed
    $ queuectl logs --follow 1            its output, as it comes
    $ queuectl run -- make -j4            all of it in one, like running it here
    """
    ctx.obj = Connector(socket, autostart)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    # Ctrl-C kills queuectl as it kills cp or grep: the daemon cleans up after a
    # client, and a shell loop stops only if its command died of the signal. Commands
    # that have something to end (run, worker start --foreground) handle it themselves.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    output.prepare()
    try:
        status = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        die_of(signal.SIGPIPE)
    except OSError as error:
        if error.filename is None:
            output.abandon()
        what = error.filename or "cannot write"
        output.note(f"queuectl: {what}: {error.strerror}")
        status = Status.FAILED
    sys.exit(status)


def _run(arguments: Sequence[str] | None) -> int:
    try:
        status = root.main(arguments, prog_name="queuectl", standalone_mode=False)
    except click.UsageError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        output.note(f"queuectl: {error.format_message()}")
        return error.exit_code
    except click.Abort:
        return Status.FAILED
    except QueuectlError as error:
        output.fault("queuectl", error)
        return of_error(error)
    return status if isinstance(status, int) else Status.OK
