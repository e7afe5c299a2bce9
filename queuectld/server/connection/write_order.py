"""The order in which one connection's writes take effect: for each job, as sent.

A write starts when earlier writes of its connection to the same job are answered.
Writes to different jobs run side by side and share their commits.
"""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

from queuectld.server.schema.method import Method


class WriteOrder:
    """The writes of one connection that are not answered yet.

    ``_writes`` holds those that the next write to all jobs must wait for: the last
    write to all jobs, and the writes after it.
    """

    def __init__(self) -> None:
        self._last: dict[str, asyncio.Task[None]] = {}
        self._to_all: asyncio.Task[None] | None = None
        self._writes: dict[asyncio.Task[None], None] = {}

    def before(
        self, method: Method, arguments: Mapping[str, Any]
    ) -> list[asyncio.Task[None]]:
        """Return the writes that must be answered before this request starts."""
        if method.changes is None or not self._writes:
            return []
        if not method.changes:
            return [*self._writes]
        first = [] if self._to_all is None else [self._to_all]
        there = (self._last.get(job_id) for job_id in _ids(method, arguments))
        return [*first, *{task: None for task in there if task is not None}]

    def add(
        self, task: asyncio.Task[None], method: Method, arguments: Mapping[str, Any]
    ) -> None:
        """Remember a request, if it is a write, until its task is done."""
        if method.changes is None:
            return
        if not method.changes:
            # It waits for all of these, so a later write need only wait for it.
            self._writes.clear()
            self._to_all = task
        self._writes[task] = None
        ids = set(_ids(method, arguments))
        self._last.update(dict.fromkeys(ids, task))
        task.add_done_callback(lambda done: self._remove(done, ids))

    def _remove(self, task: asyncio.Task[None], ids: set[str]) -> None:
        self._writes.pop(task, None)
        for job_id in ids:
            if self._last.get(job_id) is task:
                del self._last[job_id]
        if self._to_all is task:
            self._to_all = None


def _ids(method: Method, arguments: Mapping[str, Any]) -> Iterator[str]:
    """Yield the ids that a write names; a generated id is not known beforehand."""
    for name in method.changes or ():
        value = arguments[name]
        for item in value if isinstance(value, list) else (value,):
            job_id = item.get("id") if isinstance(item, dict) else item
            if isinstance(job_id, str):
                yield job_id
