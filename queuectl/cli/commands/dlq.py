"""``dlq``: the dead letter queue, which has the jobs that used up their retries."""

import click

from queuectl.cli import exits, policy
from queuectl.cli.command_classes import Group
from queuectl.cli.connector import Connector, pass_connector
from queuectl.cli.input import confirm
from queuectl.cli.input.param_types import DEAD_ID, DURATION, Whole
from queuectl.cli.requests import changes, deletion, job_details, job_list
from queuectl.cli.view import output
from queuectl.cli.view.text import counted
from queuectl.sync.session import Session

DEAD = "dead"


@click.group(cls=Group)
def dlq() -> None:
    """The dead letter queue: jobs that failed for good.

    $ queuectl dlq list
    $ queuectl dlq retry 12
    $ queuectl dlq retry --all
    $ queuectl dlq purge --older-than 30d
    """


@dlq.command("list", rule=policy.LOOKS)
@click.option(
    "-n",
    "--limit",
    type=Whole(min=1),
    metavar="N",
    show_default=str(job_list.DEFAULT_LIMIT),
    help="At most so many, the newest; there is no maximum.",
)
@click.option("--output", "with_output", is_flag=True, help="Also their last output.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array, nothing else.")
@pass_connector
def list_dead(
    connector: Connector, *, limit: int | None, with_output: bool, as_json: bool
) -> None:
    """List dead jobs, newest first."""
    with connector.connect() as client:
        job_list.show(client, [DEAD], limit, with_output=with_output, as_json=as_json)


@dlq.command("show", rule=policy.LOOKS)
@click.argument("job_id", metavar="ID", type=DEAD_ID)
@click.option("--json", "as_json", is_flag=True, help="The job and its attempts.")
@pass_connector
def show_dead(connector: Connector, *, job_id: str, as_json: bool) -> None:
    """Show a dead job with all its attempts."""
    with connector.connect() as client:
        details = job_details.fetch(client, job_id)
    state = details["job"]["state"]
    if state != DEAD:
        raise click.ClickException(
            f"job {job_id!r} is {state}, not dead; see: queuectl show {job_id}"
        )
    job_details.show(details, as_json=as_json)


@dlq.command("retry", rule=policy.ALTERS)
@click.argument("job_ids", metavar="[ID...]", type=DEAD_ID, nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All dead jobs.")
@click.option("--json", "as_json", is_flag=True, help="The jobs, or their number.")
@pass_connector
def retry_dead(
    connector: Connector, *, job_ids: tuple[str, ...], everything: bool, as_json: bool
) -> int:
    """Give dead jobs all their retries again.

    With --all, those that `queuectl run` ran are left out: whoever ran them saw how
    they ended. They can be retried by their ids.
    """
    if bool(job_ids) == everything:
        raise click.UsageError("give the ids of jobs, or --all")
    with connector.connect() as client:
        if everything:
            return _retry_all(client, as_json=as_json)
        return changes.apply(client, "retry", job_ids, as_json=as_json, if_state=DEAD)


@dlq.command(rule=policy.ALTERS)
@click.argument("job_ids", metavar="[ID...]", type=DEAD_ID, nargs=-1)
@click.option("--older-than", type=DURATION, help="Ended at least this long ago.")
@confirm.yes_option
@click.option("--json", "as_json", is_flag=True, help="The number, or the jobs.")
@pass_connector
def purge(
    connector: Connector,
    *,
    job_ids: tuple[str, ...],
    older_than: float | None,
    yes: bool,
    as_json: bool,
) -> int:
    """Delete dead jobs, with their output. On a terminal it asks first.

    Without ids and --older-than it deletes all of them.
    """
    if job_ids and older_than is not None:
        raise click.UsageError("give the ids of jobs, or --older-than")
    with connector.connect() as client:
        if job_ids:
            return deletion.delete(
                client, job_ids, yes=yes, as_json=as_json, if_state=DEAD
            )
        deletion.prune(client, [DEAD], older_than, yes=yes, as_json=as_json)
        return exits.Status.OK


def _retry_all(client: Session, *, as_json: bool) -> int:
    result = client.call("retry_all", {"state": DEAD, "foreground": False})
    if as_json:
        output.document(result)
    else:
        output.line(f"{counted(result['retried'], 'job')} pending again")
        if skipped := result["skipped"]:
            left = counted(skipped, "job")
            output.note(f"{left} of queuectl run left; retry by id: queuectl dlq list")
    return exits.Status.OK
