"""The methods about one subject, behind one attribute of ``Client`` each.

They are documented in the file of ``queuectl.calls`` that has the group's name.
"""

from __future__ import annotations

from queuectl.calls import config, daemon, dlq, workers
from queuectl.sync.methods import iterator, method, method_of_many
from queuectl.sync.session import Session


class Group:
    """Methods of one client."""

    def __init__(self, session: Session) -> None:
        self._session = session


class Dlq(Group):
    """The dead letter queue: jobs that failed more often than they may."""

    list = iterator(dlq.list_)
    retry = method(dlq.retry)
    retry_many = method_of_many(dlq.retry_many)
    delete_many = method_of_many(dlq.delete_many)
    retry_all = method(dlq.retry_all)
    purge = method(dlq.purge)


class Config(Group):
    """The job settings. A ``Setting`` says which jobs a new value applies to."""

    get = method(config.get)
    set = method(config.set_)
    unset = method(config.unset)
    list = method(config.list_)


class Workers(Group):
    """The worker processes, each of which runs one job at a time."""

    list = method(workers.list_)
    start = method(workers.start)
    ensure = method(workers.ensure)
    reserve = method(workers.reserve)
    wait = method(workers.wait)
    stop = method(workers.stop)
    scale = method(workers.scale)


class Daemon(Group):
    """The daemon itself."""

    status = method(daemon.status)
    stop = method(daemon.stop)
    restart = method(daemon.restart)
