"""Sees to it that the daemon can be found as long as it runs, and that it ends if not.

What a client, a worker or the next daemon looks for can vanish: a logout removes the
runtime directory, a cleaner an old socket, a person the whole state directory. inotify
tells; nothing is looked at while nothing happens and all is well. What is in the way
of a look or of what is to be put back may go without a word, as a mode that forbids it:
then it is tried again.
"""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from queuectl_protocol.paths import SOCKET_NAME
from queuectld.config import DaemonConfig
from queuectld.host import logs, statedir
from queuectld.host.statedir import StateDirectory
from queuectld.linux.inotify import Change, Watcher
from queuectld.server.connection import socket_link
from queuectld.server.connection.listener import Listener, ListenError

_log = logs.get("presence")


SETTLE = 0.5
"""Seconds after a change: who removes a whole directory is not to find new things in
it before the lock is gone as well."""

TRY_AGAIN = 5.0
"""Seconds from a look that met an error to the next one, if no change comes first."""


class PathGuard:
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
                armed = self._arm(wake)  # and look after that: what was is not told
                if not self._state.is_held():
                    _log.error("state_dir_gone", state_dir=self._config.state_dir)
                    self._lost()
                    return
                restored = await self._restore()
                await _changed(wake, None if armed and restored else TRY_AGAIN)
                await asyncio.sleep(SETTLE)
        finally:
            self._watcher.close()

    def leave(self) -> None:
        """Take the link away, unless systemd starts the next daemon where it leads."""
        if self._target is not None and not self._listener.passed:
            socket_link.take_down(self._own, self._target)

    # -- what is put back ---------------------------------------------------------

    async def _restore(self) -> bool:
        """Put back what is missing; return whether all is there."""
        try:
            self._restore_directories()
            await self._restore_socket()
        except (ListenError, OSError) as error:
            # It is tried again and again: say it once.
            if str(error) != self._told:
                self._told = str(error)
                _log.error("not_reachable", error=self._told)
            return False
        self._told = ""
        return True

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
            socket_link.put_up(self._own, target)
            self._target = target

    # -- what is watched ----------------------------------------------------------

    def _arm(self, wake: asyncio.Event) -> bool:
        """Have ``wake`` set at the next change; return whether any will be told."""
        armed = True
        for path, change in self._watched().items():
            try:
                self._watcher.arm(str(path), change, wake)
            except OSError:
                # It vanished just now, may not be read, or no watches are left.
                armed = False
        return armed

    def _watched(self) -> dict[Path, Change]:
        """Return what to watch: where something is, or else where it may come back."""
        parents = {self._config.state_dir, self._config.runtime_dir}
        parents |= {address.parent for address in self._listener.addresses}
        watched = {
            path: Change.GONE | Change.REMOVED for path in parents if _is_there(path)
        }
        for path in parents - watched.keys():
            place = next(each for each in path.parents if _is_there(each))
            watched[place] = watched.get(place, Change.CREATED) | Change.CREATED
        if _is_there(self._config.workers_dir):
            watched[self._config.workers_dir] = Change.GONE
        return watched


def _is_there(path: Path) -> bool:
    """Tell whether a directory can be seen; that it cannot be is no error here."""
    return os.path.isdir(path)  # noqa: PTH112 (Path.is_dir raises, on some Pythons)


async def _changed(wake: asyncio.Event, within: float | None) -> None:
    """Wait for a change; no longer than that many seconds, if any are given."""
    with suppress(TimeoutError):
        async with asyncio.timeout(within):
            await wake.wait()
