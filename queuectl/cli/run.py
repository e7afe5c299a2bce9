"""``run``: a job as if it ran here: its output, its exit code, and Ctrl-C for it."""

import os
import signal
import sys
from typing import Any

import click

from queuectl.cli import enqueue, exits, joboptions, output
from queuectl.cli.command import PassingCommand
from queuectl.cli.connector import Connector, pass_connector
from queuectl.cli.follow import Follower
from queuectl.cli.joboptions import job_options
from queuectl.cli.logs import write
from queuectl.cli.params import word_completion
from queuectl.errors import InvalidStateError, QueuectlError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command(cls=PassingCommand)
@click.argument(
    "words",
    metavar="COMMAND | -- PROGRAM ARG...",
    nargs=-1,
    shell_complete=word_completion,
)
@click.option("-c", "line", metavar="COMMAND", help="A shell command line.")
@job_options
@pass_connector
def run(
    connector: Connector, /, *, words: tuple[str, ...], line: str | None, **options: Any
) -> int:
    """Run a command as a job, and end with its exit code.

    The job has no retries. Its output is written as it comes: its stdout to stdout,
    its stderr to stderr. Its stdin is empty. Ctrl-C cancels it. At least one worker
    is started if there is none.

    $ queuectl run 'make test'
    $ queuectl run -p 10 --timeout 10m -- rsync -a here host:there
    """
    wanted = joboptions.from_options(**options)
    job = wanted.added_to(joboptions.read_command(line, words)) | {"max_retries": 0}
    with connector.connect() as client:
        # Who may only submit may not start workers, and needs not where some run.
        if not client.call("status")["workers"]["active"]:
            client.call("workers.ensure", {"count": 1})
    canceller = Canceller(connector)
    with canceller:
        job = enqueue.enqueue_one(connector, job, wanted, "error")
        canceller.found(job["id"])
        _tell_if_busy(connector, job["id"])
        follower = Follower(job["id"], write)
        job = follower.follow(connector)
    output.flush()
    for sentence in follower.missing:
        output.note(sentence)
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


def _tell_if_busy(connector: Connector, job_id: str) -> None:
    """Say why nothing happens, to a person who would wonder."""
    if not output.is_terminal(sys.stderr):
        return
    with connector.connect() as client:
        workers = client.call("status")["workers"]
        job = client.call("get", {"id": job_id})["job"]
    if job["state"] == "pending" and workers["busy"] >= workers["active"]:
        output.note(f"job {job_id} waits for one of {workers['active']} workers")


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
        if error is not None and not isinstance(error, QueuectlError):
            self._cancel()

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
