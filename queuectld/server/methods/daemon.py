"""Methods about the daemon's process."""

import asyncio
import os

import psutil

from queuectl_protocol import __version__
from queuectl_protocol.vocabulary import Role
from queuectld.server import diagnosis, encoding, params
from queuectld.server.call import Call
from queuectld.server.errors import ForbiddenError
from queuectld.server.method import Method, Result


async def status(call: Call) -> Result:
    """Return who answers here, since when, and how it is."""
    context = call.context
    config, supervisor = context.config(), context.supervisor
    return {
        "pid": os.getpid(),
        "version": __version__,
        "uptime": max(0, context.clock.wall() - context.started_at) / 1000,
        "socket": str(context.socket),
        "state_dir": str(config.state_dir),
        "started_at": encoding.time(context.started_at),
        "instance": context.instance,
        "draining": supervisor.draining,
        "workers": supervisor.counts()._asdict(),
        "connections": len(call.service.connections),
        "rss": psutil.Process().memory_info().rss,
        "limits": encoding.means(context.broker.means),
    }


async def health(call: Call) -> Result:
    """Return what a monitor looks at."""
    context = call.context
    supervisor = context.supervisor
    return {
        "draining": supervisor.draining,
        "uptime": max(0, context.clock.wall() - context.started_at) / 1000,
        "workers": supervisor.counts()._asdict(),
        **await call.service.examiner.examine(context),
    }


async def stop(call: Call, *, now: bool) -> Result:
    """End the daemon."""
    # In the loop's next turn: the reply is on its way by then.
    shutdown = call.context.shutdown
    asyncio.get_running_loop().call_soon(shutdown.stop_now if now else shutdown.stop)
    return {}


async def restart(call: Call) -> Result:
    """End the daemon and leave the workers."""
    asyncio.get_running_loop().call_soon(call.context.shutdown.restart)
    return {}


async def doctor(call: Call, *, deep: bool) -> Result:
    """Look for what is wrong, or may go wrong."""
    checks = await diagnosis.checks(call.context)
    if deep:
        # It reads all there is from the disk: not for everybody to ask for.
        if not call.peer.may(Role.OPERATE):
            raise ForbiddenError("doctor with deep", Role.OPERATE, call.peer.role)
        checks.append(await diagnosis.database(call.context.store.examine()))
    return {"checks": [encoding.check(check) for check in checks]}


METHODS = (
    Method(
        name="daemon.status",
        doc="Return who answers, since when, and how it is. rss is in bytes.",
        handler=status,
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
        handler=health,
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
        handler=stop,
        role=Role.ADMIN,
        audit=("now",),
        params=(params.flag("now", "as a second SIGTERM does: end them at once"),),
    ),
    Method(
        name="daemon.restart",
        doc="Reply, then end the daemon as SIGUSR1 does: the workers finish their "
        "jobs, and the next daemon takes over the results.",
        handler=restart,
        role=Role.ADMIN,
        audit=(),
    ),
    Method(
        name="doctor",
        doc="Look for what is wrong, or may go wrong, on the daemon's side.",
        handler=doctor,
        role=Role.READ,
        params=(params.flag("deep", "read the whole database as well, a minute long"),),
        result="{checks: [CHECK]}",
        waits=True,
    ),
)
