"""What the shell offers for ids and keys: asked of a daemon that runs, in no time.

Nobody is told of an error while pressing Tab, and no daemon is started for it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import click
from click.shell_completion import CompletionItem

from queuectl.cli import jobview
from queuectl.errors import QueuectlError
from queuectl.session import Session
from queuectl_protocol.rlimits import RLIMITS

NEWEST = 50
TIMEOUT = 1.0
"""Seconds: longer than any answer takes, shorter than people wait for a Tab."""


def job_ids(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Return the newest jobs' ids that begin with what is typed."""
    try:
        with _client(ctx) as client:
            jobs = client.call("list", {"limit": NEWEST})["jobs"]
    except QueuectlError:
        return []
    return [
        CompletionItem(job["id"], help=ascii(jobview.verdict(job))[1:-1])
        for job in jobs
        if job["id"].startswith(incomplete)
    ]


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
        CompletionItem(f"{name}=", help=bounds)
        for name, bounds in RLIMITS.items()
        if name.startswith(incomplete)
    ]


@contextmanager
def _client(ctx: click.Context) -> Iterator[Session]:
    # While completing, click parses the root's options and does not run it.
    options = ctx.find_root().params
    queue = next((name for name in ("user", "system") if options.get(name)), None)
    socket = None if queue else options.get("socket")
    with Session(socket, timeout=TIMEOUT, queue=queue) as client:
        yield client
