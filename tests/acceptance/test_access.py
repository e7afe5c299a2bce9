"""Who may do what: different users, through real sockets, against a real daemon."""

import concurrent.futures.thread  # noqa: F401 - see _daemon_of
import grp
import importlib.readers  # noqa: F401 - see _daemon_of
import io
import json
import os
import pwd
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from helpers.daemon import Daemon, a_daemon
from helpers.rawclient import RawClient
from helpers.users import User, acting_as, fork, in_child, needs_root
from helpers.waiting import until
from queuectl.cli import root as cli
from queuectl_protocol.errors import ErrorCode
from queuectl_protocol.messages import Failure, Reply
from queuectld import config, daemon
from queuectld.config import Sources
from queuectld.server.dispatch import METHODS

pytestmark = needs_root

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

NEEDS = {
    "ping": "read",
    "describe": "read",
    "enqueue": "submit",
    "enqueue_many": "submit",
    "get": "read",
    "list": "read",
    "cancel": "submit",
    "retry": "submit",
    "retry_all": "operate",
    "wait": "read",
    "logs.read": "submit",
    "logs.follow": "submit",
    "unfollow": "submit",
    "prune": "operate",
    "status": "read",
    "stats": "read",
    "config.list": "read",
    "config.get": "read",
    "config.set": "admin",
    "config.unset": "admin",
    "workers.list": "read",
    "workers.start": "operate",
    "workers.ensure": "operate",
    "workers.stop": "operate",
    "daemon.status": "read",
    "daemon.stop": "admin",
    "daemon.restart": "admin",
    "doctor": "read",
}
"""What each method needs, said a second time: to change one takes two."""


def loosen(served: Daemon) -> None:
    """Let everybody through to the socket, as a careless chmod would."""
    served.home.chmod(0o711)
    served.socket.chmod(0o666)


@pytest.fixture(scope="module")
def service() -> Iterator[Daemon]:
    """A daemon with roles and a worker, its socket open to everybody."""
    with TemporaryDirectory(prefix="queuectl-") as folder:
        file = Path(folder, "roles.toml")
        file.write_text(ROLES)
        with a_daemon("--config", str(file)) as served:
            loosen(served)
            served.call("workers.start")
            yield served


@pytest.fixture
def connect(service: Daemon) -> Iterator[Callable[[User], RawClient]]:
    """Connects as somebody, until the test's end."""
    clients: list[RawClient] = []

    def connect(user: User) -> RawClient:
        with acting_as(user):
            clients.append(service.connect())
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


def log(served: Daemon, event: str) -> list[str]:
    """Return the log's lines of an event."""
    return re.findall(rf"(?m)^\S+ \S+ ({event} .*)$", served.log.read_text())


def enqueue(client: RawClient, command: str = "true", **fields: Any) -> str:
    job_id: str = client.call("enqueue", job={"command": command, **fields})["job"][
        "id"
    ]
    return job_id


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
    connect: Callable[[User], RawClient],
) -> None:
    """Who is handed one acts as its maker, also when the maker is not root any more."""
    alices, roots = connect(ALICE), connect(ROOT)

    def use() -> list[str]:
        return [client.greeting()["you"]["role"] for client in (alices, roots)]

    assert in_child(STRANGER, use) == ["submit", "admin"]


# -- roles ----------------------------------------------------------------------------


@pytest.mark.parametrize("role", WHO)
def test_the_greeting_tells_the_role(
    connect: Callable[[User], RawClient], role: str
) -> None:
    """By uid, by primary group, by the last of 301 supplementary ones."""
    user = WHO[role]
    assert connect(user).greeting()["you"] == {"uid": user.uid, "role": role}


def test_the_highest_role_of_a_group_counts(
    connect: Callable[[User], RawClient],
) -> None:
    """A group that is primary to one and supplementary to another is one group."""
    assert {connect(user).greeting()["you"]["role"] for user in (ALICE, BOB)} == {
        "submit"
    }


def test_the_table_of_the_test_is_whole() -> None:
    """A new method has to say here, too, who may call it."""
    assert NEEDS.keys() == METHODS.keys()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("role", WHO)
def test_every_method_is_for_the_roles_it_names(
    service: Daemon, connect: Callable[[User], RawClient], role: str, method: str
) -> None:
    """Who may call it is told of a bad parameter; who may not learns the role."""
    order = list(WHO)
    allowed = order.index(role) >= order.index(NEEDS[method])
    failure = connect(WHO[role]).refused(method, no_such_parameter=1)
    if allowed:
        assert failure.code == ErrorCode.INVALID_PARAMS
        return
    needed = NEEDS[method]
    assert failure.code == ErrorCode.FORBIDDEN
    assert failure.message == f"{method} needs the role {needed}, and yours is {role}"
    assert failure.data == {"role": needed}
    said = f"method={method} uid={WHO[role].uid} pid={os.getpid()} role={role} "
    assert f"request_denied {said}" in log(service, "request_denied")[-1] + " "


@pytest.mark.parametrize(
    ("method", "more"),
    [
        ("get", {"env": True}),
        ("cancel", {}),
        ("retry", {}),
        ("logs.read", {"stream": "stdout"}),
        ("logs.follow", {}),
    ],
)
def test_other_peoples_jobs_take_the_role_operate(
    service: Daemon,
    connect: Callable[[User], RawClient],
    method: str,
    more: dict[str, Any],
) -> None:
    """One's own are one's own, those of others are looked at and no more."""
    alice, bob, operator = connect(ALICE), connect(BOB), connect(OPERATOR)
    job = enqueue(alice, "exit 1", max_retries=0, env={"A": "1"})
    assert alice.call("wait", id=job)["job"]["submitter"] == ALICE.uid
    denied = bob.refused(method, id=job, **more)
    assert denied.code == ErrorCode.FORBIDDEN
    assert denied.data == {"id": job, "role": "operate"}
    assert "operate" in denied.message
    assert f"job {job} " in log(service, "request_denied")[-1]
    for client in (alice, operator):
        end = client.end(client.send(method, id=job, **more))
        # A dead job is not cancelled by anybody, and that is another matter.
        assert isinstance(end, Reply) or end.code == ErrorCode.INVALID_STATE


def test_a_reader_sees_jobs_without_environment_and_output(
    connect: Callable[[User], RawClient],
) -> None:
    """State, command and label are told to all; what may hold secrets is not."""
    job = enqueue(connect(ALICE), "echo hi", label="a label", env={"A": "1"})
    reader = connect(READER)
    ended = reader.call("wait", id=job)["job"]
    assert (ended["command"], ended["label"]) == ("echo hi", "a label")
    assert ended in reader.call("list")["jobs"]
    assert "env" not in reader.call("get", id=job)["job"]
    assert reader.refused("get", id=job, env=True).code == ErrorCode.FORBIDDEN
    assert reader.refused("logs.read", id=job, stream="stdout").code == "forbidden"
    assert reader.refused("cancel", id=job).data == {"role": "submit"}


def test_an_id_that_went_to_another_user_is_that_users(
    connect: Callable[[User], RawClient],
) -> None:
    """What counts is whose job it is now, not whose it was."""
    alice, bob = connect(ALICE), connect(BOB)
    enqueue(alice, id="reused")
    alice.call("wait", id="reused")
    connect(OPERATOR).call("prune")
    enqueue(bob, id="reused")
    assert alice.refused("retry", id="reused").code == ErrorCode.FORBIDDEN


def test_nobody_learns_more_of_a_job_that_is_not_there(
    connect: Callable[[User], RawClient],
) -> None:
    """A job that does not exist is not somebody else's."""
    assert connect(ALICE).refused("cancel", id="99999").code == ErrorCode.NOT_FOUND


def test_who_asks_for_a_change_is_on_record(
    service: Daemon, connect: Callable[[User], RawClient]
) -> None:
    """Method, user, process and job, and of the parameters only what is named."""
    operator, admin = connect(OPERATOR), connect(ADMIN)
    job = enqueue(connect(ALICE), "exit 1", max_retries=0, env={"A": "secret"})
    operator.call("wait", id=job)
    operator.call("retry", id=job)
    operator.call("wait", id=job)
    operator.call("prune", states=["dead"], older_than=60)
    admin.call("config.set", key="max_retries", value=3)
    by_operator = f"uid={OPERATOR.uid} pid={os.getpid()} role=operate"
    by_admin = f"uid={ADMIN.uid} pid={os.getpid()} role=admin"
    assert log(service, "requested")[-3:] == [
        f"requested method=retry {by_operator} id={job}",
        f"requested method=prune {by_operator} states=dead older_than=60.0",
        f"requested method=config.set {by_admin} key=max_retries value=3",
    ]
    assert "secret" not in service.log.read_text()


@pytest.mark.parametrize(
    "method", [m for m in METHODS.values() if m.role in {"operate", "admin"}]
)
def test_every_change_of_an_operator_is_recorded(method: Any) -> None:
    """No such method is without its line, and none logs what it does not take."""
    assert method.audit is not None
    assert set(method.audit) <= {param.name for param in method.params}


def test_names_are_users_and_groups_of_the_machine() -> None:
    """Access is by the account's uid and gid; doctor says what submit comes to."""
    account = pwd.getpwnam("daemon")
    group = grp.getgrgid(account.pw_gid).gr_name
    roles = f'[roles]\nsubmit = ["{account.pw_name}"]\nread = ["@{group}"]\n'
    with TemporaryDirectory(prefix="queuectl-") as folder:
        file = Path(folder, "roles.toml")
        file.write_text(roles)
        with a_daemon("--config", str(file)) as served:
            loosen(served)
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
    with TemporaryDirectory(prefix="queuectl-") as folder:
        file = Path(folder, "roles.toml")
        file.write_text(ROLES)
        with a_daemon("--config", str(file)) as served:
            loosen(served)
            with acting_as(ADMIN):
                before = served.connect()
            assert before.greeting()["you"]["role"] == "admin"
            file.write_text(f'[roles]\nread = ["uid:{ADMIN.uid}"]\n')
            served.process.send_signal(signal.SIGHUP)
            until(lambda: log(served, "option_changed"), "it has read the file")
            file.write_text('[roles]\nboss = ["root"]\nread = ["no-such-user"]\n')
            served.process.send_signal(signal.SIGHUP)
            (told,) = until(lambda: log(served, "reload_refused"), "it has refused it")
            assert f"{file}:2: roles: there is no role 'boss'" in told
            assert f"{file}:3: roles.read: there is no user 'no-such-user'" in told
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
        code: Any = 0
        with redirect_stdout(out), redirect_stderr(err):
            try:
                cli.main(arguments)
            except SystemExit as end:
                code = end.code
        texts = [stream.buffer.getvalue().decode() for stream in (out, err)]  # type: ignore[attr-defined]
        return code or 0, texts[0], texts[1]

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
