"""sd_notify and socket activation, against sockets of our own."""

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from queuectld.host import sd_notify
from queuectld.host.sd_notify import ActivationError, Notifier

PID = 4711


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """The service manager's end of NOTIFY_SOCKET."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(str(tmp_path / "notify"))
        bound.settimeout(5)
        yield bound


def received(manager: socket.socket) -> str:
    return manager.recv(4096).decode()


def notifier(manager: socket.socket) -> Notifier:
    return Notifier(manager.getsockname())


def test_each_notice_has_the_words_of_sd_notify(manager: socket.socket) -> None:
    """One datagram each, with the words of the manual."""
    service = notifier(manager)
    assert service.ready("2 workers")
    assert service.status("busy")
    assert service.reloading(12.5)
    assert service.stopping("draining")
    assert service.watchdog()
    assert service.extend(1.5)
    assert service.ready("0 workers", main_pid=PID)
    assert [received(manager) for _ in range(7)] == [
        "READY=1\nSTATUS=2 workers",
        "STATUS=busy",
        "RELOADING=1\nMONOTONIC_USEC=12500000\nSTATUS=reloading",
        "STOPPING=1\nSTATUS=draining",
        "WATCHDOG=1",
        "EXTEND_TIMEOUT_USEC=1500000",
        f"READY=1\nSTATUS=0 workers\nMAINPID={PID}",
    ]


def test_a_status_does_not_wait_for_a_manager_that_is_behind(tmp_path: Path) -> None:
    """Its queue is full: the message is not sent, and the call does not block."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(str(tmp_path / "notify"))
        service = notifier(bound)
        sent = 0
        while service.status("busy"):
            sent += 1
        begun = time.monotonic()
        assert not service.status("busy")
        assert time.monotonic() - begun < sd_notify.SEND_TIMEOUT / 2
        bound.setblocking(False)
        assert [received(bound) for _ in range(sent)] == ["STATUS=busy"] * sent
        assert service.status("idle")


def test_who_is_told_is_known(manager: socket.socket) -> None:
    """Without a manager a status need not be computed."""
    assert notifier(manager).heard
    assert not Notifier(None).heard


def test_a_status_cannot_smuggle_a_field(manager: socket.socket) -> None:
    """Line ends in a status are spaces, not the start of another assignment."""
    notifier(manager).status("a\nMAINPID=1\r\nb")
    assert received(manager) == "STATUS=a MAINPID=1 b"


def test_an_abstract_socket_is_written_with_an_at_sign() -> None:
    """@name means the abstract namespace."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind("")  # the kernel picks an abstract name
        bound.settimeout(5)
        name = bound.getsockname().decode()
        assert Notifier("@" + name[1:]).watchdog()
        assert received(bound) == "WATCHDOG=1"


@pytest.mark.parametrize("address", [None, "", "/nowhere/at/all", "vsock:2:1"])
def test_without_a_manager_nothing_is_sent(address: str | None) -> None:
    """Without a manager the result is false, and nothing is raised."""
    assert not Notifier(address).ready("x")


def test_taking_the_notifier_takes_the_variable(manager: socket.socket) -> None:
    """Children cannot send messages in the name of the daemon."""
    environ = {"NOTIFY_SOCKET": manager.getsockname(), "A": "b"}
    assert Notifier.take(environ).ready("x")
    assert environ == {"A": "b"}


@pytest.mark.parametrize(
    ("environ", "interval"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(PID)}, 15),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_a_sign_of_life_is_due_at_half_the_watchdogs_time(
    environ: dict[str, str], interval: float | None
) -> None:
    """Only when the manager asked this very process for it."""
    assert sd_notify.take_watchdog(environ, PID) == interval
    assert environ == {}


@pytest.mark.parametrize(
    ("environ", "pid"),
    [({}, 1), ({"MANAGERPID": "733"}, 733), ({"MANAGERPID": "me"}, 1)],
)
def test_the_manager_is_process_1_or_the_users_own(
    environ: dict[str, str], pid: int
) -> None:
    """A user's manager sets MANAGERPID."""
    assert sd_notify.manager_pid(environ) == pid


@pytest.fixture
def first_fd(monkeypatch: pytest.MonkeyPatch) -> int:
    """Let passed descriptors begin where this process has none open."""
    probe = os.dup(0)
    os.close(probe)
    number = probe + 50
    monkeypatch.setattr(sd_notify, "FIRST_FD", number)
    return number


def pass_on(passed: socket.socket, fd: int) -> None:
    """Leave a socket behind as systemd does: open, inheritable, under this number."""
    os.dup2(passed.fileno(), fd)


def environment(count: int, names: str | None = None) -> dict[str, str]:
    environ = {"LISTEN_PID": str(PID), "LISTEN_FDS": str(count)}
    return environ if names is None else environ | {"LISTEN_FDNAMES": names}


def test_listening_sockets_are_taken_over(first_fd: int, tmp_path: Path) -> None:
    """Each comes with its name, answers connections, and is closed at exec."""
    for number in range(2):
        with socket.socket(socket.AF_UNIX) as passed:
            passed.bind(str(tmp_path / str(number)))
            passed.listen()
            pass_on(passed, first_fd + number)
    environ = environment(2, "queuectl:other")
    found = sd_notify.take_listeners(environ, PID)
    assert environ == {}
    assert [listener.name for listener in found] == ["queuectl", "other"]
    for number, listener in enumerate(found):
        with listener.socket as taken, socket.socket(socket.AF_UNIX) as client:
            assert not taken.get_inheritable()
            client.connect(str(tmp_path / str(number)))
            taken.accept()[0].close()


def test_a_socket_without_a_name_is_taken_too(first_fd: int, tmp_path: Path) -> None:
    """Old managers set no LISTEN_FDNAMES."""
    with socket.socket(socket.AF_UNIX) as passed:
        passed.bind(str(tmp_path / "s"))
        passed.listen()
        pass_on(passed, first_fd)
    (found,) = sd_notify.take_listeners(environment(1), PID)
    found.socket.close()
    assert found.name == ""


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"LISTEN_PID": "1", "LISTEN_FDS": "1"},
        {"LISTEN_PID": str(PID), "LISTEN_FDS": "some"},
        {"LISTEN_FDS": "1"},
    ],
)
def test_sockets_meant_for_another_process_are_left_alone(
    environ: dict[str, str],
) -> None:
    """LISTEN_PID must be this process; the variables are removed in any case."""
    assert sd_notify.take_listeners(environ, PID) == []
    assert environ == {}


@pytest.mark.parametrize(
    ("family", "kind", "reason"),
    [
        (socket.AF_UNIX, socket.SOCK_STREAM, "does not listen"),
        (socket.AF_UNIX, socket.SOCK_DGRAM, "no Unix stream socket"),
        (socket.AF_INET, socket.SOCK_STREAM, "no Unix stream socket"),
    ],
)
def test_a_socket_that_will_not_do_is_refused(
    first_fd: int, family: int, kind: int, reason: str
) -> None:
    """The message names the descriptor and what the socket unit must say."""
    with socket.socket(family, kind) as passed:
        pass_on(passed, first_fd)
    with pytest.raises(ActivationError, match=reason) as caught:
        sd_notify.take_listeners(environment(1, "web"), PID)
    assert f"descriptor {first_fd} (web)" in str(caught.value)
    assert "ListenStream=" in str(caught.value)


def test_a_file_in_place_of_a_socket_is_refused(first_fd: int) -> None:
    """Something other than a socket is an error of the same kind."""
    os.dup2(0, first_fd)
    with pytest.raises(ActivationError, match="non-socket"):
        sd_notify.take_listeners(environment(1), PID)
    os.close(first_fd)


def test_a_descriptor_that_was_not_passed_is_refused(first_fd: int) -> None:
    """LISTEN_FDS may promise more than is open."""
    with pytest.raises(ActivationError, match=f"descriptor {first_fd}"):
        sd_notify.take_listeners(environment(1), PID)


def test_the_journal_is_known_by_device_and_inode(tmp_path: Path) -> None:
    """JOURNAL_STREAM is inherited, so it counts only for the descriptor it names."""
    with (tmp_path / "stream").open("w") as stream:
        status = os.fstat(stream.fileno())
        environ = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        assert sd_notify.is_journal(stream.fileno(), environ)
        assert not sd_notify.is_journal(stream.fileno(), {"JOURNAL_STREAM": "1:2"})
        assert not sd_notify.is_journal(stream.fileno(), {})
    assert not sd_notify.is_journal(-1, environ)
