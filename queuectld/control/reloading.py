"""The configuration in force, and how SIGHUP replaces it while the daemon runs."""

import asyncio

from queuectld import config
from queuectld.config import ConfigError, DaemonConfig
from queuectld.control.service_manager import ServiceManager
from queuectld.host import logs
from queuectld.host.thread_pool import ThreadPool

_events = logs.get("daemon")


class Reloader:
    """Holds the configuration in force.

    Attributes:
        config: a reload replaces it; read it at each use.
    """

    def __init__(
        self, configuration: DaemonConfig, service_manager: ServiceManager
    ) -> None:
        self.config = configuration
        self._service_manager = service_manager
        self._reading = ThreadPool("config", 1, ready=True)
        self._wanted = False
        self._task: asyncio.Task[None] | None = None

    def current(self) -> DaemonConfig:
        """Return the configuration in force."""
        return self.config

    def begin(self) -> None:
        """Read the configuration again; if that is going on, once more after it."""
        self._service_manager.reloading()
        self._wanted = True
        if self._task is None:
            self._start()

    def _start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())
        self._task.add_done_callback(self._done)

    async def _run(self) -> None:
        """Read the configuration as often as signals come, and once for many."""
        while self._wanted:
            self._wanted = False
            await self._reload()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if not task.cancelled() and (error := task.exception()) is not None:
            _events.exception("reload_failed", error)
        if self._wanted:  # a signal came after the task had looked for one
            self._start()
        else:
            self._service_manager.reloaded()

    async def _reload(self) -> None:
        try:
            # In a thread: names of users and groups may be a directory service's.
            reloaded = await self._reading.run(config.reload, self.config)
        except ConfigError as error:
            _events.error("reload_refused", problems=str(error))
            return
        self.config = reloaded.config
        logs.adjust(level=self.config.log_level, log_format=self.config.log_format)
        for change in reloaded.applied:
            _events.info("option_changed", key=change.key, value=change.new)
        for change in reloaded.pending:
            _events.warning("option_needs_restart", key=change.key, value=change.new)
