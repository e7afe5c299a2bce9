"""``config``: the job settings that the daemon keeps in its database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from click.shell_completion import CompletionItem

from queuectl.cli import policy
from queuectl.cli.command_classes import Group
from queuectl.cli.connector import Connector, pass_connector
from queuectl.cli.input import job_options
from queuectl.cli.view import output, text
from queuectl.cli.view.table import Column
from queuectl.errors import InvalidParamsError
from queuectl_protocol.units import format_duration, format_size

COLUMNS = (
    Column("KEY"),
    Column("VALUE", right=True),
    Column("DEFAULT", right=True, spare=1),
    Column("RANGE", spare=4),
    Column("TOUCHES", spare=3),
    Column("MEANING", flexible=True, spare=2, least=30),
)


def _keys(
    ctx: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    from queuectl.cli.input.completion import values  # noqa: PLC0415 - only the shell asks for it

    return values.setting_keys(ctx, incomplete)


key_argument = click.argument("key", shell_complete=_keys)
json_option = click.option("--json", "as_json", is_flag=True, help="As JSON.")


@click.group(cls=Group)
def config() -> None:
    """Settings of jobs: retries, timeout, backoff, retention.

    Keys may be written with hyphens or underscores. (The daemon's own settings, such
    as its socket and log, are in queuectld.toml.)

    $ queuectl config list
    $ queuectl config set max-retries 5
    $ queuectl config set timeout 10m
    $ queuectl config get timeout
    $ queuectl config unset timeout
    """


@config.command("list", rule=policy.LOOKS)
@json_option
@pass_connector
def list_settings(connector: Connector, *, as_json: bool) -> None:
    """List all settings with their defaults, ranges and meaning."""
    settings = _settings(connector)
    if as_json:
        output.document(settings)
        return
    output.rows(COLUMNS, [_row(setting) for setting in settings])


@config.command(rule=policy.LOOKS)
@json_option
@pass_connector
def show(connector: Connector, *, as_json: bool) -> None:
    """Print each key with its value."""
    _show(_settings(connector), as_json=as_json)


@config.command(rule=policy.LOOKS)
@click.argument("key", required=False, shell_complete=_keys)
@json_option
@pass_connector
def get(connector: Connector, *, key: str | None, as_json: bool) -> None:
    """Print the bare value of KEY (seconds, bytes), or without KEY all of them."""
    if key is None:
        _show(_settings(connector), as_json=as_json)
        return
    with _usage(), connector.connect() as client:
        setting = client.call("config.get", {"key": key})
    if as_json:
        output.document(setting)
    else:
        output.line(_bare(setting["value"]))


# Unknown options are values: -1 is refused for its range, and not as an option.
@config.command(
    "set", rule=policy.BEGINS, context_settings={"ignore_unknown_options": True}
)
@key_argument
@click.argument("value")
@json_option
@pass_connector
def set_setting(connector: Connector, *, key: str, value: str, as_json: bool) -> None:
    """Set KEY to VALUE, and say which jobs that touches.

    Durations are written 90, 90s, 5m, 2h or 1d, and sizes 64k, 10M or 1GiB.

    $ queuectl config set timeout 0            no job ends for its time
    $ queuectl config set shell /bin/bash
    """
    with _usage(), connector.connect() as client:
        uid = client.greeting["uid"]
        setting = client.call("config.set", {"key": key, "value": value})
    _tell(setting, as_json=as_json)
    if key == "shell":
        job_options.note_missing_shell(setting["value"], uid, "jobs fail")


@config.command(rule=policy.BEGINS)
@key_argument
@json_option
@pass_connector
def unset(connector: Connector, *, key: str, as_json: bool) -> None:
    """Put KEY back to its default."""
    with _usage(), connector.connect() as client:
        setting = client.call("config.unset", {"key": key})
    _tell(setting, as_json=as_json)


@contextmanager
def _usage() -> Iterator[None]:
    """Report a key or a value that the daemon refuses as a usage error."""
    try:
        yield
    except InvalidParamsError as error:
        raise click.UsageError(str(error)) from None


def _settings(connector: Connector) -> list[dict[str, Any]]:
    with connector.connect() as client:
        settings: list[dict[str, Any]] = client.call("config.list")["settings"]
    return settings


def _show(settings: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        output.document({item["key"]: item["value"] for item in settings})
    else:
        output.pairs([(item["key"], _readable(item)) for item in settings])


def _tell(setting: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        output.document(setting)
        return
    output.line(f"{setting['key']} = {_readable(setting)}")
    output.line(f"This touches {setting['applies']}.")


def _row(setting: dict[str, Any]) -> tuple[str, ...]:
    return (
        setting["key"],
        _readable(setting),
        readable(setting["default"], setting["kind"]),
        _range(setting),
        setting["applies"].partition(";")[0],
        setting["doc"],
    )


def _readable(setting: dict[str, Any]) -> str:
    return readable(setting["value"], setting["kind"])


def _range(setting: dict[str, Any]) -> str:
    ends = [setting[end] for end in ("minimum", "maximum")]
    if None in ends:
        return ""
    return " to ".join(readable(end, setting["kind"]) for end in ends)


def readable(value: float | str, kind: str) -> str:
    """Return a value with its unit, for people."""
    if isinstance(value, str):
        return value
    if kind == "duration":
        return format_duration(value)
    return format_size(int(value)) if kind == "size" else number(value)


def _bare(value: float | str) -> str:
    return text.escape(value) if isinstance(value, str) else number(value)


def number(value: float) -> str:
    """Return a number without a trailing ``.0``."""
    return str(int(value)) if value == int(value) else str(value)
