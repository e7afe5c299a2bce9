"""The clients of a campaign: they enqueue, and send again what was not acknowledged."""

import random
import select
import sys
import threading
from dataclasses import dataclass
from typing import Any

from benchmarks.soak.ledger import Ledger, Task
from helpers.home import Home
from helpers.rawclient import RawClient
from queuectl_protocol.messages import Failure

PAUSE = 0.02
"""Seconds until an unacknowledged request is sent again, or the backlog looked at."""

GONE = (OSError, EOFError)


@dataclass(frozen=True, slots=True)
class Mix:
    """Of what sort the jobs are.

    Attributes:
        backlog: so many may wait: enough for every worker, few enough that all get
            their turn.
        batch: so many are enqueued at a time, now and then.
        longest: milliseconds that a medium job runs at most.
        timeout: seconds after which the daemon or the worker ends one.
    """

    backlog: int = 40
    batch: int = 5
    longest: int = 300
    timeout: float = 2.0


class Client(threading.Thread):
    """One client. Gives its jobs ids of its own, so that it can ask again."""

    def __init__(self, name: str, home: Home, ledger: Ledger, seed: str) -> None:
        super().__init__(name=name)
        self._home = home
        self._ledger = ledger
        self._dice = random.Random(seed)
        self._connection: RawClient | None = None
        self._given_up = False
        self.mix = Mix()
        self.limit = sys.maxsize
        self.ending = threading.Event()
        self.failed: list[str] = []

    def run(self) -> None:
        """Enqueue until told to end, or to the limit."""
        number = 0
        try:
            while number < self.limit and not self.ending.is_set():
                size = min(
                    self._dice.choice((1, 1, self.mix.batch)), self.limit - number
                )
                tasks = [self._task(number + each) for each in range(size)]
                number += size
                self._enqueue(tasks)
                self._maybe_cancel(tasks[-1])
                self._wait_for_room()
        except Exception as error:  # noqa: BLE001  # a thread's end must not be silent
            self.failed.append(f"client {self.name}: {error!r}")
        finally:
            self._drop()

    def give_up(self) -> None:
        """End without another answer: the run has failed."""
        self._given_up = True
        self.ending.set()

    def _task(self, number: int) -> Task:
        dice = self._dice
        name = f"{self.name}-{number}"
        short = dice.random() < 0.6
        return Task(
            id=name,
            trace=str(self._home.work / name),
            ms=dice.randrange(10) if short else dice.randrange(20, self.mix.longest),
            size=dice.choice((0, 100, 5000, 200_000)),
            fails=dice.choice((0,) * 9 + (1,)),
            shell=dice.random() < 0.5,
            family=dice.random() < 0.1,
        )

    def _enqueue(self, tasks: list[Task]) -> None:
        for task in tasks:
            self._ledger.ask(task)
        if len(tasks) == 1:
            reply = self._insist("enqueue", job=self._job(tasks[0]), if_exists="return")
            self._ledger.promise(tasks[0], reply)
            return
        jobs = [self._job(task) for task in tasks]
        reply = self._insist("enqueue_many", jobs=jobs, if_exists="return")
        assert reply["ids"] == [task.id for task in tasks], reply
        for task in tasks:
            self._ledger.promise(task, reply)

    def _job(self, task: Task) -> dict[str, Any]:
        lent = {"cwd": str(self._home.work), "umask": "0022", "env": self._home.environ}
        limits = {"timeout": self.mix.timeout, "max_retries": 100_000}
        return {"id": task.id, "command": task.command, **lent, **limits}

    def _maybe_cancel(self, task: Task) -> None:
        if self._dice.random() >= 0.02:
            return
        # Without an answer nothing is promised: then it is asked again.
        reply = self._insist("cancel", may_fail=True, id=task.id)
        if reply is not None:
            self._ledger.cancel(task.id)
        elif self._insist("get", id=task.id)["job"]["state"] == "cancelled":
            self._ledger.cancel(task.id)  # by the request that got no answer

    def _wait_for_room(self) -> None:
        while self._insist("status")["pending"] > self.mix.backlog:
            if self.ending.wait(PAUSE):
                return

    def _insist(self, method: str, *, may_fail: bool = False, **params: Any) -> Any:
        """Ask until there is an answer; None for a refusal, where that is one."""
        while True:
            try:
                if self._connection is None:
                    self._connection = RawClient(self._home.socket)
                end = self._connection.end(self._connection.send(method, **params))
            except GONE:
                self._drop()
            else:
                if not isinstance(end, Failure):
                    return end.result
                if not end.retryable:
                    assert may_fail, end
                    return None
            if self._given_up:
                raise EOFError("told to give up")
            self._ledger.again()
            select.poll().poll(PAUSE * 1000)

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
