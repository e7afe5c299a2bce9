"""Celery with Redis as its broker."""

import os
from collections.abc import Callable

import shell
from celery import Celery

app = Celery("celery_app", broker=f"redis+socket://{os.environ['PEER_REDIS']}")
app.conf.task_ignore_result = True
app.conf.broker_connection_retry_on_startup = True


@app.task
def run(command: str) -> int:
    """Run a shell command."""
    return shell.run(command)


def connect() -> Callable[[str], object]:
    """Return what enqueues a job."""
    return run.delay
