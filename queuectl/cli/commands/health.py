"""``health``: one line and an exit status for a monitor. Starts no daemon."""

from collections.abc import Iterator, Sequence
from typing import Any

import click

from queuectl import health as judging
from queuectl.cli import policy
from queuectl.cli.command_classes import Command
from queuectl.cli.connector import Connector, pass_connector
from queuectl.cli.input.param_types import DURATION, SIZE
from queuectl.cli.view import output, text
from queuectl.errors import QueuectlError, RequestTimeoutError
from queuectl.health import GAUGES, Finding, Gauge, Level, Thresholds

PATIENCE = 10.0
"""Seconds after which the daemon counts as hanging; most monitors wait as long."""


class Limit(click.ParamType):  # type: ignore[type-arg]
    """``NAME=VALUE``: the value at which a gauge is bad; ``off``: never."""

    name = "limit"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, float | None]:
        """Return the gauge's name, and the limit in seconds, bytes or as it is."""
        if isinstance(value, tuple):
            return value
        name, equals, limit = value.partition("=")
        gauge = GAUGES.get(name)
        if gauge is None or not equals:
            self.fail(
                f"{value!r} is not NAME=VALUE with one of: {', '.join(GAUGES)}",
                param,
                ctx,
            )
        return name, None if limit == "off" else self._read(gauge, limit, param, ctx)

    def _read(
        self,
        gauge: Gauge,
        limit: str,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        if gauge.kind == "count":
            number: int = click.INT.convert(limit, param, ctx)  # type: ignore[arg-type]
            return number
        kind = DURATION if gauge.kind == "duration" else SIZE
        found: float = kind.convert(limit, param, ctx)
        return found


class Mistake(click.UsageError):
    """A usage error. It ends with 3, as a monitor takes 2 for a critical state."""

    exit_code = Level.UNKNOWN


class HealthCommand(Command):
    """A command whose usage errors are of the class ``Mistake``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            raise Mistake(error.format_message(), ctx) from None

    def format_epilog(
        self, _ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """List the gauges and their limits, from their table."""
        with formatter.section("Gauges, with their limits (warning, critical)"):
            formatter.write_dl([(name, _told(gauge)) for name, gauge in GAUGES.items()])


LIMIT = Limit()


@click.command(cls=HealthCommand, rule=policy.LOOKS)
@click.option(
    "-w",
    "--warning",
    "warnings",
    type=LIMIT,
    metavar="NAME=VALUE",
    multiple=True,
    help="Warn from this value of a gauge on; off: never.",
)
@click.option(
    "-c",
    "--critical",
    "criticals",
    type=LIMIT,
    metavar="NAME=VALUE",
    multiple=True,
    help="Be critical from this value on; off: never.",
)
@click.option(
    "-t",
    "--timeout",
    type=DURATION,
    default=PATIENCE,
    show_default="10s",
    help="After this the daemon counts as hanging.",
)
@click.option("--perfdata", is_flag=True, help="With figures behind a |, for graphs.")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@pass_connector
def health(
    connector: Connector,
    *,
    warnings: tuple[tuple[str, float | None], ...],
    criticals: tuple[tuple[str, float | None], ...],
    timeout: float,
    perfdata: bool,
    as_json: bool,
) -> int:
    """Tell in one line whether the queue is well, for a monitor.

    No daemon is started. One that runs tests whether it can write to its store, and
    answers within some seconds even when its disk does not.

    Ends with 0: well; 1: a warning, a gauge is at its limit, or the daemon is
    stopping; 2: critical, a gauge is at its other limit, the store fails, or the
    daemon does not answer; 3: unknown, as no daemon is running, it does not serve
    this user, an option is wrong, or stdout is full. The gauges are in
    docs/howto/monitoring.md.

    $ queuectl health
    $ queuectl health -w free=5G -c free=1G -w dead=off --perfdata
    """
    if not timeout:
        raise Mistake("--timeout is more than 0", click.get_current_context())
    limits = _limits(dict(warnings), dict(criticals))
    try:
        findings, facts = _ask(connector, limits, timeout)
    except RequestTimeoutError:
        silent = f"the daemon does not answer within {timeout:g} s"
        findings, facts = [Finding("daemon", Level.CRITICAL, silent)], None
    except QueuectlError as error:
        findings, facts = [Finding("daemon", Level.UNKNOWN, str(error))], None
    try:
        if as_json:
            output.document(_document(findings, facts))
        else:
            _tell(findings, facts, limits, perfdata=perfdata)
        output.flush()
    except output.StdoutError:  # ``root.run`` reports it
        return Level.UNKNOWN
    return judging.worst(findings)


def _ask(
    connector: Connector, limits: dict[str, Thresholds], timeout: float
) -> tuple[list[Finding], dict[str, Any]]:
    from queuectl.models import Health  # noqa: PLC0415 - slow; not for --help
    from queuectl.sync.session import Session  # noqa: PLC0415 - as above

    with Session(connector.socket, queue=connector.queue, timeout=timeout) as client:
        facts: dict[str, Any] = client.call("health")
    return judging.judge(Health.from_wire(facts), limits), facts


def _limits(
    warnings: dict[str, float | None], criticals: dict[str, float | None]
) -> dict[str, Thresholds]:
    return {
        name: (
            criticals.get(name, gauge.critical),
            warnings.get(name, gauge.warning),
        )
        for name, gauge in GAUGES.items()
    }


def _tell(
    findings: Sequence[Finding],
    facts: dict[str, Any] | None,
    limits: dict[str, Thresholds],
    *,
    perfdata: bool,
) -> None:
    level = judging.worst(list(findings))
    bad = sorted((f for f in findings if f.level), key=lambda f: -f.level)
    says = "; ".join(finding.says for finding in bad) or _summary(facts or {})
    # An error may have several lines; and a | would begin the figures.
    says = " ".join(says.split()).replace("|", "/")
    line = text.escape(f"QUEUECTL {level.name} - {says}")
    if perfdata and facts is not None:
        line += f" | {' '.join(_figures(findings, facts, limits))}"
    output.line(line)


def _summary(facts: dict[str, Any]) -> str:
    waiting = facts["pending"] + facts["failed"]
    return (
        f"{waiting} waiting, {facts['processing']} running, {facts['dead']} dead; "
        f"workers: {facts['workers']['active']}"
    )


_UNITS = {"duration": "s", "size": "B", "count": ""}


def _figures(
    findings: Sequence[Finding], facts: dict[str, Any], limits: dict[str, Thresholds]
) -> Iterator[str]:
    """Yield figures as performance data of the Monitoring Plugins guidelines."""
    for name in ("pending", "processing", "failed"):
        if facts[name] is not None:
            yield f"{name}={facts[name]}"
    for finding in findings:
        if finding.value is None:
            continue
        gauge = GAUGES[finding.check]
        critical, warning = (_range(gauge, limit) for limit in limits[finding.check])
        value = f"{finding.value:.10g}{_UNITS[gauge.kind]}"
        yield f"{finding.check}={value};{warning};{critical}"


def _range(gauge: Gauge, limit: float | None) -> str:
    """Return a limit as the range of good values: ``10:`` is ten and more."""
    if limit is None:
        return ""
    return f"{limit:.10g}:" if gauge.sinks else f"{limit:.10g}"


def _document(
    findings: Sequence[Finding], facts: dict[str, Any] | None
) -> dict[str, Any]:
    level = judging.worst(list(findings))
    return {
        "status": level.name.lower(),
        "code": int(level),
        "findings": [
            {
                "check": finding.check,
                "level": finding.level.name.lower(),
                "says": finding.says,
                "value": finding.value,
            }
            for finding in findings
        ],
        "facts": facts,
    }


def _told(gauge: Gauge) -> str:
    limits = ", ".join(
        "off" if limit is None else gauge.text(limit)
        for limit in (gauge.warning, gauge.critical)
    )
    less = "under " if gauge.sinks else ""
    return f"{gauge.doc} ({less}{limits})"
