"""The connection of a command, which remembers whether it changed anything."""

from collections.abc import Mapping
from typing import Any

from queuectl.cli import output
from queuectl.session import Session

READING = frozenset(
    {
        "config.get", "config.list", "daemon.status", "describe", "doctor", "get",
        "health", "list", "logs.follow", "logs.read", "ping", "position", "stats",
        "status", "unfollow", "wait", "workers.list", "workers.wait",
    }
)  # fmt: skip
"""Methods that only look. Any other, also one of a newer daemon, may have changed
something, and what the command says of that must not get lost."""


class Asking(Session):
    """A session for which ``output`` keeps what is said of changes."""

    def _send(
        self, method: str, params: Mapping[str, Any], *, stream: bool = False
    ) -> int:
        if method not in READING:
            output.keep()
        return super()._send(method, params, stream=stream)
