"""The composition root: makes every part of the daemon, and ends them in order.

It knows every part; no part knows it. Each part gets what it needs as arguments of its
constructor, in one direction: a part is made after those that it uses. What is decided
here is the order of things: the lock before the database, what the last daemon left
before new promises, the socket before READY, and at the end the same backwards.
"""

import asyncio
import os
import random
import secrets
import signal
from collections.abc import Callable
from pathlib import Path

from queuectl_protocol import __version__
from queuectld.broker import Broker
from queuectld.clock import SystemClock
from queuectld.config import DaemonConfig
from queuectld.control import attempts
from queuectld.control.adoption import Adoption
from queuectld.control.agenda import Agenda
from queuectld.control.attempts import Attempts
from queuectld.control.desired import DesiredWorkers
from queuectld.control.draining import Drain
from queuectld.control.housekeeping import Housekeeping
from queuectld.control.left_results import LeftResults
from queuectld.control.pruning import Pruner
from queuectld.control.recovery import Recovery
from queuectld.control.reloading import Reloader
from queuectld.control.scheduler import Scheduler
from queuectld.control.service_manager import ServiceManager
from queuectld.control.shutdown import Shutdown, StopMode
from queuectld.control.starting import WorkerStarter
from queuectld.control.supervisor import Supervisor
from queuectld.control.waiting import WaitingRequests
from queuectld.control.wakeup import WakeUp
from queuectld.host import cgroup_delegation, logs, sd_notify, statedir
from queuectld.host.cgroup_delegation import Subtree
from queuectld.host.statedir import StartError, StateDirectory
from queuectld.linux import rlimits, syscalls
from queuectld.server.connection.listener import Listener, ListenError
from queuectld.server.connection.path_guard import PathGuard
from queuectld.server.parts import Parts
from queuectld.store.api import StoreOpenError, StoreTooNewError
from queuectld.store.sqlite.store import SqliteStore
from queuectld.workers.daemon_side.pool import Pool
from queuectld.workers.daemon_side.worker_config import WorkerConfig

__all__ = ["StartError", "run"]

CLOSING = 5.0
"""Seconds in which connections are closed and the store's log is emptied, at most."""

_events = logs.get("daemon")


def run(config: DaemonConfig, *, ready: Callable[[], None]) -> int:
    """Run the daemon until it is asked to end; return the exit status.

    Args:
        config: the configuration in force at the start.
        ready: called once, when the socket answers.

    Raises:
        StartError: it could not start; the message is for a person.
    """
    os.umask(0o077)
    os.chdir("/")
    with statedir.take(config) as state:
        return asyncio.run(Daemon(config, state).run(ready))


class Daemon:
    """One run of the daemon, from the open database to the closed one."""

    def __init__(self, config: DaemonConfig, state: StateDirectory) -> None:
        """Make what is needed before the database is open."""
        self._state = state
        self._clock = SystemClock()
        self._started_at = self._clock.wall()
        self._shutdown = Shutdown()
        self._service_manager = ServiceManager.take(os.environ, self._clock)
        self._reloader = Reloader(config, self._service_manager)

    async def run(self, ready: Callable[[], None]) -> int:
        """Open everything, serve, close everything."""
        syscalls.become_subreaper()
        self._passed = _take_sockets()
        self._service_manager.starting("opening the database")
        self._store = _open_store(self._reloader.current())
        try:
            await self._open_broker()
            await self._make_control()
            self._listen_to_signals()
            self._service_manager.starting("looking after what the last daemon left")
            await self._adoption.run()
            await self._serve(ready)
        finally:
            await self._service_manager.close()
            await self._store.close()
        ending = self._shutdown.ending
        _events.info("daemon_stopped", how=ending and ending.value)
        return 0

    # -- composition --------------------------------------------------------------

    async def _open_broker(self) -> None:
        """Make the queue itself, without its workers."""
        config, clock = self._reloader.current(), self._clock
        self._subtree = _take_subtree(config)
        self._wakeup = WakeUp(clock)
        self._agenda = Agenda(
            clock, self._wakeup, on_write=self._service_manager.changed
        )
        self._broker = Broker(
            self._store,
            self._agenda,
            clock,
            random.random,
            cgroup_delegation.means(self._subtree, as_submitter=config.as_submitter),
        )
        await self._broker.open()

    def _worker_config(self) -> WorkerConfig:
        config, cgroup = self._reloader.current(), self._subtree.directory
        return WorkerConfig(
            store_id=f"{self._broker.store_id}.{self._state.identity}",
            output_dir=str(config.output_dir),
            spool_dir=str(config.spool_dir),
            records_dir=str(config.workers_dir),
            socket=str(self._socket()),
            descriptors=rlimits.raise_descriptors(),
            cgroup=str(cgroup) if cgroup else None,
            means=self._broker.means,
            as_submitter=config.as_submitter,
        )

    async def _make_control(self) -> None:
        """Make the parts that start workers, give them jobs, and end both."""
        broker, wakeup, clock = self._broker, self._wakeup, self._clock
        worker_config = self._worker_config()
        waiting = WaitingRequests()
        desired = DesiredWorkers(broker, waiting, wakeup)
        await desired.open()
        self._pool = pool = Pool(worker_config, clock)
        starter = WorkerStarter(broker, pool, desired, waiting, clock)
        self._supervisor = supervisor = Supervisor(
            broker=broker,
            pool=pool,
            desired=desired,
            waiting=waiting,
            starter=starter,
            wakeup=wakeup,
        )
        results = LeftResults(pool, worker_config)
        recovery = Recovery(broker, pool, results, worker_config, clock)
        self._attempts = Attempts(
            broker=broker,
            pool=pool,
            desired=desired,
            recovery=recovery,
            results=results,
            wakeup=wakeup,
            clock=clock,
        )
        self._adoption = Adoption(
            broker=broker,
            pool=pool,
            attempts=self._attempts,
            recovery=recovery,
            results=results,
            config=worker_config,
        )
        self._pruner = Pruner(broker, worker_config.output_dir, clock)
        self._scheduler = Scheduler(
            broker=broker,
            pool=pool,
            desired=desired,
            starter=starter,
            supervisor=supervisor,
            attempts=self._attempts,
            housekeeping=Housekeeping(self._store, self._pruner, self._agenda),
            agenda=self._agenda,
            wakeup=wakeup,
            clock=clock,
        )
        self._drain = Drain(broker, pool, desired, supervisor, wakeup)

    def _parts(self) -> Parts:
        """Return the parts that the server uses."""
        return Parts(
            store=self._store,
            broker=self._broker,
            pool=self._pool,
            supervisor=self._supervisor,
            attempts=self._attempts,
            pruner=self._pruner,
            shutdown=self._shutdown,
            config=self._reloader.current,
            socket=self._socket(),
            clock=self._clock,
            instance=secrets.token_hex(8),
            started_at=self._started_at,
        )

    def _socket(self) -> Path:
        """Return the path of the socket, as jobs and clients are told of it."""
        paths = (each.path for each in self._passed)
        return next(filter(None, paths), self._reloader.current().socket)

    # -- life ---------------------------------------------------------------------

    async def _serve(self, ready: Callable[[], None]) -> None:
        """Serve until asked to end, let running jobs end, then close what serves."""
        listener = await self._listen()
        config = self._reloader.current()
        path_guard = PathGuard(
            config,
            self._state,
            listener,
            records_lost=self._pool.record_again,
            lost=self._shutdown.stop_now,
        )
        watching = asyncio.create_task(path_guard.run())
        watching.add_done_callback(_path_guard_ended)
        scheduling = asyncio.create_task(self._scheduler.run())
        scheduling.add_done_callback(self._scheduler_ended)
        _events.info(
            "daemon_ready",
            version=__version__,
            pid=os.getpid(),
            socket=self._socket(),
            state_dir=config.state_dir,
            cgroup=self._subtree.directory,
            controllers=sorted(self._subtree.controllers),
        )
        await self._service_manager.ready(self._store, self._broker, self._pool)
        ready()
        await self._shutdown.requested()
        await self._let_jobs_end()
        watching.cancel()
        path_guard.leave()
        await listener.close()
        scheduling.cancel()
        await self._scheduler.close()
        await asyncio.wait([scheduling])
        if not scheduling.cancelled() and (error := scheduling.exception()):
            raise error

    async def _listen(self) -> Listener:
        sockets = [each.socket for each in self._passed]
        try:
            return await Listener.open(self._parts(), sockets)
        except ListenError as error:
            raise StartError(str(error)) from None

    async def _let_jobs_end(self) -> None:
        """Let running jobs end as requested; a later request may change the way."""
        shutdown, manager = self._shutdown, self._service_manager
        # Seconds that the rest takes when no job is waited for any more.
        closing = attempts.CLOSE_WITHIN + CLOSING
        if shutdown.restarts:
            manager.restarting(closing)
            return
        grace = self._reloader.current().shutdown_grace
        _events.info("daemon_draining", grace=grace)
        manager.draining(self._drain.within(grace) + closing)
        draining = asyncio.create_task(self._drain.run(grace))
        while not draining.done() and not shutdown.restarts:
            if shutdown.ending is StopMode.NOW:
                self._drain.end_now()
            again = asyncio.create_task(shutdown.requested())
            await asyncio.wait([draining, again], return_when="FIRST_COMPLETED")
            again.cancel()
        if draining.done():
            draining.result()
        else:
            manager.restarting(closing)
        draining.cancel()

    def _scheduler_ended(self, task: asyncio.Task[None]) -> None:
        """End the daemon if the scheduler failed: without it no job would ever run."""
        if not task.cancelled() and (error := task.exception()) is not None:
            _events.exception("scheduler_failed", error)
            self._shutdown.restart()

    # -- signals ------------------------------------------------------------------

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._shutdown.signalled)
        loop.add_signal_handler(signal.SIGUSR1, self._shutdown.restart)
        loop.add_signal_handler(signal.SIGHUP, self._reloader.begin)
        loop.add_signal_handler(signal.SIGCHLD, self._child_ended)

    def _child_ended(self) -> None:
        self._pool.reap()
        self._service_manager.changed()


def _take_sockets() -> list[sd_notify.PassedSocket]:
    """Take the sockets that systemd passed."""
    try:
        return sd_notify.take_listeners(os.environ, os.getpid())
    except sd_notify.ActivationError as error:
        raise StartError(str(error)) from None


def _open_store(config: DaemonConfig) -> SqliteStore:
    try:
        return SqliteStore(config.database)
    except StoreTooNewError as error:
        raise StartError(str(error), statedir.DATABASE_TOO_NEW) from None
    except StoreOpenError as error:
        raise StartError(str(error)) from None


def _take_subtree(config: DaemonConfig) -> Subtree:
    try:
        return cgroup_delegation.take(config.cgroup)
    except cgroup_delegation.DelegationError as error:
        raise StartError(str(error)) from None


def _path_guard_ended(task: asyncio.Task[None]) -> None:
    """Log a failure: the daemon goes on, but does not repair its socket any more."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _events.exception("presence_failed", error)
