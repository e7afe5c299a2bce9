"""``run``: a job as if it ran here, with its output, its exit code and Ctrl-C."""

import os
import signal
import sys
from errno import EPIPE
from functools import partial
from typing import Any

import click

from queuectl.cli import exits, policy, signals
from queuectl.cli.command_classes import PassingCommand
from queuectl.cli.connector import Connector, pass_connector
from queuectl.cli.input import job_options, unread_stdin
from queuectl.cli.input.param_types import word_completion
from queuectl.cli.requests.follow import Follower
from queuectl.cli.requests.submit import submit
from queuectl.cli.requests.waiting_notice import WaitingNotice
from queuectl.cli.view import output
from queuectl.errors import InvalidStateError, QueuectlError, RequestError
from queuectl.sync.session import Session

NO_STDIN = (
    "the job does not get this standard input, it reads an empty one; "
    "to silence this note, give < /dev/null or --quiet"
)


@click.command(cls=PassingCommand, rule=policy.BEGINS)
@click.argument(
    "words",
    metavar="COMMAND | -- PROGRAM ARG...",
    nargs=-1,
    shell_complete=word_completion,
)
@click.option("-c", "line", metavar="COMMAND", help="A shell command line.")
@job_options.add(timeout="none")
@click.option("-q", "--quiet", is_flag=True, help="Write no notes to stderr.")
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

    It waits its turn like any job. If there are no workers, one is started for it,
    which runs nothing else and ends with it. Inside a job it needs a second worker, as
    that job keeps the first one busy; without a second one it never begins.

    $ queuectl run 'make test'
    $ queuectl run -p 10 --timeout 10m -- rsync -a here host:there
    """
    wanted = job_options.read(**options)
    job = wanted.added_to(job_options.read_command(line, words))
    job |= {"max_retries": 0, "foreground": True}
    if job.get("timeout") is None:
        job["timeout"] = 0
    canceller = Canceller(connector)
    with canceller:
        job = submit(connector, job, wanted, quiet=quiet)["job"]
        canceller.found(job["id"])
        noted = quiet or _note_unread_stdin(connector)
        follower, job = _follow(connector, job["id"], quiet=quiet)
    output.flush()
    for sentence in follower.missing:
        output.note(sentence)
    if not noted:
        _note_unread_stdin(connector)  # input may have come later
    # On a terminal: a shell loop stops only if its command died of the signal, and not
    # if it ended with 130. A program that started this one gets the documented status.
    if canceller.received == signal.SIGINT and os.isatty(sys.stdin.fileno()):
        signals.die_of(signal.SIGINT)
    _note_why_it_ended(job)
    return exits.of_job(job)


def _note_why_it_ended(job: dict[str, Any]) -> None:
    """Say why the job ended if its own output cannot: it never started, was killed."""
    if job["state"] == "dead" and job["reason"] != "exit" and job["message"]:
        output.note(f"queuectl: {job['message']}")


def _follow(
    connector: Connector, job_id: str, *, quiet: bool
) -> tuple[Follower, dict[str, Any]]:
    with WaitingNotice(connector, job_id, quiet=quiet) as notice:
        follower = Follower(
            job_id,
            output.copy,
            connected=partial(_reserve_worker, job_id),
            begun=notice.cancel,
        )
        return follower, follower.follow(connector)


def _reserve_worker(job_id: str, client: Session) -> None:
    """If there is no worker, have one started for this job; it ends with ``client``."""
    try:
        client.call("workers.reserve", {"id": job_id})
    except RequestError:
        return  # with the role submit one may start no worker, and the job waits


def _note_unread_stdin(connector: Connector) -> bool:
    """Note that the job does not get this stdin, if that has data; return whether."""
    unread = unread_stdin.identity()
    if unread is None:
        return False
    from queuectl.cli.view import throttled_notes  # noqa: PLC0415 - seldom needed

    throttled_notes.note(connector.place, "stdin", NO_STDIN, about=unread)
    return True


class Canceller:
    """Cancels the job when a signal asks this program to end; then awaits its end.

    Attributes:
        received: the signal.
    """

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self._job_id: str | None = None
        self.received: int | None = None

    def __enter__(self) -> None:
        signals.handle(signals.ENDING, self._on_signal)

    def __exit__(self, _kind: object, error: object, _trace: object) -> None:
        # An error here, such as a closed pipe, means that nobody follows the job.
        if error is None or isinstance(error, QueuectlError):
            return
        self._cancel()
        if isinstance(error, output.StdoutError) and error.error.errno != EPIPE:
            output.note(
                f"job {self._job_id} is cancelled: its output cannot be written"
            )

    def found(self, job_id: str) -> None:
        """Take the id of the job; cancel it if a signal has come meanwhile."""
        self._job_id = job_id
        if self.received is not None:
            self._cancel()

    def _on_signal(self, number: int, _frame: object) -> None:
        # A second signal ends this program; the daemon still ends the job.
        signal.signal(number, signal.SIG_DFL)
        self.received = number
        self._cancel()

    def _cancel(self) -> None:
        """Cancel the job, on a second connection, as the first one is in use.

        The follower goes on until the job's processes are gone, so the job's last
        output is seen.
        """
        if self._job_id is None:
            return
        try:
            with self._connector.connect() as client:
                client.call("cancel", {"id": self._job_id, "wait": False})
        except InvalidStateError:
            pass  # the job has just ended by itself
        except QueuectlError as error:
            output.note(f"queuectl: job {self._job_id} was not cancelled: {error}")
