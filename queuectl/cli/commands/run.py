"""``run``: a job as if it ran here: its output, its exit code, and Ctrl-C for it."""

import os
import signal
import sys
from errno import EPIPE
from functools import partial
from typing import Any

import click

from queuectl.cli import exits
from queuectl.cli.command_classes import PassingCommand
from queuectl.cli.commands import enqueue
from queuectl.cli.commands.logs import write
from queuectl.cli.connector import Connector, pass_connector
from queuectl.cli.input import job_options, unread_stdin
from queuectl.cli.input.param_types import word_completion
from queuectl.cli.requests.follow import Follower
from queuectl.cli.requests.waiting_notice import Patience
from queuectl.cli.view import output, throttled_notes
from queuectl.errors import InvalidStateError, QueuectlError, RequestError
from queuectl.sync.session import Session

NO_STDIN = (
    "the job does not get this standard input: its own is empty; "
    "with < /dev/null or --quiet this is not remarked"
)

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command(cls=PassingCommand)
@click.argument(
    "words",
    metavar="COMMAND | -- PROGRAM ARG...",
    nargs=-1,
    shell_complete=word_completion,
)
@click.option("-c", "line", metavar="COMMAND", help="A shell command line.")
@job_options.add(timeout="none")
@click.option("-q", "--quiet", is_flag=True, help="Remark nothing on stderr.")
@pass_connector
def run(
    connector: Connector,
    /,
    *,
    words: tuple[str, ...],
    line: str | None,
    quiet: bool,
    **options: Any,
) -> int:
    """Run a command as a job, and end with its exit code.

    The job has no retries, and no timeout unless one is given; `dlq retry --all`
    leaves it out. Its output is written as it comes: its stdout to stdout, its stderr
    to stderr. Its stdin is empty. Ctrl-C cancels it.

    It waits its turn like any job. Only where no workers are, one is started for it,
    which runs nothing else and ends with it. In a job it needs a worker beside that of
    the job: with none it never begins.

    $ queuectl run 'make test'
    $ queuectl run -p 10 --timeout 10m -- rsync -a here host:there
    """
    wanted = job_options.from_options(**options)
    job = wanted.added_to(job_options.read_command(line, words))
    job |= {"max_retries": 0, "foreground": True}
    if job.get("timeout") is None:
        job["timeout"] = 0
    canceller = Canceller(connector)
    with canceller:
        job = enqueue.store(connector, job, wanted, "error", quiet=quiet)["job"]
        canceller.found(job["id"])
        warned = quiet or _warn_of_stdin(connector)
        follower, job = _follow(connector, job["id"], quiet=quiet)
    output.flush()
    for sentence in follower.missing:
        output.note(sentence)
    if not warned:
        _warn_of_stdin(connector)  # it may have come later
    # A shell loop stops only when its command died of the signal, and not when it
    # ended with 130; a program that started us wants the documented status.
    if canceller.received == signal.SIGINT and os.isatty(sys.stdin.fileno()):
        exits.die_of(signal.SIGINT)
    _tell_what_the_job_cannot(job)
    return exits.of_job(job)


def _tell_what_the_job_cannot(job: dict[str, Any]) -> None:
    """Say why it ended, where its own output does not: never started, killed ..."""
    if job["state"] == "dead" and job["reason"] != "exit" and job["message"]:
        output.note(f"queuectl: {job['message']}")


def _follow(
    connector: Connector, job_id: str, *, quiet: bool
) -> tuple[Follower, dict[str, Any]]:
    with Patience(connector, job_id, quiet=quiet) as patience:
        follower = Follower(
            job_id,
            write,
            connected=partial(_see_to_a_worker, job_id),
            begun=patience.begun,
        )
        return follower, follower.follow(connector)


def _see_to_a_worker(job_id: str, client: Session) -> None:
    """Have a worker for this job alone where there is none; it ends with ``client``."""
    try:
        client.call("workers.reserve", {"id": job_id})
    except RequestError:
        # Who may only submit may start no workers: it waits for somebody who may.
        return


def _warn_of_stdin(connector: Connector) -> bool:
    """Say that the job does not get what was piped in here; return whether it is so."""
    dropped = unread_stdin.identity()
    if dropped is None:
        return False
    throttled_notes.note(connector, "stdin", NO_STDIN, about=dropped)
    return True


class Canceller:
    """Cancels the job when this program is told to end, and lets it end first.

    Attributes:
        received: the signal that told so.
    """

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self._job_id: str | None = None
        self.received: int | None = None

    def __enter__(self) -> None:
        for number in SIGNALS:
            # One that our parent had ignored stays ignored: see nohup(1).
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._on_signal)

    def __exit__(self, _kind: object, error: object, _trace: object) -> None:
        # Say a closed pipe: nobody looks at the job any more.
        if error is None or isinstance(error, QueuectlError):
            return
        self._cancel()
        if isinstance(error, output.StdoutError) and error.error.errno != EPIPE:
            output.note(
                f"job {self._job_id} is cancelled: its output cannot be written"
            )

    def found(self, job_id: str) -> None:
        """Take the id of the job, which may have to be cancelled at once."""
        self._job_id = job_id
        if self.received is not None:
            self._cancel()

    def _on_signal(self, number: int, _frame: object) -> None:
        # A second one ends us, and leaves the rest to the daemon.
        signal.signal(number, signal.SIG_DFL)
        self.received = number
        self._cancel()

    def _cancel(self) -> None:
        """Ask for the end, on a connection of its own: the other one is in use.

        The follower goes on, so that the job's last words are seen, and comes to its
        end when the job's processes are gone.
        """
        if self._job_id is None:
            return
        try:
            with self._connector.connect() as client:
                client.call("cancel", {"id": self._job_id, "wait": False})
        except InvalidStateError:
            pass  # it has just ended by itself
        except QueuectlError as error:
            output.note(f"queuectl: job {self._job_id} was not cancelled: {error}")
