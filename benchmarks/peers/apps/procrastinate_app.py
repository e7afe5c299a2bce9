"""Procrastinate: jobs in PostgreSQL."""

import os
from collections.abc import Callable

import shell
from procrastinate import App, PsycopgConnector, SyncPsycopgConnector

app = App(connector=PsycopgConnector(conninfo=os.environ["PEER_POSTGRES"]))


@app.task(name="run")
def run(command: str) -> int:
    """Run a shell command."""
    return shell.run(command)


def connect() -> Callable[[str], object]:
    """Return what enqueues a job."""
    connector = SyncPsycopgConnector(conninfo=os.environ["PEER_POSTGRES"])
    producer = App(connector=connector)
    producer.open()
    deferrer = producer.configure_task("run")

    def enqueue(command: str) -> object:
        return deferrer.defer(command=command)

    return enqueue
