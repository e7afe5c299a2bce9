"""Who may have how many connections: nobody keeps everybody else away."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator

import pytest

from helpers.access import (
    ADMIN,
    ALICE,
    BOB,
    OPERATOR,
    READER,
    ROLES,
    ROOT,
    Connect,
    a_service,
    connecting,
)
from helpers.daemon import Daemon
from helpers.rawclient import RawClient
from helpers.users import User, needs_root
from helpers.waiting import until
from queuectl import AsyncClient, Client
from queuectl.errors import TooManyConnectionsError
from queuectl_protocol.errors import ErrorCode
from queuectl_protocol.messages import Failure, Greeting

pytestmark = needs_root

LIMIT = 20
KEPT = 2
SHARE = 9


@pytest.fixture(scope="module")
def served() -> Iterator[Daemon]:
    """A daemon that takes few connections."""
    with a_service(f"max_connections = {LIMIT}\n{ROLES}") as (daemon, _file):
        yield daemon


@pytest.fixture
def connect(served: Daemon) -> Iterator[Connect]:
    """Connect as somebody; all that is left open is closed, and closed there too."""
    with connecting(served) as connected:
        yield connected
    until(lambda: _only_one(served), "the daemon let go of all")


def _only_one(served: Daemon) -> bool:
    return bool(served.call("daemon.status")["connections"] == 1)


def _greeted(client: RawClient) -> bool:
    """Whether it may stay; if not, the failure says why."""
    message = _first(client)
    if isinstance(message, Greeting):
        return True
    assert isinstance(message, Failure)
    assert message.code == ErrorCode.TOO_MANY_CONNECTIONS
    return False


def _first(client: RawClient) -> object:
    while data := client.socket.recv(65536):
        if messages := client.wire.receive_data(data):
            return messages[0]
    raise AssertionError("the daemon closed without a word")


def _fill(connect: Connect, user: User) -> int:
    """Connect until one is refused; return how many were not."""
    for number in range(LIMIT + 1):
        if not _greeted(connect(user)):
            return number
    raise AssertionError("there is no limit")


def test_one_user_has_a_share(connect: Connect) -> None:
    """Who may not operate gets half of what is for all, and others get theirs."""
    assert _fill(connect, ALICE) == SHARE
    assert _fill(connect, READER) == SHARE


def test_some_connections_are_kept_for_who_operates(connect: Connect) -> None:
    """Whatever the others hold, root and operators still come in; up to the limit."""
    held = _fill(connect, ALICE) + _fill(connect, READER)
    assert held == LIMIT - KEPT
    assert not _greeted(connect(BOB))
    assert _greeted(connect(OPERATOR))
    assert _greeted(connect(ROOT))
    assert not _greeted(connect(ROOT))


def test_who_operates_has_no_share(connect: Connect) -> None:
    """One who could end the daemon as well may have all connections."""
    assert _fill(connect, ADMIN) == LIMIT


def test_a_refusal_says_what_to_do(connect: Connect) -> None:
    """It tells the user's own excess from that of all."""
    _fill(connect, ALICE)
    own = _first(connect(ALICE))
    assert isinstance(own, Failure)
    assert own.message == (
        f"{SHARE} connections of uid {ALICE.uid} are open, and max_connections "
        f"({LIMIT}) allows one user no more; close some, or try again later"
    )
    _fill(connect, READER)
    all_of_them = _first(connect(BOB))
    assert isinstance(all_of_them, Failure)
    assert all_of_them.message == (
        f"{LIMIT - KEPT} clients are connected, and the rest of max_connections "
        f"({LIMIT}) is kept for the daemon's own user, root and who may operate; try "
        "again later"
    )


def test_a_connection_that_ends_is_counted_no_more(
    served: Daemon, connect: Connect
) -> None:
    """A share is of those that are open."""
    clients = [connect(ALICE) for _ in range(SHARE)]
    assert all(map(_greeted, clients))
    clients[0].close()
    until(
        lambda: served.call("daemon.status")["connections"] == SHARE,
        "the daemon noticed the end",
    )
    assert _greeted(connect(ALICE))
    assert not _greeted(connect(ALICE))


# -- who writes before the refusal is read --------------------------------------------

OFTEN = 50
"""Tries: whether the request or the refusal comes first is chance."""

FULL = f"{LIMIT} clients are connected and max_connections allows no more"


def test_a_refusal_is_there_to_read_after_a_failed_write(
    served: Daemon, connect: Connect
) -> None:
    """A socket that was closed with a request unread still holds what was said."""
    _fill(connect, ROOT)
    for _ in range(OFTEN):
        with served.connect() as client:
            try:
                while True:
                    client.socket.sendall(bytes(4096))
            except (BrokenPipeError, ConnectionResetError):
                assert not _greeted(client)


def test_the_command_line_tells_why_it_is_refused(
    served: Daemon, connect: Connect
) -> None:
    """Whether or not its request was under way."""
    _fill(connect, ROOT)
    done = subprocess.run(
        [sys.executable, "-m", "queuectl", "status"],
        env=served.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert FULL in done.stderr


def test_clients_tell_why_they_are_refused(served: Daemon, connect: Connect) -> None:
    """At each of many tries, both of them."""
    _fill(connect, ROOT)

    async def ask() -> None:
        async with AsyncClient(str(served.socket)) as client:
            await client.status()

    for _ in range(OFTEN):
        with (
            pytest.raises(TooManyConnectionsError, match=FULL),
            Client(str(served.socket)) as client,
        ):
            client.status()
        with pytest.raises(TooManyConnectionsError, match=FULL):
            asyncio.run(ask())
