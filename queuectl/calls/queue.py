"""The queue as a whole: its state, its statistics, its protocol."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from queuectl import inherit
from queuectl.calls.call import (
    Call,
    as_model,
    as_models,
    as_nothing,
    given,
    optional_seconds,
)
from queuectl.submission import Seconds

if TYPE_CHECKING:
    from queuectl.models import Backup, Check, Health, Stats, Status


def status() -> Call[Status]:
    """Return how many jobs are in each state, and how many workers there are."""
    return Call("status", {}, as_model("Status"))


def health() -> Call[Health]:
    """Return the figures that a monitor needs.

    The daemon answers within some seconds, also when its store does not; give the
    client a ``timeout`` for the case that the whole daemon does not.
    ``queuectl.health.judge`` compares the figures with limits.
    """
    return Call("health", {}, as_model("Health"))


def stats(since: Seconds | None = None) -> Call[Stats]:
    """Return what happened in the last ``since`` seconds; None: since the beginning."""
    return Call("stats", given(since=optional_seconds(since)), as_model("Stats"))


def doctor(*, deep: bool = False) -> Call[tuple[Check, ...]]:
    """Return what the daemon finds when it examines itself.

    With ``deep`` it also reads its whole database, which takes up to a minute.
    """
    return Call("doctor", {"deep": True} if deep else {}, as_models("Check", "checks"))


def backup(path: str | os.PathLike[str], *, replace: bool = False) -> Call[Backup]:
    """Have the daemon copy its database to a file, while work goes on.

    The file belongs to the daemon's user, who alone can read it. When this returns, the
    file is on disk; when it raises, there is no file.

    Args:
        path: the path of the copy; the daemon must be able to write there.
        replace: whether the copy may replace a file of that name.

    Raises:
        AlreadyExistsError: there is a file of that name.
        InvalidParamsError: there is no such directory, or the directory is for the
            daemon's own files.
        StorageFullError, StorageError: the copy could not be written.
    """
    # The daemon has another current directory.
    params = {"path": inherit.absolute(path), "replace": replace}
    return Call("backup", params, as_model("Backup"))


def describe() -> Call[dict[str, Any]]:
    """Return the protocol as data: methods, fields, forms, limits and errors.

    The types are there as JSON Schema, too.
    """
    return Call("describe", {}, dict)


def limits() -> Call[dict[str, int]]:
    """Return the daemon's limits, by name: ``max_batch``, ``max_word`` ..."""
    return Call("greet", {}, lambda result: dict(result["limits"]))


def ping() -> Call[None]:
    """Return when the daemon answers."""
    return Call("ping", {}, as_nothing)
