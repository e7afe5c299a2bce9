"""What the clients of a campaign asked for and were promised.

Kept outside the system under test, by those who got the replies.
"""

import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).with_name("recorder.py")


@dataclass(frozen=True, slots=True)
class Task:
    """A job as its client means it.

    Attributes:
        trace: the file that its attempts write their lines to.
        ms: how long it runs.
        size: bytes of output between its first and its last line.
        fails: in so many first runs it ends with status 1.
        shell: whether a shell stands between the worker and the recorder.
        family: whether it leaves behind a process that has left its session.
    """

    id: str
    trace: str
    ms: int
    size: int = 0
    fails: int = 0
    shell: bool = False
    family: bool = False

    @property
    def command(self) -> str | list[str]:
        """The command that is enqueued."""
        numbers = (self.ms, self.size, self.fails, int(self.family))
        argv = [sys.executable, "-I", "-S", str(PROGRAM), self.trace]
        argv += map(str, numbers)
        # Two commands: with one, the shell would become the recorder.
        return f"{' '.join(argv)}; exit $?" if self.shell else argv


@dataclass(frozen=True, slots=True)
class Promise:
    """An acknowledged request: what was asked, and the reply."""

    task: Task
    reply: dict[str, Any]


@dataclass(slots=True)
class Ledger:
    """All that was asked and promised.

    Attributes:
        asked: every task that was sent, acknowledged or not.
        promised: acknowledged enqueues, by id.
        cancelled: ids whose cancellation was acknowledged.
        resent: requests that were sent again because no reply came.
    """

    asked: dict[str, Task] = field(default_factory=dict)
    promised: dict[str, Promise] = field(default_factory=dict)
    cancelled: set[str] = field(default_factory=set)
    resent: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, task: Task) -> None:
        """Note a task before it is sent for the first time."""
        with self._lock:
            self.asked[task.id] = task

    def again(self) -> None:
        """Note that a request is sent again."""
        with self._lock:
            self.resent += 1

    def promise(self, task: Task, reply: dict[str, Any]) -> None:
        """Note an acknowledged enqueue."""
        with self._lock:
            self.promised[task.id] = Promise(task, reply)

    def cancel(self, job_id: str) -> None:
        """Note an acknowledged cancellation."""
        with self._lock:
            self.cancelled.add(job_id)
