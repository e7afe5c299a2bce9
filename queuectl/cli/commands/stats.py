"""``stats``: how jobs have done, from statistics that outlive the jobs."""

from typing import Any

import click

from queuectl.cli import policy
from queuectl.cli.command_classes import Command
from queuectl.cli.connector import Connector, pass_connector
from queuectl.cli.input.param_types import DURATION
from queuectl.cli.view import output, times
from queuectl.cli.view.table import Column

COUNTS = {
    "completed": "Completed",
    "dead": "Dead",
    "cancelled": "Cancelled",
    "failed_attempts": "Failed attempts",
    "retries": "Retries",
    "lost": "Lost attempts",
}

SPANS = {"run": "Run time", "wait": "Wait time"}

COLUMNS = (
    Column(""),
    Column("COUNT", right=True),
    Column("AVERAGE", right=True),
    Column("P50", right=True),
    Column("P95", right=True),
    Column("P99", right=True),
)


@click.command(cls=Command, rule=policy.LOOKS)
@click.option(
    "--since",
    type=DURATION,
    show_default="ever",
    help="Only from this long ago until now.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as one JSON object.")
@pass_connector
def stats(connector: Connector, *, since: float | None, as_json: bool) -> None:
    """Tell how jobs have done: counts, success rate, run and wait times.

    The history is kept by the minute and outlives the jobs. p95 is the time within
    which 95 of 100 runs (or waits) ended.

    $ queuectl stats --since 1h
    $ queuectl stats --json | jq .run.p95
    """
    params = {} if since is None else {"since": since}
    with connector.connect() as client:
        found = client.call("stats", params)
    if as_json:
        output.document(found)
        return
    output.pairs(summary(found))
    measured = {title: found[key] for key, title in SPANS.items() if found[key]}
    if measured:
        output.line()
        output.rows(COLUMNS, [_span(*each) for each in measured.items()])


def summary(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return titles and values of everything but the times."""
    since = times.local(found["since"]) if found["since"] else "the beginning"
    rate = found["success_rate"]
    return [
        ("Since", since),
        *((title, str(found[key])) for key, title in COUNTS.items()),
        ("Success rate", "-" if rate is None else f"{rate:.1%}"),
        ("Jobs per minute", f"{found['per_minute']:.3g}"),
    ]


def _span(title: str, span: dict[str, Any]) -> tuple[str, ...]:
    amounts = (span[key] for key in ("average", "p50", "p95", "p99"))
    return (title, str(span["count"]), *map(_duration, amounts))


def _duration(seconds: float | None) -> str:
    return "-" if seconds is None else times.duration(seconds)
