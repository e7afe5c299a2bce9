"""The client of queuectld, a durable job queue for shell commands.

    from queuectl import Client

    with Client() as q:
        job = q.enqueue("make -C build")
        print(q.wait(job.id).exit_code)

``AsyncClient`` has the same methods for asyncio. Importing this package takes almost no
time: each name below is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from queuectl import errors as errors
    from queuectl.aio.client import AsyncClient as AsyncClient
    from queuectl.errors import QueuectlError as QueuectlError
    from queuectl.models import Attempt as Attempt
    from queuectl.models import Job as Job
    from queuectl.submission import NewJob as NewJob
    from queuectl.sync.client import Client as Client
    from queuectl_protocol.version import __version__ as __version__

__all__ = [
    "AsyncClient",
    "Attempt",
    "Client",
    "Job",
    "NewJob",
    "QueuectlError",
    "__version__",
    "errors",
]

_HOMES = {
    "AsyncClient": "queuectl.aio.client",
    "Attempt": "queuectl.models",
    "Client": "queuectl.sync.client",
    "Job": "queuectl.models",
    "NewJob": "queuectl.submission",
    "QueuectlError": "queuectl.errors",
    "__version__": "queuectl_protocol.version",
}


def __getattr__(name: str) -> Any:
    if name == "errors":
        return import_module("queuectl.errors")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value  # the next use does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
