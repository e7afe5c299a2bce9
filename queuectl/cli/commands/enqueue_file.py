"""``enqueue --file``: what a person sees of it, and how it ends."""

import os
import signal
import stat
import sys

from queuectl.cli.commands import enqueue
from queuectl.cli.connector import Connector
from queuectl.cli.exits import Status, die_of
from queuectl.cli.input import job_file, job_json, job_options
from queuectl.cli.input.job_file import BadLineError, Source
from queuectl.cli.input.job_options import JobOptions
from queuectl.cli.requests.batch_sender import Bulk, Stored
from queuectl.cli.view import output, progress
from queuectl.errors import QueuectlError


def enqueue_file(
    connector: Connector, path: str, wanted: JobOptions, *, shell: bool, if_exists: str
) -> int:
    """Enqueue a job for each line; print the ids; return the status."""
    source = Source(_open(path), job_file.shell_line if shell else job_json.parse_json)
    with connector.connect() as client:
        uid = client.greeting["uid"]
        inherited = wanted.inherited(client.greeting, wanted.fields, client.place)
        defaults = {**inherited, **wanted.fields}
        bulk = Bulk(client, source, defaults=defaults, if_exists=if_exists)
        signal.signal(signal.SIGINT, lambda *_: _interrupt(bulk))
        try:
            last = _print_ids(bulk, source)
        except BadLineError as error:
            _explain(path, bulk.stored, error)
            return Status.FAILED
        except (QueuectlError, output.StdoutError):
            output.note(_so_far(bulk.stored))
            raise
        except OSError as error:
            output.note(_so_far(bulk.stored))
            raise OSError(error.errno, error.strerror, _name(path)) from None
    job_options.remark_directory(wanted.fields)
    job_options.remark_shell(wanted.fields.get("shell"), uid)
    if bulk.stopping:
        output.note(f"interrupted: {_so_far(bulk.stored)}")
        die_of(signal.SIGINT)
    if last is None:
        output.note(f"no jobs in {_name(path)}")
    elif last.draining:
        output.note(output.DRAINING)
    elif last.workers == 0:
        enqueue.tell_no_workers(connector)
    return Status.OK


def _open(path: str) -> int:
    if path != "-":
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    if sys.stdin.isatty():
        output.note("a job a line, please; Ctrl-D ends")
    return sys.stdin.fileno()


def _print_ids(bulk: Bulk, source: Source) -> Stored | None:
    """Print the ids; return what was told of the last batch, if there was one."""
    count, last = 0, None
    with progress.Progress(_size(source.fd), shown=progress.wanted()) as shown:
        for stored in bulk.run():
            output.lines(stored.ids)
            output.flush()
            count += len(stored.ids)
            last = stored
            shown.update(count, stored.position)
    return last


def _size(fd: int) -> int | None:
    found = os.fstat(fd)
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _interrupt(bulk: Bulk) -> None:
    """End after the batch that is under way, so that its ids are known; or at once."""
    if bulk.waiting or bulk.stopping:
        output.note(f"interrupted: {_so_far(bulk.stored)}")
        die_of(signal.SIGINT)
    bulk.stop()


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
