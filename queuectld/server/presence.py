"""Sees to it that the daemon can be found as long as it runs, and that it ends if not.

What a client, a worker or the next daemon looks for can vanish: a logout removes the
runtime directory, a cleaner an old socket, a person the whole state directory. inotify
tells; nothing is looked at while nothing happens.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from queuectl_protocol.paths import SOCKET_NAME
from queuectld import logs, statedir
from queuectld.config import DaemonConfig
from queuectld.server import signpost
from queuectld.server.inotify import Change, Watcher
from queuectld.server.listener import Listener, ListenError
from queuectld.statedir import StateDirectory

_log = logs.get("presence")


SETTLE = 0.5
"""Seconds after a change: who removes a whole directory is not to find new things in
it before the lock is gone as well."""


class Presence:
    """Watches the places of one daemon.

    Args:
        settings: where the places are.
        state: the state directory that is held.
        listener: the sockets.
        records_lost: called when the workers' records have vanished with their
            directory, which is there again.
        lost: called once, when the state directory is gone.
    """

    def __init__(
        self,
        settings: DaemonConfig,
        state: StateDirectory,
        listener: Listener,
        *,
        records_lost: Callable[[], None],
        lost: Callable[[], None],
    ) -> None:
        self._config = settings
        self._state = state
        self._listener = listener
        self._records_lost = records_lost
        self._lost = lost
        self._own = settings.state_dir / SOCKET_NAME
        self._target: Path | None = None
        self._watcher = Watcher()
        self._told = ""

    async def run(self) -> None:
        """Watch until cancelled, or until the state directory is gone."""
        wake = asyncio.Event()
        try:
            while True:
                wake.clear()
                self._arm(wake)  # and look after that: what was before is not told
                if not self._state.is_held():
                    _log.error("state_dir_gone", state_dir=self._config.state_dir)
                    self._lost()
                    return
                await self._restore()
                await wake.wait()
                await asyncio.sleep(SETTLE)
        finally:
            self._watcher.close()

    def leave(self) -> None:
        """Take the link away, unless systemd starts the next daemon where it leads."""
        if self._target is not None and not self._listener.passed:
            signpost.take_down(self._own, self._target)

    # -- what is put back ---------------------------------------------------------

    async def _restore(self) -> None:
        try:
            self._restore_directories()
            await self._restore_socket()
        except (ListenError, OSError) as error:
            # It is tried again at the next change: say it once.
            if str(error) != self._told:
                self._told = str(error)
                _log.error("not_reachable", error=self._told)
        else:
            self._told = ""

    def _restore_directories(self) -> None:
        made = statedir.make_inner(self._config)
        if made:
            _log.warning("directories_made_again", paths=[str(path) for path in made])
        if self._config.workers_dir in made:
            self._records_lost()

    async def _restore_socket(self) -> None:
        """Have the socket where it should be, and a way to it in the state directory.

        Where that cannot be, clients are at least served in the state directory.
        """
        if self._own in self._listener.addresses:
            await self._listener.restore()
            return
        try:
            await self._listener.restore()
        except ListenError:
            await self._listener.add(self._own)
            raise
        for target in self._listener.addresses[:1]:
            signpost.put_up(self._own, target)
            self._target = target

    # -- what is watched ----------------------------------------------------------

    def _arm(self, wake: asyncio.Event) -> None:
        for path, change in self._watched().items():
            # Without a watch to be had, what vanishes stays so until the next start.
            with suppress(OSError):
                self._watcher.arm(str(path), change, wake)

    def _watched(self) -> dict[Path, Change]:
        """Return what to watch: where something is, or else where it may come back."""
        parents = {self._config.state_dir, self._config.runtime_dir}
        parents |= {address.parent for address in self._listener.addresses}
        watched = {self._config.workers_dir: Change.GONE}
        for path in parents:
            if path.is_dir():
                watched[path] = Change.GONE | Change.REMOVED
        for path in parents - watched.keys():
            place = next(each for each in path.parents if each.is_dir())
            watched[place] = watched.get(place, Change.CREATED) | Change.CREATED
        return watched
