"""A daemon with roles, and those who have them: tests of who may do what."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from helpers.daemon import Daemon, a_daemon
from helpers.rawclient import RawClient
from helpers.users import User, acting_as

GROUP = 20000
READER = User(20001)
ALICE = User(20002, groups=(GROUP,))
BOB = User(20003, gid=GROUP)
OPERATOR = User(20004, groups=(*range(30000, 30300), 20044))
ADMIN = User(20005)
STRANGER = User(20009, groups=(0, 1))
ROOT = User(0, gid=0)

ROLES = f"""
[roles]
read = ["uid:{READER.uid}", "gid:{GROUP}"]
submit = ["gid:{GROUP}"]
operate = ["gid:20044"]
admin = ["uid:{ADMIN.uid}"]
"""

WHO = {"read": READER, "submit": ALICE, "operate": OPERATOR, "admin": ADMIN}


@contextmanager
def a_service(roles: str = ROLES) -> Iterator[tuple[Daemon, Path]]:
    """Run a daemon with roles, its socket open to everybody; its file is the second."""
    with TemporaryDirectory(prefix="queuectl-") as folder:
        file = Path(folder, "roles.toml")
        file.write_text(roles)
        with a_daemon("--config", str(file)) as served:
            loosen(served)
            yield served, file


def loosen(served: Daemon) -> None:
    """Let everybody through to the socket, as a careless chmod would."""
    served.home.chmod(0o711)
    served.socket.chmod(0o666)


Connect = Callable[[User], RawClient]


@contextmanager
def connecting(served: Daemon) -> Iterator[Connect]:
    """Give what connects as somebody; close what it has connected."""
    clients: list[RawClient] = []

    def connect(user: User) -> RawClient:
        with acting_as(user):
            clients.append(served.connect())
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


def log(served: Daemon, event: str) -> list[str]:
    """Return the log's lines of an event, from its name on."""
    return re.findall(rf"(?m)^\S+ \S+ ({event} .*)$", served.log.read_text())
