"""Methods about the daemon's process and its health."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from queuectl_protocol import __version__
from queuectl_protocol.vocabulary import Role
from queuectld.broker import Broker
from queuectld.clock import Clock
from queuectld.config import DaemonConfig
from queuectld.control.shutdown import Shutdown
from queuectld.control.supervisor import Supervisor
from queuectld.server import encoding
from queuectld.server.call import Call
from queuectld.server.connection.registry import Registry
from queuectld.server.errors import ForbiddenError
from queuectld.server.health.doctor import Doctor
from queuectld.server.health.probe import HealthProbe
from queuectld.server.schema import params
from queuectld.server.schema.method import Method, Result


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonMethods:
    """Tells how the daemon is, and ends it.

    Attributes:
        config: returns the configuration in force.
        started_at: milliseconds since 1970.
    """

    broker: Broker
    supervisor: Supervisor
    shutdown: Shutdown
    connections: Registry
    probe: HealthProbe
    doctor: Doctor
    config: Callable[[], DaemonConfig]
    clock: Clock
    socket: Path
    instance: str
    started_at: int

    async def status(self, _call: Call) -> Result:
        """Return which daemon answers, since when, and how it is."""
        return {
            "pid": os.getpid(),
            "version": __version__,
            "uptime": self._uptime(),
            "socket": str(self.socket),
            "state_dir": str(self.config().state_dir),
            "started_at": encoding.time(self.started_at),
            "instance": self.instance,
            "draining": self.supervisor.draining,
            "workers": self.supervisor.counts()._asdict(),
            "connections": len(self.connections),
            "rss": psutil.Process().memory_info().rss,
            "limits": encoding.means(self.broker.means),
        }

    async def health(self, _call: Call) -> Result:
        """Return what a monitor looks at."""
        return {
            "draining": self.supervisor.draining,
            "uptime": self._uptime(),
            "workers": self.supervisor.counts()._asdict(),
            **await self.probe.measure(),
        }

    async def stop(self, _call: Call, *, now: bool) -> Result:
        """End the daemon."""
        # In the loop's next turn: the reply is sent by then.
        stop = self.shutdown.stop_now if now else self.shutdown.stop
        asyncio.get_running_loop().call_soon(stop)
        return {}

    async def restart(self, _call: Call) -> Result:
        """End the daemon and leave the workers."""
        asyncio.get_running_loop().call_soon(self.shutdown.restart)
        return {}

    async def diagnose(self, call: Call, *, deep: bool) -> Result:
        """Look for what is wrong, or may go wrong."""
        checks = await self.doctor.checks()
        if deep:
            # It reads the whole database from the disk.
            if not call.peer.may(Role.OPERATE):
                raise ForbiddenError("doctor with deep", Role.OPERATE, call.peer.role)
            checks.append(await self.doctor.examine_database())
        return {"checks": [encoding.check(check) for check in checks]}

    def _uptime(self) -> float:
        return max(0, self.clock.wall() - self.started_at) / 1000


METHODS = (
    Method(
        name="daemon.status",
        doc="Return who answers, since when, and how it is. rss is in bytes.",
        handler=DaemonMethods.status,
        role=Role.READ,
        result="{pid: int, version: str, uptime: seconds, socket: unix, "
        "state_dir: unix, "
        "started_at: time, instance: str, draining: bool, workers: {active: int, "
        "busy: int, wanted: int}, connections: int, rss: int, limits: "
        "{controllers: [str], missing: str | null}}",
    ),
    Method(
        name="health",
        doc="Tell what a monitor looks at, within some seconds whatever hangs. What "
        "could not be found out in time is null.",
        handler=DaemonMethods.health,
        role=Role.READ,
        result="{draining: bool, uptime: seconds, workers: {active: int, busy: int, "
        "wanted: int}, pending: int | null, processing: int | null, "
        "failed: int | null, dead: int | null, dead_lately: int | null, "
        "oldest_ready: seconds | null, store: {problem: str | null}, "
        "free: bytes | null, wal_size: bytes | null, unstored: int}",
    ),
    Method(
        name="daemon.stop",
        doc="Reply, then end the daemon as SIGTERM does: running jobs have "
        "shutdown_grace to finish. Asked again, it does no more.",
        handler=DaemonMethods.stop,
        role=Role.ADMIN,
        audit=("now",),
        params=(params.flag("now", "as a second SIGTERM does: end them at once"),),
    ),
    Method(
        name="daemon.restart",
        doc="Reply, then end the daemon as SIGUSR1 does: the workers finish their "
        "jobs, and the next daemon takes over the results.",
        handler=DaemonMethods.restart,
        role=Role.ADMIN,
        audit=(),
    ),
    Method(
        name="doctor",
        doc="Look for what is wrong, or may go wrong, on the daemon's side.",
        handler=DaemonMethods.diagnose,
        role=Role.READ,
        params=(params.flag("deep", "read the whole database as well, a minute long"),),
        result="{checks: [CHECK]}",
        waits=True,
    ),
)
