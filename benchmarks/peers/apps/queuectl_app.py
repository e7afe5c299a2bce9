"""Queuectl, by its public client."""

from collections.abc import Callable

from queuectl import Client


def connect(path: str) -> Callable[[str], object]:
    """Return what enqueues a job and waits until it is on disk."""
    client = Client(path)

    def enqueue(command: str) -> object:
        return client.enqueue(command, inherit=False)

    return enqueue
