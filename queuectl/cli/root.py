"""The root command and the way out: every error becomes a message and a status here."""

import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from queuectl.cli import output
from queuectl.cli.command import LazyGroup
from queuectl.cli.connector import Connector
from queuectl.cli.exits import Status, die_of, of_error
from queuectl.errors import QueuectlError
from queuectl_protocol import __version__

SECTIONS = {
    "Jobs": {
        "enqueue": (
            "queuectl.cli.enqueue:enqueue",
            "Put a job into the queue and print its id.",
        ),
        "run": (
            "queuectl.cli.run:run",
            "Run a command as a job, and end with its exit code.",
        ),
        "list": ("queuectl.cli.jobs:list_jobs", "List jobs, newest first."),
        "show": ("queuectl.cli.jobs:show", "Show a job with all its attempts."),
        "logs": ("queuectl.cli.logs:logs", "Write a job's output."),
        "wait": ("queuectl.cli.waiting:wait", "Wait until jobs have ended."),
        "cancel": ("queuectl.cli.change:cancel", "Cancel jobs that wait or run."),
        "retry": (
            "queuectl.cli.change:retry",
            "Run jobs again that have ended, or fail and wait.",
        ),
        "start": (
            "queuectl.cli.change:start",
            "Let jobs run now that wait for their time.",
        ),
        "dlq": (
            "queuectl.cli.dlq:dlq",
            "The dead letter queue: jobs that failed for good.",
        ),
        "delete": (
            "queuectl.cli.change:delete",
            "Delete certain jobs that have ended, with their output.",
        ),
        "prune": (
            "queuectl.cli.change:prune",
            "Delete jobs that have ended, with their output.",
        ),
    },
    "Queue": {
        "status": (
            "queuectl.cli.status:status",
            "Count the jobs in each state, and the workers.",
        ),
        "stats": (
            "queuectl.cli.stats:stats",
            "Tell how jobs have done: counts, success rate, run and wait times.",
        ),
        "config": (
            "queuectl.cli.config:config",
            "Settings of jobs: retries, timeout, backoff, retention.",
        ),
    },
    "Workers and daemon": {
        "worker": (
            "queuectl.cli.workers:worker",
            "Workers: each runs one job at a time.",
        ),
        "daemon": (
            "queuectl.cli.daemon:daemon",
            "The daemon that keeps the queue and its workers.",
        ),
        "doctor": (
            "queuectl.cli.doctor:doctor",
            "Examine this installation, and the daemon if it runs.",
        ),
        "health": (
            "queuectl.cli.health:health",
            "Tell in one line whether the queue is well, for a monitor.",
        ),
        "backup": (
            "queuectl.cli.backup:backup",
            "Copy the database to FILE, while work goes on.",
        ),
        "systemd": (
            "queuectl.cli.systemd.commands:systemd",
            "Run the daemon as a service of systemd.",
        ),
    },
    "Tools": {
        "completion": (
            "queuectl.cli.completion:completion",
            "Print a completion script: commands, options, states, job ids, settings.",
        ),
        "rpc": (
            "queuectl.cli.rpc:rpc",
            "Call a method of the protocol and print what comes back as JSON.",
        ),
    },
}
"""Title -> name -> where the command is, and its first sentence: ``--help`` lists them
all, and to load them all would take longer than most commands do."""

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


def main() -> NoReturn:
    """Run the command line and exit with its status."""
    # All is written and closed. What else the interpreter would tidy up, module by
    # module, the kernel takes back at once: a tenth of a short command's time.
    os._exit(run())


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command and write out what it said; return its status."""
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
    return status


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
