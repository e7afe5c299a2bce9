"""The composition root: makes every part of the daemon, and ends them in order.

It knows every part; no part knows it. What it decides by itself is the order of
things: the lock before the database, what the last daemon left before new promises,
the socket before READY, and at the end the same backwards.
"""

import asyncio
import os
import random
import secrets
import signal
from collections.abc import Callable
from enum import Enum

from queuectl_protocol import __version__
from queuectld import config
from queuectld.broker import Broker
from queuectld.clock import SystemClock
from queuectld.config import ConfigError, DaemonConfig
from queuectld.control import attempts, scheduler
from queuectld.control.scheduler import Scheduler
from queuectld.control.service_manager import ServiceManager
from queuectld.host import cgroup_delegation, logs, sd_notify, statedir
from queuectld.host.crew import Crew
from queuectld.host.statedir import StartError, StateDirectory
from queuectld.linux import rlimits, syscalls
from queuectld.server.connection.listener import Listener, ListenError
from queuectld.server.connection.path_guard import PathGuard
from queuectld.server.context import Context
from queuectld.store.api import StoreOpenError, StoreTooNewError
from queuectld.store.sqlite.store import SqliteStore
from queuectld.workers.daemon_side.pool import Places

__all__ = ["StartError", "run"]

CLOSING = 5.0
"""Seconds, at most and by far, to close connections and to empty the store's log."""

_events = logs.get("daemon")


class Ending(Enum):
    """How the daemon has been asked to end; a later one overrides an earlier one."""

    STOP = "stop"
    NOW = "now"
    RESTART = "restart"


def run(settings: DaemonConfig, *, ready: Callable[[], None]) -> int:
    """Run the daemon until it is asked to end; return the exit status.

    Args:
        settings: the configuration in force at the start.
        ready: called once, when the socket answers.

    Raises:
        StartError: it could not start; the message is for a person.
    """
    os.umask(0o077)
    os.chdir("/")
    with statedir.take(settings) as state:
        return asyncio.run(Daemon(settings, state).run(ready))


class Daemon:
    """One run of the daemon, from the open database to the closed one."""

    def __init__(self, settings: DaemonConfig, state: StateDirectory) -> None:
        self._config = settings
        self._state = state
        self._clock = SystemClock()
        self._started_at = self._clock.wall()
        self._service_manager = ServiceManager.take(os.environ, self._clock)
        self._ending: Ending | None = None
        self._asked = asyncio.Event()
        self._signals = 0  # that ask for a stop
        self._passed: list[sd_notify.Listener] = []
        self._socket = settings.socket
        self._reloading = Crew("config", 1, ready=True)
        self._reload_wanted = False
        self._reload: asyncio.Task[None] | None = None

    async def run(self, ready: Callable[[], None]) -> int:
        """Open everything, serve, close everything."""
        syscalls.become_subreaper()
        self._take_sockets()
        self._service_manager.starting("opening the database")
        try:
            self._store = SqliteStore(self._config.database)
        except StoreTooNewError as error:
            raise StartError(str(error), statedir.DATABASE_TOO_NEW) from None
        except StoreOpenError as error:
            raise StartError(str(error)) from None
        try:
            await self._open()
            await self._serve(ready)
        finally:
            await self._service_manager.close()
            await self._store.close()
        _events.info("daemon_stopped", how=self._ending and self._ending.value)
        return 0

    async def _open(self) -> None:
        settings = self._config
        self._broker = Broker(self._store, self._clock, random.random)
        await self._broker.open()
        as_submitter = settings.as_submitter
        subtree = self._subtree = self._take_subtree()
        self._broker.means = cgroup_delegation.means(subtree, as_submitter=as_submitter)
        places = Places(
            store_id=f"{self._broker.store_id}.{self._state.identity}",
            output=settings.output_dir,
            spool=settings.spool_dir,
            records=settings.workers_dir,
            socket=self._socket,
            descriptors=rlimits.raise_descriptors(),
            cgroup=subtree.directory,
            means=self._broker.means,
            as_submitter=as_submitter,
        )
        self._scheduler = Scheduler(self._broker, self._store, places, self._clock)
        self._listen_to_signals()
        self._service_manager.starting("looking after what the last daemon left")
        await self._scheduler.open()

    def _take_sockets(self) -> None:
        """Take what systemd passed; jobs and clients are told of its path, if any."""
        try:
            self._passed = sd_notify.take_listeners(os.environ, os.getpid())
        except sd_notify.ActivationError as error:
            raise StartError(str(error)) from None
        paths = (passed.path for passed in self._passed)
        self._socket = next(filter(None, paths), self._config.socket)

    def _take_subtree(self) -> cgroup_delegation.Subtree:
        try:
            return cgroup_delegation.take(self._config.cgroup)
        except cgroup_delegation.DelegationError as error:
            raise StartError(str(error)) from None

    async def _serve(self, ready: Callable[[], None]) -> None:
        listener = await self._listen()
        presence = PathGuard(
            self._config,
            self._state,
            listener,
            records_lost=self._scheduler.pool.record_again,
            lost=lambda: self._ask(Ending.NOW),
        )
        watching = asyncio.create_task(presence.run())
        watching.add_done_callback(_presence_ended)
        scheduling = asyncio.create_task(self._scheduler.run())
        scheduling.add_done_callback(self._scheduler_ended)
        _events.info(
            "daemon_ready",
            version=__version__,
            pid=os.getpid(),
            socket=self._socket,
            state_dir=self._config.state_dir,
            cgroup=self._subtree.directory,
            controllers=sorted(self._subtree.controllers),
        )
        await self._service_manager.ready(
            self._store, self._broker, self._scheduler.pool
        )
        ready()
        await self._end()
        watching.cancel()
        presence.leave()
        await listener.close()
        scheduling.cancel()
        await self._scheduler.close()
        await asyncio.wait([scheduling])
        if not scheduling.cancelled() and (error := scheduling.exception()):
            raise error

    async def _listen(self) -> Listener:
        context = Context(
            broker=self._broker,
            scheduler=self._scheduler,
            store_facts=self._store.facts,
            backup=lambda path, replace: self._store.backup(
                path, replace=replace, wall=self._clock.wall
            ),
            examine=self._store.examine,
            config=lambda: self._config,
            socket=self._socket,
            clock=self._clock,
            instance=secrets.token_hex(8),
            started_at=self._started_at,
            stop=lambda now: self._ask(Ending.NOW if now else Ending.STOP),
            restart=lambda: self._ask(Ending.RESTART),
        )
        try:
            return await Listener.open(context, [p.socket for p in self._passed])
        except ListenError as error:
            raise StartError(str(error)) from None

    # -- ending -------------------------------------------------------------------

    async def _end(self) -> None:
        """Wait to be asked, then let jobs end as the way of asking says."""
        await self._asked.wait()
        if self._restarts():
            self._service_manager.restarting(self._closes_within())
            return
        grace = self._config.shutdown_grace
        _events.info("daemon_draining", grace=grace)
        self._service_manager.draining(
            grace
            + self._broker.settings.kill_grace
            + scheduler.DRAIN_SPARE
            + self._closes_within()
        )
        draining = asyncio.create_task(self._scheduler.drain(grace))
        while not draining.done() and not self._restarts():
            if self._ending is Ending.NOW:
                self._scheduler.end_now()
            self._asked.clear()
            again = asyncio.create_task(self._asked.wait())
            await asyncio.wait([draining, again], return_when="FIRST_COMPLETED")
            again.cancel()
        if draining.done():
            draining.result()
        else:
            self._service_manager.restarting(self._closes_within())
        draining.cancel()

    def _closes_within(self) -> float:
        """Return the seconds that it takes to end once no job is waited for."""
        return attempts.CLOSE_WITHIN + CLOSING

    def _restarts(self) -> bool:
        return self._ending is Ending.RESTART

    def _ask(self, ending: Ending) -> None:
        """Be asked to end; to be asked for a stop again changes nothing."""
        if ending is Ending.STOP and self._ending is not None:
            return
        self._ending = ending
        self._asked.set()

    def _signalled(self) -> None:
        """Take a signal for a stop; a second one means: at once.

        Not a request, however often it comes: a client may repeat one whose reply it
        has not seen, and two of them need not know of each other.
        """
        self._signals += 1
        self._ask(Ending.STOP if self._signals == 1 else Ending.NOW)

    def _scheduler_ended(self, task: asyncio.Task[None]) -> None:
        """A scheduler that fails must not leave a daemon that only looks alive."""
        if not task.cancelled() and (error := task.exception()) is not None:
            _events.exception("scheduler_failed", error)
            self._ask(Ending.RESTART)

    # -- signals ------------------------------------------------------------------

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)
        loop.add_signal_handler(signal.SIGUSR1, self._ask, Ending.RESTART)
        loop.add_signal_handler(signal.SIGHUP, self._begin_reload)
        loop.add_signal_handler(signal.SIGCHLD, self._child_ended)

    def _child_ended(self) -> None:
        self._scheduler.pool.reap()
        self._service_manager.changed()

    def _begin_reload(self) -> None:
        self._service_manager.reloading()
        self._reload_wanted = True
        if self._reload is None:
            self._reload = asyncio.get_running_loop().create_task(self._reload_all())
            self._reload.add_done_callback(self._reload_ended)

    async def _reload_all(self) -> None:
        """Read the configuration as often as signals come, and once for many."""
        while self._reload_wanted:
            self._reload_wanted = False
            await self._reload_once()

    def _reload_ended(self, task: asyncio.Task[None]) -> None:
        self._reload = None
        if not task.cancelled() and (error := task.exception()) is not None:
            _events.exception("reload_failed", error)
        self._service_manager.reloaded()

    async def _reload_once(self) -> None:
        try:
            # In a thread: names of users and groups may be a directory service's.
            reloaded = await self._reloading.run(config.reload, self._config)
        except ConfigError as error:
            _events.error("reload_refused", problems=str(error))
        else:
            self._config = reloaded.config
            logs.adjust(
                level=self._config.log_level, log_format=self._config.log_format
            )
            for change in reloaded.applied:
                _events.info("option_changed", key=change.key, value=change.new)
            for change in reloaded.pending:
                _events.warning(
                    "option_needs_restart", key=change.key, value=change.new
                )


def _presence_ended(task: asyncio.Task[None]) -> None:
    """Without it the daemon goes on, but stays unreachable once it has become so."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _events.exception("presence_failed", error)
