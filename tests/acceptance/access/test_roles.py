"""What each role may do: different users, through real sockets, on a real daemon."""

import os
from collections.abc import Iterator
from operator import attrgetter
from typing import Any

import pytest

from helpers.access import (
    ADMIN,
    ALICE,
    BOB,
    OPERATOR,
    READER,
    WHO,
    Connect,
    a_service,
    connecting,
    log,
)
from helpers.daemon import Daemon
from helpers.rawclient import RawClient
from helpers.users import needs_root
from queuectl_protocol.errors import ErrorCode
from queuectl_protocol.messages import Reply
from queuectld.server.dispatch import METHODS
from queuectld.server.schema.method import Method

pytestmark = needs_root

NEEDS = {
    "ping": "read",
    "greet": "read",
    "describe": "read",
    "enqueue": "submit",
    "enqueue_many": "submit",
    "get": "read",
    "position": "read",
    "list": "read",
    "retry_all": "operate",
    "cancel": "submit",
    "cancel_many": "submit",
    "retry": "submit",
    "retry_many": "submit",
    "start": "submit",
    "start_many": "submit",
    "delete": "submit",
    "delete_many": "submit",
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
    "workers.reserve": "operate",
    "workers.wait": "operate",
    "workers.stop": "operate",
    "workers.scale": "operate",
    "daemon.status": "read",
    "health": "read",
    "daemon.stop": "admin",
    "daemon.restart": "admin",
    "doctor": "read",
    "backup": "admin",
}
"""What each method needs, said a second time: to change one takes two."""


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


def enqueue(client: RawClient, command: str = "true", **fields: Any) -> str:
    job_id: str = client.call("enqueue", job={"command": command, **fields})["job"][
        "id"
    ]
    return job_id


@pytest.mark.parametrize("role", WHO)
def test_the_greeting_tells_the_role(connect: Connect, role: str) -> None:
    """By uid, by primary group, by the last of 301 supplementary ones."""
    user = WHO[role]
    assert connect(user).greeting()["you"] == {"uid": user.uid, "role": role}


def test_the_highest_role_of_a_group_counts(
    connect: Connect,
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
    service: Daemon, connect: Connect, role: str, method: str
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
        ("start", {}),
        ("delete", {"if_state": "cancelled"}),
        ("logs.read", {"stream": "stdout"}),
        ("logs.follow", {}),
    ],
)
def test_other_peoples_jobs_take_the_role_operate(
    service: Daemon,
    connect: Connect,
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
    assert f" job_id={job} why=" in log(service, "request_denied")[-1]
    for client in (alice, operator):
        end = client.end(client.send(method, id=job, **more))
        # A dead job is not cancelled by anybody, and that is another matter.
        assert isinstance(end, Reply) or end.code == ErrorCode.INVALID_STATE


@pytest.mark.parametrize(
    "method", [m for m in METHODS.values() if m.others], ids=attrgetter("name")
)
def test_every_method_with_a_role_for_others_refuses_lower_ones(
    connect: Connect, method: Method
) -> None:
    """The row tells it, and the handler does it: nothing else ties the two."""
    alice, bob = connect(ALICE), connect(BOB)
    job = enqueue(alice, "true", delay=3600)
    before = alice.call("get", id=job)
    values: dict[str, Any] = {"id": job, "ids": [job], "stream": "stdout"}
    params = {each.name: values[each.name] for each in method.params if each.required}
    end = bob.end(bob.send(method.name, **params))
    if isinstance(end, Reply):
        (result,) = end.result["results"]
        assert result["error"]["code"] == ErrorCode.FORBIDDEN
        assert result["error"]["data"] == {"id": job, "role": method.others}
    else:
        assert end.code == ErrorCode.FORBIDDEN
        assert end.data == {"id": job, "role": method.others}
    assert alice.call("get", id=job) == before
    alice.call("cancel", id=job)


@pytest.mark.parametrize(
    ("method", "leads_to"),
    [("cancel_many", "cancelled"), ("start_many", "pending")],
)
def test_of_many_jobs_those_of_others_stay_as_they_are(
    service: Daemon, connect: Connect, method: str, leads_to: str
) -> None:
    """Each is decided by itself, and the log tells of what was denied."""
    alice, bob = connect(ALICE), connect(BOB)
    hers, his = (enqueue(who, "true", delay=3600) for who in (alice, bob))
    own, other = bob.call(method, ids=[his, hers])["results"]
    assert own["job"]["state"] == leads_to
    assert other["error"]["code"] == ErrorCode.FORBIDDEN
    assert other["error"]["data"] == {"id": hers, "role": "operate"}
    denied = log(service, "request_denied")[-1]
    assert f"method={method} uid={BOB.uid} " in denied
    assert f"job {hers} " in denied
    assert alice.call("get", id=hers)["job"]["run_at"] is not None
    alice.call("cancel", id=hers)
    assert bob.refused("delete", id=hers).code == ErrorCode.FORBIDDEN
    (error,) = bob.call("delete_many", ids=[hers])["results"]
    assert error["error"]["code"] == ErrorCode.FORBIDDEN
    assert alice.call("delete", id=hers)["job"]["state"] == "cancelled"


def test_a_reader_sees_jobs_without_environment_and_output(
    connect: Connect,
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
    assert reader.refused("cancel", id="none-such").data == {"role": "submit"}


@pytest.mark.parametrize(
    ("method", "more"),
    [
        ("cancel", {}),
        ("retry", {}),
        ("logs.read", {"stream": "stdout"}),
        ("logs.follow", {}),
    ],
)
def test_a_reader_is_told_the_role_that_would_do(
    service: Daemon, connect: Connect, method: str, more: dict[str, Any]
) -> None:
    """For a job of somebody else's the role submit would be refused as well."""
    job = enqueue(connect(ALICE), "true")
    denied = connect(READER).refused(method, id=job, **more)
    assert (denied.code, denied.data) == (
        ErrorCode.FORBIDDEN,
        {"id": job, "role": "operate"},
    )
    assert f"method={method} uid={READER.uid}" in log(service, "request_denied")[-1]
    requested = [line for line in log(service, "requested") if "role=read" in line]
    assert requested == [], "nothing of it was begun"


def test_an_id_that_went_to_another_user_is_that_users(
    connect: Connect,
) -> None:
    """What counts is whose job it is now, not whose it was."""
    alice, bob = connect(ALICE), connect(BOB)
    enqueue(alice, id="reused")
    alice.call("wait", id="reused")
    connect(OPERATOR).call("prune")
    enqueue(bob, id="reused")
    assert alice.refused("retry", id="reused").code == ErrorCode.FORBIDDEN


def test_nobody_learns_more_of_a_job_that_is_not_there(
    connect: Connect,
) -> None:
    """A job that does not exist is not somebody else's."""
    assert connect(ALICE).refused("cancel", id="99999").code == ErrorCode.NOT_FOUND


def test_who_asks_for_a_change_is_on_record(service: Daemon, connect: Connect) -> None:
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
        f"requested method=retry {by_operator} job_id={job}",
        f"requested method=prune {by_operator} states=dead older_than=60.0",
        f"requested method=config.set {by_admin} key=max_retries value=3",
    ]
    assert "secret" not in service.log.read_text()


@pytest.mark.parametrize(
    "method",
    [
        method
        for name, method in METHODS.items()
        if method.role in {"operate", "admin"} and name != "workers.wait"
    ],
)
def test_every_change_of_an_operator_is_recorded(method: Any) -> None:
    """No such method is without its line, and none logs what it does not take."""
    assert method.audit is not None
    assert set(method.audit) <= {param.name for param in method.params}
