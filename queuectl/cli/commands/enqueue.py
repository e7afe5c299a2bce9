"""``enqueue``: puts one job into the queue, or a file of jobs."""

from contextlib import suppress
from typing import Any

import click

from queuectl.cli import exits, policy, signals
from queuectl.cli.command_classes import PassingCommand
from queuectl.cli.connector import Connector, pass_connector
from queuectl.cli.input import job_options
from queuectl.cli.input.param_types import word_completion
from queuectl.cli.requests.submit import submit
from queuectl.cli.view import output


@click.command(cls=PassingCommand, rule=policy.BEGINS)
@click.argument(
    "words",
    metavar="[COMMAND | JSON | -- PROGRAM ARG...]",
    nargs=-1,
    shell_complete=word_completion,
)
@click.option("-c", "line", metavar="COMMAND", help="A shell command line.")
@click.option(
    "-f",
    "--file",
    "path",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="A job a line, in JSON; - is stdin.",
)
@click.option("--lines", is_flag=True, help="With --file: a shell command a line.")
@job_options.add(timeout="setting timeout", enqueue=True)
@click.option(
    "--if-exists",
    type=click.Choice(["error", "return"]),
    default="error",
    show_default=True,
    help="If the id is taken: fail, or print it when that job is the same one.",
)
@click.option("--wait", "await_it", is_flag=True, help="End with the job's exit code.")
@click.option("--json", "as_json", is_flag=True, help="Print the job, not its id.")
@pass_connector
def enqueue(
    connector: Connector,
    /,
    *,
    words: tuple[str, ...],
    line: str | None,
    path: str | None,
    lines: bool,
    if_exists: str,
    await_it: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Put a job into the queue and print its id.

    One argument is a command line for /bin/sh, or a job in JSON when it begins
    with {. Several, and whatever comes after --, are a program and its exact
    arguments, without a shell.

    $ queuectl enqueue 'sleep 2 && echo hi | wc -c'
    $ queuectl enqueue -- rsync -a "my dir" host:/tmp
    $ queuectl enqueue -c '{ make; } 2>&1' -p 5 --timeout 10m --at 22:00
    $ queuectl enqueue '{"command": "sleep 2", "max_retries": 1}'
    $ id=$(queuectl enqueue make) && queuectl wait "$id"

    Many at once: batches of 1,000 lines are stored whole or not at all, and an id
    a line is printed. Options give what a line leaves out.

    $ queuectl enqueue --file jobs.jsonl
    $ ls *.wav | sed 's/.*/lame "&"/' | queuectl enqueue --file - --lines

    The job runs here, with this environment and umask. (If the daemon belongs to
    another user: in / with a minimal environment; see --cwd and --env.)
    """
    wanted = job_options.read(**options)
    if path is not None:
        _check_file_options(words, line, options["id"], await_it, as_json)
        from queuectl.cli.commands import enqueue_file  # noqa: PLC0415 - for --file alone

        return enqueue_file.enqueue_file(
            connector, path, wanted, shell=lines, if_exists=if_exists
        )
    if lines:
        raise click.UsageError("--lines goes with --file")
    job = wanted.added_to(job_options.read_command(line, words))
    reply = submit(connector, job, wanted, if_exists)
    _note_about(reply, connector)
    job = reply["job"]
    if await_it:
        return _await(connector, job, as_json=as_json)
    if as_json:
        output.document(job)
    else:
        output.line(job["id"])
    return exits.Status.OK


def _note_about(reply: dict[str, Any], connector: Connector) -> None:
    """Write a note if the job is not new, or nothing will run it for now."""
    job = reply["job"]
    if not reply["created"]:
        output.note(f"job {job['id']} exists already: {job['state']}")
    elif reply.get("draining"):
        output.note(output.DRAINING)
    elif not reply["workers"]:
        from queuectl.cli.view import throttled_notes  # noqa: PLC0415 - seldom needed

        throttled_notes.no_workers(connector.place)


def _await(connector: Connector, job: dict[str, Any], *, as_json: bool) -> int:
    from queuectl.cli.requests import wait  # noqa: PLC0415 - for --wait alone
    from queuectl.cli.view import job_view  # noqa: PLC0415

    job_id = job["id"]
    goes_on = f"job {job_id} goes on; to end it: queuectl cancel {job_id}"
    with signals.explained(goes_on):
        if not as_json:
            output.line(job_id)
        with suppress(output.StdoutError):  # the data is kept; ``root.run`` reports it
            output.flush()
        (job,) = wait.wait(connector, (job_id,))
    status = exits.of_job(job)
    if as_json:
        output.document(job)
    elif status != exits.Status.OK:
        output.note(job_view.sentence(job))
    return status


def _check_file_options(
    words: tuple[str, ...],
    line: str | None,
    job_id: str | None,
    await_it: bool,
    as_json: bool,
) -> None:
    given = {
        "a command": words or line is not None,
        "--id": job_id is not None,
        "--wait": await_it,
        "--json": as_json,
    }
    for name, present in given.items():
        if present:
            raise click.UsageError(f"--file does not go with {name}")
