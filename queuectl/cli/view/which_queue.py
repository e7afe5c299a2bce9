"""The queue that a command is connected to, for people and for programs."""

import os
import pwd
from typing import Any

from queuectl.paths import Queue
from queuectl.sync.session import Session


def facts(client: Session) -> dict[str, Any]:
    """Return which queue it is: ``kind``, ``socket`` and the daemon's ``uid``."""
    place = client.place
    return {
        "kind": place.queue.value,
        "socket": os.path.abspath(place.socket),  # noqa: PTH100 - the paths are strings here
        "uid": client.greeting["uid"],
    }


def title(queue: dict[str, Any]) -> str:
    """Return the facts in words."""
    whose = {
        Queue.USER.value: "your own",
        Queue.SYSTEM.value: "the system's",
    }.get(queue["kind"], "by its socket")
    if queue["uid"] != os.geteuid():
        whose += f", run by {_name(queue['uid'])}"
    return f"{whose}: {queue['socket']}"


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
