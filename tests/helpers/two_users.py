"""Users by what they are to a job, at one daemon, and jobs of the first of them."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from helpers.daemon import Daemon
from helpers.rawclient import RawClient
from helpers.users import User, acting_as

WHO = ("owner", "other", "reader", "operator")


@dataclass(frozen=True)
class World:
    """A daemon, and users by what they are to a job of the first one."""

    mode: str
    served: Daemon
    users: Mapping[str, User]

    @contextmanager
    def connected(self, who: str) -> Iterator[RawClient]:
        """Give a connection of somebody's."""
        with acting_as(self.users[who]):
            client = self.served.connect()
        with client:
            yield client

    def seen(self, job_id: str) -> Any:
        """Return all that root sees of a job."""
        return self.served.call("get", id=job_id, env=True)


@dataclass
class Job:
    """A job of the owner's, with a secret in its environment and its output.

    Attributes:
        asked: as it was enqueued.
        stays: what must stay open while others try.
        sub: the stream that is open there.
    """

    id: str
    secret: str
    asked: dict[str, Any]
    stays: RawClient | None = None
    sub: int = 0


def enqueued(world: World, **fields: Any) -> Job:
    """A job that says its secret, with an id of the owner's choice."""
    secret = f"secret-{secrets.token_hex(8)}"
    env = {"PATH": "/usr/bin:/bin", "SECRET": secret}
    asked = {
        "id": f"id-{secrets.token_hex(8)}",
        "command": 'echo "$SECRET"',
        "env": env,
    }
    with world.connected("owner") as owner:
        job_id = owner.call("enqueue", job={**asked, **fields})["job"]["id"]
    return Job(job_id, secret, asked)


def waiting(world: World) -> Job:
    """One that does not run yet."""
    return enqueued(world, delay=3600)


def ended(world: World) -> Job:
    """One that has written its secret."""
    job = enqueued(world)
    assert world.served.call("wait", id=job.id)["job"]["state"] == "completed"
    return job


def followed(world: World) -> Job:
    """One whose output the owner follows."""
    job = waiting(world)
    with acting_as(world.users["owner"]):
        job.stays = world.served.connect()
    job.sub = job.stays.send("logs.follow", id=job.id)
    return job
