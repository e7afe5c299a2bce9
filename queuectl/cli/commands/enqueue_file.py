"""``enqueue --file``: a job for each line; what it prints, and how it ends."""

import os
import signal
import stat
import sys

from queuectl.cli import signals
from queuectl.cli.connector import Connector
from queuectl.cli.exits import Status
from queuectl.cli.input import job_file, job_json, job_options
from queuectl.cli.input.job_file import BadLineError, JobFile
from queuectl.cli.input.job_options import GivenOptions
from queuectl.cli.requests.batch_sender import BatchSender, Stored
from queuectl.cli.view import output, progress, throttled_notes
from queuectl.errors import QueuectlError


def enqueue_file(
    connector: Connector,
    path: str,
    options: GivenOptions,
    *,
    shell: bool,
    if_exists: str,
) -> int:
    """Enqueue a job for each line; print the ids; return the status."""
    file = JobFile(_open(path), job_file.shell_line if shell else job_json.parse_json)
    with connector.connect() as client:
        uid = client.greeting["uid"]
        inherited = options.inherited(client.greeting, options.fields, client.place)
        defaults = {**inherited, **options.fields}
        sender = BatchSender(client, file, defaults=defaults, if_exists=if_exists)
        signals.handle([signal.SIGINT], lambda *_: _interrupt(sender))
        try:
            last = _print_ids(sender, file)
        except BadLineError as error:
            _explain(path, sender.stored, error)
            return Status.FAILED
        except (QueuectlError, output.StdoutError):
            output.note(_so_far(sender.stored))
            raise
        except OSError as error:
            output.note(_so_far(sender.stored))
            raise OSError(error.errno, error.strerror, _name(path)) from None
    job_options.note_missing_directory(options.fields)
    job_options.note_missing_shell(options.fields.get("shell"), uid)
    if sender.stopping:
        output.note(f"interrupted: {_so_far(sender.stored)}")
        signals.die_of(signal.SIGINT)
    if last is None:
        output.note(f"no jobs in {_name(path)}")
    elif last.draining:
        output.note(output.DRAINING)
    elif last.workers == 0:
        throttled_notes.no_workers(connector.place)
    return Status.OK


def _open(path: str) -> int:
    if path != "-":
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    if sys.stdin.isatty():
        output.note("write a job on each line; Ctrl-D ends")
    return sys.stdin.fileno()


def _print_ids(sender: BatchSender, file: JobFile) -> Stored | None:
    """Print the ids; return the last batch that was stored, if there was one."""
    count, last = 0, None
    with progress.Progress(_size(file.fd), shown=progress.wanted()) as shown:
        for stored in sender.run():
            output.lines(stored.ids)
            output.flush()
            count += len(stored.ids)
            last = stored
            shown.update(count, stored.position)
    return last


def _size(fd: int) -> int | None:
    found = os.fstat(fd)
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _interrupt(sender: BatchSender) -> None:
    """End after the batch under way, so that its ids are printed; or at once.

    At once if no batch is under way, or at the second Ctrl-C.
    """
    if sender.waiting or sender.stopping:
        output.note(f"interrupted: {_so_far(sender.stored)}")
        signals.die_of(signal.SIGINT)
    sender.stop()


def _so_far(stored: int) -> str:
    if not stored:
        return "no line is known to be enqueued"
    return f"lines 1 to {stored} are enqueued"


def _name(path: str) -> str:
    return "stdin" if path == "-" else path


def _explain(path: str, stored: int, error: BadLineError) -> None:
    name = _name(path)
    output.fault(f"queuectl: {name}, line {error.line}", error)
    if not stored:
        output.note("nothing was enqueued")
        return
    again = "" if path == "-" else f": tail -n +{stored + 1} {name}"
    output.note(
        f"lines 1 to {stored} are enqueued, nothing after them is; "
        f"mend line {error.line} and go on from line {stored + 1}{again}"
    )
