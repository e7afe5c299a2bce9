"""A client whose signal handler raises while it writes."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.stub_daemon import StubDaemon, answering, returning
from queuectl import Client, errors
from queuectl.mailbox import Mailbox
from queuectl.sync.link import Link
from queuectl_protocol.connection import ServerConnection


class InterruptError(BaseException):
    """What the handler raises, as Ctrl-C does."""


class Interrupted(socket.socket):
    """A socket in whose ``send`` a signal comes.

    Attributes:
        sends: bytes that go out before that; None: no signal comes.
    """

    sends: int | None = None

    def send(self, data: "bytearray", *flags: int) -> int:  # type: ignore[override]
        """Send some, and do not live to say how much."""
        if self.sends is None:
            return super().send(data, *flags)
        super().send(data[: self.sends], *flags)
        raise InterruptError


@pytest.fixture
def ends() -> Iterator[tuple[Interrupted, socket.socket]]:
    ours, theirs = socket.socketpair()
    interrupted = Interrupted(fileno=ours.detach())
    interrupted.setblocking(False)
    yield interrupted, theirs
    interrupted.close()
    theirs.close()


@pytest.mark.parametrize("sends", [0, 3])
def test_nothing_follows_half_a_request(
    ends: tuple[Interrupted, socket.socket], sends: int
) -> None:
    """The connection is closed: what came next could be read as anything."""
    ours, theirs = ends
    link = Link(ours, Mailbox(None))
    first, data = link.mailbox.request("ping", {}, stream=False)
    link.queue(data)
    ours.sends = sends
    with pytest.raises(InterruptError):
        link.write()
    with pytest.raises(errors.ConnectionLostError):
        link.mailbox.take(first)
    with pytest.raises(errors.QueuectlError):
        link.mailbox.request("ping", {}, stream=False)
    assert theirs.recv(100) == data[:sends] if sends else True
    assert theirs.recv(100) == b""


def test_what_was_sent_before_stands(ends: tuple[Interrupted, socket.socket]) -> None:
    """A whole request that went out is one, and its reply would have come."""
    ours, theirs = ends
    link = Link(ours, Mailbox(None))
    _, data = link.mailbox.request("ping", {}, stream=False)
    link.queue(data)
    link.write()
    ours.sends = 2
    link.queue(link.mailbox.request("status", {}, stream=False)[1])
    with pytest.raises(InterruptError):
        link.write()
    (seen,) = ServerConnection().receive_data(theirs.recv(1000))
    assert getattr(seen, "method", None) == "ping"


def test_what_left_whole_leaves_the_connection_whole(
    ends: tuple[Interrupted, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal after the last byte gives up the reply, not the connection."""
    ours, theirs = ends
    link = Link(ours, Mailbox(None))
    link.queue(link.mailbox.request("ping", {}, stream=False)[1])

    class Outgoing(bytearray):
        def __delitem__(self, key: object) -> None:
            super().__delitem__(key)  # type: ignore[arg-type, index]
            raise InterruptError

    monkeypatch.setattr(link, "_outgoing", Outgoing(link._outgoing))
    with pytest.raises(InterruptError):
        link.write()
    assert not link.mailbox.ended
    (seen,) = ServerConnection().receive_data(theirs.recv(1000))
    assert getattr(seen, "method", None) == "ping"


def test_a_client_interrupted_while_it_sends_connects_anew(tmp_path: Path) -> None:
    """The request that was cut short holds up none that comes after it."""
    script = answering({"ping": returning("pong")})
    with (
        StubDaemon(tmp_path / "socket", script) as daemon,
        Client(daemon.path) as q,
    ):
        whole = q._link._socket
        q._link._socket = cut = Interrupted(fileno=whole.detach())
        cut.setblocking(False)
        cut.sends = 3
        with pytest.raises(InterruptError):
            q.call("ping")
        assert q.call("ping") == "pong"
        assert daemon.accepted == 2
