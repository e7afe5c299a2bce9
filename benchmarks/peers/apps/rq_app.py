"""RQ."""

import os
from collections.abc import Callable

from redis import Redis
from rq import Queue
from shell import run


def connect() -> Callable[[str], object]:
    """Return what enqueues a job."""
    queue = Queue(connection=Redis(unix_socket_path=os.environ["PEER_REDIS"]))

    def enqueue(command: str) -> object:
        return queue.enqueue(run, command, result_ttl=0)

    return enqueue
