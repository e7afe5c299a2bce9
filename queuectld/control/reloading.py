"""The configuration in force, and how SIGHUP replaces it while the daemon runs."""

import asyncio

from queuectld import config
from queuectld.config import ConfigError, DaemonConfig
from queuectld.control.service_manager import ServiceManager
from queuectld.host import logs
from queuectld.host.thread_pool import ThreadPool

_events = logs.get("daemon")


class Reloader:
    """Holds the configuration in force; ``begin`` replaces it."""

    def __init__(
        self, configuration: DaemonConfig, service_manager: ServiceManager
    ) -> None:
        self._config = configuration
        self._service_manager = service_manager
        self._reading = ThreadPool("config", 1, ready=True)
        self._wanted = False
        self._task: asyncio.Task[None] | None = None

    def current(self) -> DaemonConfig:
        """Return the configuration in force. Call this at each use."""
        return self._config

    def begin(self) -> None:
        """Read the configuration again, after the reload that may be under way."""
        self._service_manager.reloading()
        self._wanted = True
        if self._task is None:
            self._start()

    def _start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())
        self._task.add_done_callback(self._done)

    async def _run(self) -> None:
        """Reload until no request is left; several requests need one reload."""
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
            # In a thread: a directory service may have to look up users and groups.
            reloaded = await self._reading.run(config.reload, self._config)
        except ConfigError as error:
            _events.error("reload_refused", problems=str(error))
            return
        self._config = reloaded.config
        logs.adjust(level=self._config.log_level, log_format=self._config.log_format)
        for change in reloaded.applied:
            _events.info("option_changed", key=change.key, value=change.new)
        for change in reloaded.pending:
            _events.warning("option_needs_restart", key=change.key, value=change.new)
