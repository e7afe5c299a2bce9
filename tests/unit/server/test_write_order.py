"""Which earlier writes of its connection a write waits for."""

import asyncio
import random
from typing import Any

from queuectld.server.connection.write_order import WriteOrder
from queuectld.server.schema import params
from queuectld.server.schema.method import Method


async def handler(*_: Any, **__: Any) -> dict[str, Any]:
    """Do nothing: these tests call no method."""
    raise NotImplementedError


TO_ONE = Method(
    name="one",
    doc="",
    handler=handler,
    params=(params.text("id", ""),),
    changes=("id",),
)
TO_ALL = Method(name="all", doc="", handler=handler, changes=())
READS = Method(name="reads", doc="", handler=handler)


class Requests:
    """Requests of one connection, and what each waits for."""

    def __init__(self) -> None:
        self.order = WriteOrder()
        self.over = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []
        self.waits: list[list[int]] = []

    def send(self, method: Method, **arguments: Any) -> None:
        """Start a request as a connection does."""
        first = self.order.before(method, arguments)
        self.waits.append([self.tasks.index(task) for task in first])
        task = asyncio.create_task(self._answer(first))
        self.order.add(task, method, arguments)
        self.tasks.append(task)

    async def end(self) -> None:
        """Answer all."""
        self.over.set()
        await asyncio.gather(*self.tasks)

    def come_before(self, number: int) -> set[int]:
        """Return all requests that are answered before one starts, also indirectly."""
        found: set[int] = set()
        due = [number]
        while due:
            new = set(self.waits[due.pop()]) - found
            found |= new
            due += new
        return found

    async def _answer(self, first: list[asyncio.Task[None]]) -> None:
        if first:
            await asyncio.wait(first)
        await self.over.wait()


def test_many_writes_to_all_wait_for_little_each() -> None:
    """A write to all jobs waits for all earlier writes, directly or not."""

    async def count() -> int:
        requests = Requests()
        for n in range(300):
            requests.send(TO_ONE, id=str(n))
        for _ in range(300):
            requests.send(TO_ALL)
        for n in range(300):
            requests.send(TO_ONE, id=str(n))
            requests.send(TO_ALL)
        await requests.end()
        assert requests.order.before(TO_ALL, {}) == []
        return sum(map(len, requests.waits))

    # One to all of the first, then one for each, or two: itself and the last to all.
    assert asyncio.run(count()) <= 300 + 300 + 300 * 4


def test_what_concerns_one_job_is_answered_in_the_order_it_was_sent() -> None:
    """It waits for earlier writes to the same job, directly or not."""

    async def mix(seed: int) -> None:
        choose = random.Random(seed)
        requests, sent = Requests(), []
        for _ in range(40):
            method = choose.choices([TO_ONE, TO_ALL, READS], [6, 2, 1])[0]
            given = {"id": choose.choice("abc")} if method is TO_ONE else {}
            requests.send(method, **given)
            sent.append((method, given))
        for number, (method, given) in enumerate(sent):
            concerns = {
                earlier
                for earlier, (other, theirs) in enumerate(sent[:number])
                if READS not in (method, other)
                and (TO_ALL in (method, other) or given == theirs)
            }
            assert requests.come_before(number) >= concerns, (seed, number)
            assert concerns.issuperset(requests.waits[number]), (seed, number)
        await requests.end()

    for seed in range(50):
        asyncio.run(mix(seed))
