"""Methods about the daemon's process."""

import asyncio
import os

import psutil

from queuectld.server import doctor as checkup
from queuectld.server import params, wire
from queuectld.server.call import Call
from queuectld.server.method import Method, Result
from queuectld.server.methods import workers

from queuectl_protocol import __version__


async def status(call: Call) -> Result:
    """Return who answers here, since when, and how it is."""
    context = call.context
    config, scheduler = context.config(), context.scheduler
    return {
        "pid": os.getpid(),
        "version": __version__,
        "uptime": max(0, context.clock.wall() - context.started_at) / 1000,
        "socket": str(config.socket),
        "state_dir": str(config.state_dir),
        "started_at": wire.time(context.started_at),
        "instance": context.instance,
        "draining": scheduler.draining,
        "workers": {
            "active": workers.active(scheduler.pool),
            "busy": workers.busy(scheduler.pool),
            "wanted": scheduler.staff.wanted,
        },
        "connections": len(call.service.connections),
        "rss": psutil.Process().memory_info().rss,
    }


async def stop(call: Call, *, now: bool) -> Result:
    """End the daemon."""
    call.after_reply(lambda: call.context.stop(now))
    return {}


async def restart(call: Call) -> Result:
    """End the daemon and leave the workers."""
    call.after_reply(call.context.restart)
    return {}


async def doctor(call: Call) -> Result:
    """Look for what is wrong, or may go wrong."""
    return {"checks": [check.wire() for check in await checkup.checks(call.context)]}
