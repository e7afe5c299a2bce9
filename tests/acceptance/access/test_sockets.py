"""Who is let in, and as what: different users, real sockets, real daemons."""

import concurrent.futures.thread  # noqa: F401 - see _daemon_of
import grp
import importlib.readers  # noqa: F401 - see _daemon_of
import io
import json
import os
import pwd
import signal
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from helpers.access import (
    ADMIN,
    ALICE,
    GROUP,
    READER,
    ROOT,
    STRANGER,
    Connect,
    a_service,
    connecting,
    log,
    loosen,
)
from helpers.daemon import Daemon, a_daemon
from helpers.rawclient import RawClient
from helpers.users import User, acting_as, fork, in_child, needs_root
from helpers.waiting import until
from queuectl.cli import root as cli
from queuectl_protocol.errors import ErrorCode
from queuectl_protocol.messages import Failure
from queuectld import config, daemon
from queuectld.config import Sources

pytestmark = needs_root


@pytest.fixture(scope="module")
def service() -> Iterator[Daemon]:
    """A daemon with roles and a worker, its socket open to everybody."""
    with a_service() as (served, _file):
        served.call("workers.start")
        yield served


@pytest.fixture
def connect(service: Daemon) -> Iterator[Connect]:
    """Connects as somebody, until the test's end."""
    with connecting(service) as connect:
        yield connect


# -- a user's own daemon --------------------------------------------------------------


def test_a_stranger_is_kept_out_by_modes_and_by_the_daemon() -> None:
    """The socket is closed to others; when it is not, the daemon still is."""
    with a_daemon() as served:
        for path, mode in ((served.home, 0o700), (served.socket, 0o600)):
            assert path.stat().st_mode & 0o777 == mode
        with acting_as(STRANGER), pytest.raises(PermissionError):
            served.connect()
        loosen(served)
        with acting_as(STRANGER):
            client = served.connect()
        with client:
            failure = client.end(None)
            assert isinstance(failure, Failure)
            assert failure.code == ErrorCode.FORBIDDEN
            assert not failure.retryable
            assert f"uid {STRANGER.uid}" in failure.message
            assert client.at_end()
        told = f"client_refused uid={STRANGER.uid} pid={os.getpid()}"
        assert log(served, "client_refused") == [told]
        assert served.call("daemon.status")["connections"] == 1
        with served.connect() as client:
            assert client.greeting()["you"] == {"uid": 0, "role": "admin"}


def test_a_stranger_who_asks_at_once_hears_why() -> None:
    """His request meets a closed connection, and the reason is there to be read."""
    with a_daemon() as served:
        loosen(served)
        with acting_as(STRANGER):
            clients = [served.connect() for _ in range(20)]
        for client in clients:
            with client:
                with suppress(BrokenPipeError):  # it may be closed already
                    client.send("enqueue", job={"command": "true"})
                failure = client.end(None)
                assert isinstance(failure, Failure)
                assert failure.code == ErrorCode.FORBIDDEN
        assert served.call("status")["pending"] == 0


def test_a_daemon_of_another_user_serves_that_user_and_root() -> None:
    """It is the daemon's uid that counts, and not that of whoever starts tests."""
    owner = User(20010, gid=20010)
    with TemporaryDirectory(prefix="queuectl-") as folder:
        home = Path(folder)
        os.chown(home, owner.uid, owner.gid)
        child = _daemon_of(owner, home)
        try:
            seen = {}
            for user in (owner, ROOT):
                with acting_as(user), RawClient(home / "queuectl.sock") as client:
                    greeting = client.greeting()
                assert greeting["uid"] == owner.uid
                seen[user] = greeting["you"]["role"]
            assert seen == {owner: "admin", ROOT: "admin"}
            home.chmod(0o711)
            (home / "queuectl.sock").chmod(0o666)
            with acting_as(STRANGER), RawClient(home / "queuectl.sock") as client:
                failure = client.end(None)
                assert isinstance(failure, Failure)
                assert failure.code == ErrorCode.FORBIDDEN
        finally:
            os.kill(child, signal.SIGTERM)
            assert os.waitpid(child, 0) == (child, 0)


def _daemon_of(owner: User, home: Path) -> int:
    """Start a daemon without workers in a child of this process; return its pid.

    Not by its command: that user may be unable to execute this Python, and to import
    what the daemon only imports when it runs.
    """
    reading, writing = os.pipe()

    def run() -> int:
        loaded = config.load(Sources(environ={"QUEUECTL_HOME": str(home)}))
        return daemon.run(loaded, ready=lambda: os.close(writing))

    child = fork(owner, run)
    os.close(writing)
    os.read(reading, 1)  # it comes to its end when the daemon is ready, or gone
    os.close(reading)
    return child


def test_a_connection_belongs_to_who_made_it(
    connect: Connect,
) -> None:
    """Who is handed one acts as its maker, also when the maker is not root any more."""
    alices, roots = connect(ALICE), connect(ROOT)

    def use() -> list[str]:
        return [client.greeting()["you"]["role"] for client in (alices, roots)]

    assert in_child(STRANGER, use) == ["submit", "admin"]


# -- roles, as the configuration has them --------------------------------------------


def test_names_are_users_and_groups_of_the_machine() -> None:
    """Access is by the account's uid and gid; doctor says what submit comes to."""
    account = pwd.getpwnam("daemon")
    group = grp.getgrgid(account.pw_gid).gr_name
    roles = f'[roles]\nsubmit = ["{account.pw_name}"]\nread = ["@{group}"]\n'
    with a_service(roles) as (served, _file):
        for user, role in {
            User(account.pw_uid): "submit",
            User(STRANGER.uid, gid=account.pw_gid): "read",
        }.items():
            with acting_as(user), served.connect() as client:
                assert client.greeting()["you"]["role"] == role
        checks = served.call("doctor")["checks"]
        (trust,) = [check for check in checks if check["name"] == "trust"]
        assert "submit equals admin" in trust["detail"]
        assert f"submit: {account.pw_name}" in trust["detail"]


def test_a_reload_changes_roles_for_connections_to_come() -> None:
    """Those that are open keep theirs; a file with a mistake changes nothing."""
    with a_service() as (served, file):
        with acting_as(ADMIN):
            before = served.connect()
        assert before.greeting()["you"]["role"] == "admin"
        file.write_text(f'[roles]\nread = ["uid:{ADMIN.uid}"]\n')
        served.process.send_signal(signal.SIGHUP)
        until(lambda: log(served, "option_changed"), "it has read the file")
        file.write_text('[roles]\nboss = ["root"]\nread = ["no-such-user"]\n')
        served.process.send_signal(signal.SIGHUP)
        (told,) = until(lambda: log(served, "reload_refused"), "it has refused it")
        assert f"{file}:2: roles: " in told
        assert f"{file}:3: roles.read: " in told
        with acting_as(ADMIN), served.connect() as after:
            assert after.greeting()["you"]["role"] == "read"
        before.call("config.set", key="max_retries", value=3)
        before.close()


def test_a_group_opens_the_socket_and_roles_say_for_what(service: Daemon) -> None:
    """As systemd makes it: 0660 and a group. Both, group and role, are needed."""
    os.chown(service.socket, 0, GROUP)
    service.socket.chmod(0o660)
    try:
        with acting_as(ALICE), service.connect() as client:
            assert client.greeting()["you"]["role"] == "submit"
        with acting_as(READER), pytest.raises(PermissionError):
            service.connect()
    finally:
        service.socket.chmod(0o666)


# -- the command line -----------------------------------------------------------------


def typed(served: Daemon, user: User, *arguments: str) -> tuple[int, str, str]:
    """Run a command as somebody; return its status, its stdout and its stderr.

    In a child of this process, which has the modules that user may be unable to read.
    """

    def run() -> tuple[int, str, str]:
        os.environ["QUEUECTL_SOCKET"] = str(served.socket)
        os.chdir("/")
        sys.stdin = io.TextIOWrapper(io.BytesIO())
        out, err = (io.TextIOWrapper(io.BytesIO(), write_through=True) for _ in "12")
        with redirect_stdout(out), redirect_stderr(err):
            code = cli.run(arguments)
        texts = [stream.buffer.getvalue().decode() for stream in (out, err)]  # type: ignore[attr-defined]
        return code, texts[0], texts[1]

    code, out, err = in_child(user, run)
    return code, out, err


def test_the_command_line_says_what_one_may_not(service: Daemon) -> None:
    """In one line, with the role it takes, and exit status 1."""
    code, out, err = typed(service, READER, "enqueue", "true")
    assert (code, out) == (1, "")
    assert err == "queuectl: enqueue needs the role submit, and yours is read\n"
    code, out, err = typed(service, STRANGER, "status")
    assert (code, out) == (1, "")
    assert err.startswith(
        f"queuectl: this daemon does not serve the user with uid {STRANGER.uid}"
    )


def test_the_command_line_works_for_who_may(service: Daemon) -> None:
    """A submitter runs a job where workers are, and reads what it wrote."""
    code, out, err = typed(service, ALICE, "run", "echo hello")
    assert (code, out, err) == (0, "hello\n", "")
    code, out, _ = typed(service, READER, "list", "--json")
    assert code == 0
    assert json.loads(out)[0]["submitter"] == ALICE.uid
