"""What a type checker knows of the clients, whose methods are made from calls."""

import re
from pathlib import Path

from mypy import api

from helpers.daemon import ROOT

PROGRAM = """
from collections.abc import AsyncIterator, Iterator
from typing import assert_type

from queuectl import AsyncClient, Client
from queuectl.aio.stream import AsyncEventStream
from queuectl.models import Attempt, Changed, FollowEvent, Job, Setting, Stopped
from queuectl.sync.stream import EventStream


def blocking(q: Client) -> None:
    assert_type(q.enqueue("true", label="x"), Job)
    assert_type(q.get("1", env=True), Job)
    assert_type(q.list(["dead"], limit=3), Iterator[Job])
    assert_type(q.attempts("1"), tuple[Attempt, ...])
    assert_type(q.cancel_many(["1"]), tuple[Changed, ...])
    assert_type(q.follow("1"), EventStream[FollowEvent, Job])
    assert_type(q.config.set("timeout", "5m"), Setting)
    assert_type(q.workers.stop(timeout=3), Stopped)


async def asynchronous(q: AsyncClient) -> None:
    assert_type(await q.enqueue("true", label="x"), Job)
    assert_type(await q.get("1", env=True), Job)
    assert_type(q.list(["dead"], limit=3), AsyncIterator[Job])
    assert_type(await q.attempts("1"), tuple[Attempt, ...])
    assert_type(await q.cancel_many(["1"]), tuple[Changed, ...])
    assert_type(q.follow("1"), AsyncEventStream[FollowEvent, Job])
    assert_type(await q.config.set("timeout", "5m"), Setting)
    assert_type(await q.workers.stop(timeout=3), Stopped)
"""

MISTAKES = """
    await q.get(1)
    await q.retry("1", state="dead")
"""


def test_methods_have_the_types_of_their_calls(tmp_path: Path) -> None:
    """Parameters and results, of both clients; only the last two lines are wrong."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM + MISTAKES)
    arguments = ["--strict", "--config-file", str(ROOT / "pyproject.toml")]
    told, _, _ = api.run([*arguments, "--cache-dir", str(tmp_path), str(program)])
    assert re.findall(r": error: .*\[(.*)\]", told) == ["arg-type", "call-arg"], told
