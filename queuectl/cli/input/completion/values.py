"""What the shell offers for ids, keys and paths: asked of a daemon that runs, quickly.

Nobody is told of an error while pressing Tab, and no daemon is started for it.
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
"""Seconds: longer than any answer takes, shorter than people wait for a Tab."""

WIDTH = 40
"""Columns of a job's command beside its id."""


def job_ids(
    ctx: click.Context, param: click.Parameter, incomplete: str, states: Sequence[str]
) -> list[CompletionItem]:
    """Return the newest jobs' ids that begin with what is typed.

    Those in the given states, or in any if there are none, and not given already.
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
    """Return the settings whose key begins with what is typed."""
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
    """Return the resource limits whose name begins with what is typed."""
    return [
        CompletionItem(f"{name}=", "joined", help=bounds)
        for name, bounds in RLIMITS.items()
        if name.startswith(incomplete)
    ]


def variables(incomplete: str) -> list[CompletionItem]:
    """Return the variables that are set here; a value is nobody's to guess."""
    return [CompletionItem(name) for name in os.environ if name.startswith(incomplete)]


@contextmanager
def _client(ctx: click.Context) -> Iterator[Session]:
    # While completing, click parses the root's options and does not run it. A socket
    # that is named is connected to at once or not at all.
    options = ctx.find_root().params
    queue = next((name for name in ("user", "system") if options.get(name)), None)
    place = paths.find(None if queue else options.get("socket"), queue=queue)
    with Session(place.socket, timeout=TIMEOUT) as client:
        yield client
