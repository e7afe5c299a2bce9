"""Values that fit an argument: job ids, settings, resource limits, variables.

A running daemon is asked, for a short time. On an error nothing fits.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click
from click.shell_completion import CompletionItem

from queuectl import paths
from queuectl.cli.view import job_view, text
from queuectl.errors import QueuectlError
from queuectl.sync.session import Session
from queuectl_protocol.limits import MAX_PAGE
from queuectl_protocol.rlimits import RLIMITS

NEWEST = 50
TIMEOUT = 1.0
"""Seconds: longer than an answer takes, shorter than people wait after Tab."""

WIDTH = 40
"""Columns of a job's command beside its id."""


def job_ids(
    ctx: click.Context, param: click.Parameter, incomplete: str, states: Sequence[str]
) -> list[CompletionItem]:
    """Return the ids of the newest jobs in these states that begin with ``incomplete``.

    Without states: in any. Ids that are on the line already are left out.
    """
    given = ctx.params.get(param.name or "") or ()
    which = {"states": list(states)} if states else {}
    limit = MAX_PAGE if incomplete else NEWEST
    try:
        with _client(ctx) as client:
            jobs = client.call("list", {**which, "limit": limit})["jobs"]
    except QueuectlError:
        return []
    return [
        CompletionItem(job["id"], help=_meaning(job))
        for job in jobs
        if job["id"].startswith(incomplete) and job["id"] not in given
    ]


def _meaning(job: job_view.Fields) -> str:
    command = text.cut(text.escape(job_view.command(job["command"])), WIDTH)
    meaning = f"{job['state']}: {job['label'] or command}"
    return ascii(text.escape(meaning).replace(text.ELLIPSIS, "..."))[1:-1]


def setting_keys(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Return the settings whose key begins with ``incomplete``."""
    try:
        with _client(ctx) as client:
            settings = client.call("config.list")["settings"]
    except QueuectlError:
        return []
    typed = incomplete.replace("-", "_")
    return [
        CompletionItem(setting["key"], help=setting["doc"])
        for setting in settings
        if setting["key"].startswith(typed)
    ]


def rlimit_names(incomplete: str) -> list[CompletionItem]:
    """Return the resource limits whose name begins with ``incomplete``."""
    return [
        CompletionItem(f"{name}=", "joined", help=bounds)
        for name, bounds in RLIMITS.items()
        if name.startswith(incomplete)
    ]


def variables(incomplete: str) -> list[CompletionItem]:
    """Return the environment variables whose name begins with ``incomplete``."""
    return [CompletionItem(name) for name in os.environ if name.startswith(incomplete)]


@contextmanager
def _client(ctx: click.Context) -> Iterator[Session]:
    # click does not run the root command here, it only parses its options. A session
    # with an explicit socket does not wait for a daemon that is starting.
    options = ctx.find_root().params
    queue = next((name for name in ("user", "system") if options.get(name)), None)
    place = paths.find(None if queue else options.get("socket"), queue=queue)
    with Session(place.socket, timeout=TIMEOUT) as client:
        yield client
