"""The worker processes: the methods of ``Client.workers``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from queuectl.calls.call import (
    Call,
    as_count,
    as_model,
    as_models,
    as_nothing,
    given,
    optional_seconds,
    waits,
)
from queuectl.submission import Seconds

if TYPE_CHECKING:
    from queuectl.models import Scaled, Stopped, Worker


def list_() -> Call[tuple[Worker, ...]]:
    """Return the workers there are."""
    return Call("workers.list", {}, as_models("Worker", "workers"))


@waits("workers.start")
def start(count: int = 1, *, bound: bool = False) -> Call[tuple[Worker, ...]]:
    """Start workers; return them when they are ready.

    Args:
        count: how many more; there are at most 256 in all.
        bound: they belong to this connection: they stop when it ends, and a restart of
            the daemon does not start them again.
    """
    params = {"count": count, "bound": bound}
    return Call("workers.start", params, as_models("Worker", "workers"))


@waits("workers.ensure")
def ensure(count: int = 1) -> Call[int]:
    """Start as many workers as ``count`` lacks; return how many there are."""
    return Call("workers.ensure", {"count": count}, as_count("workers"))


def reserve(job_id: str) -> Call[bool]:
    """Start a worker for one job alone, if no worker takes any job.

    The worker belongs to this connection, and stops when the connection ends, or when
    the job is no longer ready to run. Return whether a worker was started.
    """
    return Call("workers.reserve", {"id": job_id}, lambda result: result["reserved"])


@waits("workers.wait")
def wait() -> Call[None]:
    """Return when no worker is bound to this connection: all were stopped.

    It does not matter who stopped them. Workers that die are replaced, and do not end
    the wait.
    """
    return Call("workers.wait", {}, as_nothing)


@waits("workers.stop")
def stop(
    *,
    timeout: Seconds | None = None,
    now: bool = False,
    numbers: Iterable[int] | None = None,
    count: int | None = None,
) -> Call[Stopped]:
    """Stop workers; return when their processes are gone.

    They take no new jobs and finish those they run. A job that is interrupted instead
    is pending again, and that run does not count.

    Args:
        timeout: interrupt jobs that take longer than this.
        now: interrupt jobs at once.
        numbers: only these workers; None: all, and none are wanted from now on.
        count: only so many, none of them bound, the idle ones first.
    """
    chosen = None if numbers is None else list(numbers)
    limit = optional_seconds(timeout)
    params = given(timeout=limit, now=now, workers=chosen, count=count)
    return Call("workers.stop", params, as_model("Stopped"))


@waits("workers.scale")
def scale(
    count: int, *, timeout: Seconds | None = None, now: bool = False
) -> Call[Scaled]:
    """Start or stop workers until there are ``count`` besides the bound ones.

    Return when the new ones are ready, and the processes of the others gone.

    Args:
        count: how many; 0 is none.
        timeout: as for ``stop``.
        now: as for ``stop``.
    """
    params = given(count=count, timeout=optional_seconds(timeout), now=now)
    return Call("workers.scale", params, as_model("Scaled"))
