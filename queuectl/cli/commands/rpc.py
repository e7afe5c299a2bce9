"""``rpc``: calls any method of the protocol."""

from typing import Any

import click

from queuectl.cli import policy
from queuectl.cli.command_classes import Command
from queuectl.cli.connector import Connector, pass_connector
from queuectl.cli.exits import Status
from queuectl.cli.input import job_json
from queuectl.cli.view import output
from queuectl.errors import RequestError


@click.command(cls=Command, rule=policy.ACTS)
@click.argument("method")
@click.argument("params", metavar="[JSON]", default="{}")
@pass_connector
def rpc(connector: Connector, *, method: str, params: str) -> int:
    """Call a method of the protocol and print what comes back as JSON.

    Events of a stream come first, one a line. The methods are in PROTOCOL.md; the
    daemon tells them too:

    $ queuectl rpc describe | jq -r '.methods[].name'
    $ queuectl rpc get '{"id": "12"}'
    $ queuectl rpc logs.follow '{"id": "12"}'
    """
    try:
        fields = job_json.parse_json(params)
    except ValueError as error:
        raise click.UsageError(f"the parameters: {error}") from None
    with connector.connect() as client:
        try:
            with client.stream(method, fields) as events:
                for event in events:
                    output.json_line(event)
                output.document(events.result)
        except RequestError as error:
            output.document({"error": _error(error)})
            return Status.FAILED
    return Status.OK


def _error(error: RequestError) -> dict[str, Any]:
    return {
        "code": error.code,
        "message": str(error),
        "data": error.data,
        "retryable": error.retryable,
    }
