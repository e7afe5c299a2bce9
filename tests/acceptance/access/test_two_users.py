"""Two users at one daemon: what one may see and do of what is the other's.

A row for each method, sent by each user, where all jobs run as the daemon and where
each runs as its submitter. Whatever the answer is, only the submitter and operators are
told the job's environment and output; a refused request changes nothing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from helpers import access, accounts
from helpers.two_users import WHO, Job, World, ended, followed, waiting
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
TELL_SECRETS = ("owner", "operator")


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
