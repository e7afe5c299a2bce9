"""Guards the paths at which the daemon is found: restores what vanishes, or ends it.

What a client, a worker or the next daemon looks for can vanish: a logout removes the
runtime directory, a cleaner an old socket, a person the whole state directory. inotify
tells of it, so nothing is looked at while nothing happens. Only what prevents a look or
a restoration, such as a directory's mode, may change without an event: after such an
error there is another try.
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
from queuectld.linux.inotify import FileChange, Watcher
from queuectld.server.connection import socket_link
from queuectld.server.connection.listener import Listener, ListenError

_log = logs.get("presence")


SETTLE = 0.5
"""Seconds to wait after a change. A program that removes the state directory must not
find new files in it before it has removed the lock."""

TRY_AGAIN = 5.0
"""Seconds from a failed look to the next one, unless a change comes first."""


class PathGuard:
    """Watches the paths of one daemon.

    Args:
        config: the paths.
        state: the state directory, with its lock.
        listener: the sockets.
        records_lost: called when the workers' records vanished with their directory,
            which is restored then.
        lost: called once, when the state directory is gone.
    """

    def __init__(
        self,
        config: DaemonConfig,
        state: StateDirectory,
        listener: Listener,
        *,
        records_lost: Callable[[], None],
        lost: Callable[[], None],
    ) -> None:
        self._config = config
        self._state = state
        self._listener = listener
        self._records_lost = records_lost
        self._lost = lost
        self._own = config.state_dir / SOCKET_NAME
        self._target: Path | None = None
        self._watcher = Watcher()
        self._told = ""

    async def run(self) -> None:
        """Watch until cancelled, or until the state directory is gone."""
        wake = asyncio.Event()
        try:
            while True:
                wake.clear()
                armed = self._arm(wake)  # before the look: earlier changes are not told
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
        """Remove the link, unless systemd starts the next daemon at its target."""
        if self._target is not None and not self._listener.passed:
            socket_link.remove(self._own, self._target)

    # -- what is restored ------------------------------------------------------

    async def _restore(self) -> bool:
        """Restore what is missing; return whether all is there."""
        try:
            self._restore_directories()
            await self._restore_socket()
        except (ListenError, OSError) as error:
            # It is tried again and again, and logged once.
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
        """Restore the socket, and the link to it in the state directory.

        If the socket cannot be restored, listen in the state directory instead.
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
            socket_link.make(self._own, target)
            self._target = target

    # -- what is watched ----------------------------------------------------------

    def _arm(self, wake: asyncio.Event) -> bool:
        """Have ``wake`` set at the next change; return whether all will be told."""
        armed = True
        for path, change in self._watched().items():
            try:
                self._watcher.arm(str(path), change, wake)
            except OSError:
                # It has just vanished, may not be read, or no watches are left.
                armed = False
        return armed

    def _watched(self) -> dict[Path, FileChange]:
        """Return what to watch: each directory, or the place where it may appear."""
        parents = {self._config.state_dir, self._config.runtime_dir}
        parents |= {address.parent for address in self._listener.addresses}
        watched = {
            path: FileChange.GONE | FileChange.REMOVED
            for path in parents
            if _is_there(path)
        }
        for path in parents - watched.keys():
            place = next(each for each in path.parents if _is_there(each))
            watched[place] = watched.get(place, FileChange.CREATED) | FileChange.CREATED
        if _is_there(self._config.workers_dir):
            watched[self._config.workers_dir] = FileChange.GONE
        return watched


def _is_there(path: Path) -> bool:
    """Whether a directory is there and visible; an error means no."""
    return os.path.isdir(path)  # noqa: PTH112 (Path.is_dir raises, on some Pythons)


async def _changed(wake: asyncio.Event, within: float | None) -> None:
    """Wait for a change, at most ``within`` seconds; None: for ever."""
    with suppress(TimeoutError):
        async with asyncio.timeout(within):
            await wake.wait()
