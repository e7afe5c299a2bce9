"""Two users at one daemon: what one may see and do of what is the other's.

A row for each method, played by everybody, where all jobs run as the daemon and where
each runs as its submitter. Whatever it answers, nobody but the submitter and operators
is told what the job's environment and output hold; and what is refused changes nothing.
"""

import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from helpers import access, accounts
from helpers.daemon import Daemon
from helpers.rawclient import RawClient
from helpers.users import User, acting_as
from queuectl_protocol.messages import Failure, Reply
from queuectld.server.dispatch import METHODS

pytestmark = accounts.needs_accounts

SUBMITTER = f"""
run_as = "submitter"
[roles]
read = ["carol"]
submit = ["alice", "bob"]
operate = ["uid:{access.OPERATOR.uid}"]
"""

YES, OWN, ROLE = "yes", "own", "role"
"""It is done; it is for the submitter and operators; it takes a higher role. Anything
else is an error code."""

WHO = ("owner", "other", "reader", "operator")
TELL_SECRETS = ("owner", "operator")

# -- the two kinds of daemon, and who is there ----------------------------------------


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


@pytest.fixture(scope="module", params=["daemon", "submitter"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """A daemon with two workers, for whose jobs run as it, or as their submitters."""
    if request.param == "daemon":
        users = access.ALICE, access.BOB, access.READER, access.OPERATOR
        with access.a_service() as (served, _file):
            served.call("workers.start", count=2)
            yield World(request.param, served, dict(zip(WHO, users, strict=True)))
        return
    known = accounts.ALICE, accounts.BOB, accounts.CAROL, access.OPERATOR
    with accounts.a_machine(SUBMITTER) as machine:
        yield World(request.param, machine.served, dict(zip(WHO, known, strict=True)))


# -- a job of the owner's -------------------------------------------------------------


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


# -- the table ------------------------------------------------------------------------

Params = Callable[[Job], dict[str, Any]]


@dataclass(frozen=True)
class Row:
    """A request about the owner's job, or about what is everybody's.

    Attributes:
        answers: of owner, other, reader and operator; by mode where they differ.
    """

    method: str
    answers: tuple[str, str, str, str]
    params: Params = lambda _job: {}
    job: Callable[[World], Job] = ended
    where_submitters: tuple[str, str, str, str] | None = field(default=None)

    def answer(self, world: World, who: str) -> str:
        """Return what that user is answered."""
        answers = self.answers
        if world.mode == "submitter" and self.where_submitters is not None:
            answers = self.where_submitters
        return answers[WHO.index(who)]


def _id(**more: Any) -> Params:
    return lambda job: {"id": job.id, **more}


def _ids(**more: Any) -> Params:
    return lambda job: {"ids": [job.id], **more}


def _again(job: Job) -> dict[str, Any]:
    return {"job": job.asked, "if_exists": "return"}


def _again_among_others(job: Job) -> dict[str, Any]:
    return {"jobs": [{"command": "true"}, job.asked], "if_exists": "return"}


EVERYBODY = (YES, YES, YES, YES)
SUBMITTERS = (YES, YES, ROLE, YES)
OWNERS = (YES, OWN, OWN, YES)
OWNERS_OF_MANY = (YES, OWN, ROLE, YES)
OPERATORS = (ROLE, ROLE, ROLE, YES)
NOBODY = (ROLE, ROLE, ROLE, ROLE)  # an admin may, and is none of these
TAKEN = ("already_exists", "already_exists", ROLE, "already_exists")
ONES_OWN = (YES, "conflict", ROLE, "conflict")

ROWS = (
    Row("ping", EVERYBODY),
    Row("greet", EVERYBODY, lambda _job: {"bin": True}),
    Row("describe", EVERYBODY),
    Row("enqueue", TAKEN, lambda job: {"job": job.asked}),
    Row("enqueue", SUBMITTERS, _again, where_submitters=ONES_OWN),
    Row("enqueue_many", TAKEN, lambda job: {"jobs": [job.asked]}),
    Row("enqueue_many", SUBMITTERS, _again_among_others, where_submitters=ONES_OWN),
    Row("get", EVERYBODY, _id()),
    Row("get", (YES, OWN, OWN, YES), _id(env=True)),
    Row("position", EVERYBODY, _id()),
    Row("list", EVERYBODY),
    Row("cancel", OWNERS, _id(), waiting),
    Row("cancel", OWNERS, _id(wait=False, if_state="pending"), waiting),
    Row("cancel_many", OWNERS_OF_MANY, _ids(), waiting),
    Row("cancel_many", OWNERS_OF_MANY, _ids(wait=False, if_state="pending"), waiting),
    Row("retry", OWNERS, _id()),
    Row("retry_many", OWNERS_OF_MANY, _ids()),
    Row("start", OWNERS, _id(), waiting),
    Row("start_many", OWNERS_OF_MANY, _ids(), waiting),
    Row("delete", OWNERS, _id()),
    Row("delete_many", OWNERS_OF_MANY, _ids()),
    Row("retry_all", OPERATORS, lambda _job: {"state": "cancelled"}),
    Row("wait", EVERYBODY, _id()),
    Row("logs.read", OWNERS, _id(stream="stdout")),
    Row("logs.read", OWNERS, _id(stream="stdout", run=1, tail=1)),
    Row("logs.follow", OWNERS, _id()),
    Row("logs.follow", OWNERS, _id(run=1)),
    Row(
        "unfollow",
        ("invalid_params", "invalid_params", ROLE, "invalid_params"),
        lambda job: {"sub": job.sub},
        followed,
    ),
    Row("prune", OPERATORS, lambda _job: {"states": ["dead"], "older_than": 10**6}),
    Row("status", EVERYBODY),
    Row("stats", EVERYBODY),
    Row("config.list", EVERYBODY),
    Row("config.get", EVERYBODY, lambda _job: {"key": "timeout"}),
    Row("config.set", NOBODY, lambda _job: {"key": "timeout", "value": 1}),
    Row("config.unset", NOBODY, lambda _job: {"key": "timeout"}),
    Row("workers.list", EVERYBODY),
    Row("workers.start", OPERATORS, lambda _job: {"bound": True}),
    Row("workers.ensure", OPERATORS),
    Row("workers.reserve", OPERATORS, _id()),
    Row("workers.scale", OPERATORS, lambda _job: {"count": 2}),
    Row("workers.wait", OPERATORS),
    Row("workers.stop", OPERATORS, lambda _job: {"workers": [10**6]}),
    Row("daemon.status", EVERYBODY),
    Row("health", EVERYBODY),
    Row("daemon.stop", NOBODY),
    Row("daemon.restart", NOBODY),
    Row("doctor", EVERYBODY),
    Row("doctor", OPERATORS, lambda _job: {"deep": True}),
    Row("backup", NOBODY, lambda _job: {"path": "/nowhere/copy.db"}),
)


def _name(row: Row) -> str:
    more = row.params(Job("j", "s", {"id": "j"}))
    return "-".join([row.method, *more])


def test_every_method_has_a_row() -> None:
    """A new method has to say here what it tells and does of what is another user's."""
    assert {row.method for row in ROWS} == METHODS.keys()


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("row", ROWS, ids=_name)
def test_what_one_user_may_of_anothers(world: World, row: Row, who: str) -> None:
    """As the table says; no secret gets out, and nothing that is refused is done."""
    job = row.job(world)
    before = world.seen(job.id)
    with world.connected(who) as client:
        events, end = client.follow(client.send(row.method, **row.params(job)))
    answer = row.answer(world, who)
    assert _answered(end, row.method, job) == answer
    if who not in TELL_SECRETS:
        assert job.secret not in repr([event.body for event in events])
        assert job.secret not in repr(end)
    if answer != YES:
        assert events == []
        assert world.seen(job.id) == before
    if job.stays is not None:
        with job.stays:
            world.served.call("cancel", id=job.id)
            _, last = job.stays.follow(job.sub)
            assert isinstance(last, Reply)


def _answered(end: Reply | Failure, method: str, job: Job) -> str:
    """Return which of the table's answers this is."""
    if isinstance(end, Reply):
        for each in end.result.get("results", ()):
            if each["error"] is not None:
                assert each["job"] is None
                assert each["error"]["code"] == "forbidden"
                assert each["error"]["data"] == {"id": job.id, "role": "operate"}
                return OWN
        return YES
    if end.code != "forbidden":
        return str(end.code)
    assert end.data is not None
    if "id" in end.data:
        assert end.data == {"id": job.id, "role": "operate"}
        return OWN
    assert end.data["role"] in {METHODS[method].role, "operate"}
    return ROLE


# -- ids ------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ['echo "$SECRET"', "true"])
def test_an_id_that_another_user_took_tells_nothing_of_his_job(
    world: World, command: str
) -> None:
    """Where jobs run as their submitters: not what it is, nor whether it is alike."""
    job = ended(world)
    asked = {"id": job.id, "command": command}
    for method, params in (
        ("enqueue", {"job": asked}),
        ("enqueue_many", {"jobs": [{"command": "true"}, asked]}),
    ):
        with world.connected("other") as other:
            sent = other.send(method, **params, if_exists="return")
            end = other.end(sent)
        if world.mode == "daemon" and command == job.asked["command"]:
            assert isinstance(end, Reply)
            continue
        assert isinstance(end, Failure)
        assert end.code == "conflict"
        place = {"index": 1} if method == "enqueue_many" else {}
        assert end.data == {"id": job.id, **place}
        if world.mode == "submitter":
            assert end.message == (
                f"the id {job.id!r} is taken by a job of another user; choose another "
                "id; nothing was enqueued"
            )


def test_of_two_who_ask_for_one_id_at_once_one_has_it(world: World) -> None:
    """Whoever was first; the other is told so, or has the same job where it is one."""
    for number in range(20):
        asked = {"id": f"raced-{world.mode}-{number}", "command": "true"}
        with world.connected("owner") as owner, world.connected("other") as other:
            sent = [
                (client, client.send("enqueue", job=asked, if_exists="return"))
                for client in (owner, other)
            ]
            ends = [client.end(request) for client, request in sent]
        created = [
            end for end in ends if isinstance(end, Reply) and end.result["created"]
        ]
        refused = [end.code for end in ends if isinstance(end, Failure)]
        assert len(created) == 1
        assert refused == (["conflict"] if world.mode == "submitter" else [])


def test_everybody_gets_his_own_job_back(world: World) -> None:
    """With an id of his own, as often as he asks."""
    for who in ("owner", "other", "operator"):
        asked = {"id": f"of-{who}-{world.mode}", "command": "true"}
        with world.connected(who) as client:
            first = client.call("enqueue", job=asked, if_exists="return")
            again = client.call("enqueue", job=asked, if_exists="return")
        assert (first["created"], again["created"]) == (True, False)
        assert again["job"]["submitter"] == world.users[who].uid


def test_an_event_stream_ends_when_the_id_goes_to_another(world: World) -> None:
    """Who followed a job that was pruned does not follow on in another user's."""
    job = followed(world)
    assert job.stays is not None
    world.served.call("cancel", id=job.id)
    with job.stays as owner:
        owner.follow(job.sub)
        world.served.call("prune", states=["cancelled"])
        with world.connected("other") as other:
            other.call("enqueue", job={"id": job.id, "command": "echo of another"})
        assert (
            owner.refused("logs.read", id=job.id, stream="stdout").code == "forbidden"
        )
        assert owner.refused("logs.follow", id=job.id).code == "forbidden"


# -- at the command line --------------------------------------------------------------


@pytest.fixture(scope="module")
def machine() -> Iterator[accounts.Machine]:
    """Accounts that can type, at a daemon that runs jobs as them."""
    with accounts.a_machine() as made:
        yield made


COMMANDS: tuple[tuple[tuple[str, ...], int, str], ...] = (
    (("list",), 0, ""),
    (("show", "{id}"), 0, ""),
    (("wait", "{id}"), 0, ""),
    (("logs", "{id}"), 1, "was enqueued by somebody else"),
    (("logs", "--follow", "{id}"), 1, "was enqueued by somebody else"),
    (("cancel", "{id}"), 1, "was enqueued by somebody else"),
    (("retry", "{id}"), 1, "was enqueued by somebody else"),
    (("enqueue", "--id", "{id}", "true"), 1, "a job of another user with the id"),
    (
        ("enqueue", "--if-exists", "return", "--id", "{id}", "true"),
        1,
        "is taken by a job of another user",
    ),
)


@pytest.mark.parametrize(("words", "code", "said"), COMMANDS, ids=lambda x: str(x)[:40])
def test_a_command_about_anothers_job(
    machine: accounts.Machine, words: tuple[str, ...], code: int, said: str
) -> None:
    """What may be looked at is told, the rest refused with the reason."""
    job = machine.run(accounts.ALICE, 'echo "$A"', env={"A": "secret", "PATH": "/bin"})
    name = f"named-{job['id']}"
    machine.run(accounts.ALICE, 'echo "$A"', env={"A": "secret"}, id=name)
    typed = [word.format(id=name) for word in words]
    done = machine.typed(accounts.BOB, *typed)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "secret" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_client_about_anothers_job(machine: accounts.Machine) -> None:
    """The exceptions that a program of the other user meets have the wire's codes."""
    job = machine.run(accounts.ALICE, "echo secret", id="of-alice")
    program = """
import json, sys
from queuectl import Client, errors
def code(act):
    try:
        act()
    except errors.RequestError as error:
        return error.code
    return None
with Client() as client:
    job = sys.argv[1]
    print(json.dumps([
        client.get(job).submitter,
        code(lambda: list(client.logs(job))),
        code(lambda: client.cancel(job)),
        code(lambda: client.retry(job)),
        code(lambda: client.enqueue("echo secret", id=job, inherit=False)),
        code(lambda: client.enqueue(
            "echo secret", id=job, if_exists="return", inherit=False)),
    ]))
"""
    done = machine.python_as(accounts.BOB, "-c", program, job["id"])
    assert done.returncode == 0, done.stderr
    refused = ["forbidden", "forbidden", "forbidden", "already_exists", "conflict"]
    assert json.loads(done.stdout) == [accounts.ALICE.uid, *refused]
