"""Real replies, events and arguments match what ``describe`` says of them."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from helpers.daemon import Daemon, a_daemon
from helpers.rawclient import RawClient
from helpers.schemas import Described
from helpers.waiting import until
from queuectld.server.dispatch import METHODS
from queuectld.server.schema.description import describe

TOLD = Described(describe(METHODS))

EVERY_FIELD = {
    "command": "echo out; echo err >&2; exit 3",
    "id": "every",
    "queue": "default",
    "priority": 3,
    "max_retries": 0,
    "timeout": 30,
    "backoff_base": 1.5,
    "backoff_max": 10,
    "backoff_jitter": 0,
    "output_limit": 10_000,
    "run_at": "2026-01-01T00:00:00Z",
    "cwd": "/",
    "umask": "0077",
    "env": {"A": "b"},
    "label": "nightly",
    "nice": 1,
    "memory_max": 0,
    "cpu_quota": 0,
    "tasks_max": 0,
    "rlimits": {"core": 0},
    "shell": "/bin/sh",
    "foreground": False,
    "expires": "2100-01-01T00:00:00Z",
}


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """A daemon with a worker, and jobs in several states."""
    with a_daemon() as daemon:
        with daemon.connect() as client:
            client.call("workers.start")
            client.call("enqueue", job=EVERY_FIELD)
            client.call("enqueue", job={"command": "kill -9 $$", "id": "killed"})
            client.call("enqueue", job={"command": ["/none/such"], "id": "unspawned"})
            for name in ("later", "delayed", "delayed-too"):
                job = {"command": "true", "id": name, "delay": 900}
                client.call("enqueue", job=job)
            client.call("enqueue", job={"command": "true", "id": "unwanted"})
            client.call("wait", id="unwanted")
            long = {"command": "sleep 600", "id": "long", "timeout": 0}
            assert client.call("wait", id="every")["job"]["state"] == "dead"
            client.call("enqueue", job=long)
            for job_id in ("killed", "unspawned"):
                until(partial(_ran, client, job_id), "it ran")
            until(partial(_ran, client, "long"), "it runs")
        yield daemon
        daemon.call("cancel", id="long")


def _ran(client: RawClient, job_id: str) -> bool:
    return bool(client.call("get", id=job_id)["attempts"])


@pytest.fixture
def client(daemon: Daemon) -> Iterator[RawClient]:
    with daemon.connect() as client:
        yield client


CALLS: dict[str, list[dict[str, Any]]] = {
    "ping": [{}],
    "greet": [{}, {"bin": True}],
    "describe": [{}],
    "enqueue": [
        {"job": {"command": "true"}},
        {"job": {"command": ["true"], "id": "twice"}, "if_exists": "return"},
    ],
    "enqueue_many": [{"jobs": []}, {"jobs": [{"command": "true"}]}],
    "get": [
        {"id": "every"},
        {"id": "every", "env": True},
        {"id": "later", "env": True},
        {"id": "long"},
        {"id": "killed"},
        {"id": "unspawned"},
    ],
    "list": [{}, {"limit": 1}, {"state": "dead"}, {"states": ["dead", "failed"]}],
    "cancel": [{"id": "later", "wait": False}],
    "retry": [{"id": "later"}],
    "retry_all": [{"state": "dead"}],
    "start": [{"id": "delayed"}],
    "delete": [{"id": "unwanted"}],
    "cancel_many": [{"ids": ["long", "none-such"], "if_state": "pending"}],
    "retry_many": [{"ids": ["killed", "none-such"]}],
    "start_many": [{"ids": ["delayed-too", "none-such"]}],
    "delete_many": [{"ids": ["unspawned", "every", "none-such"]}],
    "position": [{"id": "long"}, {"id": "delayed"}],
    "wait": [{"id": "long", "timeout": 0}],
    "logs.read": [
        {"id": "every", "stream": "stderr"},
        {"id": "later", "stream": "stdout"},
    ],
    "logs.follow": [{"id": "every", "run": 1}],
    "prune": [{"older_than": 1e9}],
    "status": [{}],
    "health": [{}],
    "stats": [{}, {"since": 0}],
    "config.list": [{}],
    "config.get": [{"key": "timeout"}],
    "config.set": [{"key": "cpu_quota", "value": 0}],
    "config.unset": [{"key": "cpu_quota"}],
    "workers.list": [{}],
    "workers.start": [{"bound": True}],
    "workers.ensure": [{"count": 1}],
    "workers.scale": [{"count": 1}],
    "workers.reserve": [{"id": "long"}],
    "workers.wait": [{}],
    "workers.stop": [{"workers": []}],
    "daemon.status": [{}],
    "doctor": [{}, {"deep": True}],
    "daemon.stop": [],
    "daemon.restart": [],
    "unfollow": [],
    "backup": [],
}
"""Calls of each method. Methods that need a set-up of their own have none here, and a
test below."""


def test_every_method_is_called() -> None:
    """A new method needs an example call here."""
    assert CALLS.keys() == METHODS.keys()


@pytest.mark.parametrize(
    ("method", "given"),
    [(method, given) for method, calls in CALLS.items() for given in calls],
    ids=str,
)
def test_a_reply_is_as_described(
    client: RawClient, method: str, given: dict[str, Any]
) -> None:
    """It has every required key, no unknown key, and each value has its type."""
    request = client.send(method, **given)
    events, end = client.follow(request)
    schema = TOLD.methods[method]["result_schema"]
    assert TOLD.problems(schema, end.result) == []  # type: ignore[union-attr]
    assert bool(events) == (method == "logs.follow")
    for event in events:
        fitting = [
            told["type"]
            for told in TOLD.methods[method]["events"]
            if TOLD.accepts(told["schema"], event.body)
        ]
        assert len(fitting) == 1, event


def test_what_ends_something_replies_as_described(tmp_path: Any) -> None:
    """So do the methods that end a stream or the daemon, and the backup."""
    with a_daemon() as daemon, daemon.connect() as client:
        client.call("enqueue", job={"command": "true", "id": "later", "delay": 900})
        follow = client.send("logs.follow", id="later")
        ends = {"unfollow": client.call("unfollow", sub=follow)}
        ends["logs.follow"] = client.result(follow)
        ends["backup"] = client.call("backup", path=str(tmp_path / "copy.db"))
        ends["daemon.restart"] = client.call("daemon.restart")
        assert daemon.process.wait(20) == 0
        daemon.start()
        ends["daemon.stop"] = daemon.call("daemon.stop")
        assert daemon.process.wait(20) == 0
    for method, result in ends.items():
        schema = TOLD.methods[method]["result_schema"]
        assert TOLD.problems(schema, result) == [], method


def test_the_greeting_is_as_described(client: RawClient) -> None:
    """The first message and the reply of greet have the same form."""
    greeting = client.greeting()
    assert TOLD.problems(TOLD.told["forms"]["GREETING"], greeting) == []
    assert client.call("greet")["greeting"] == greeting


def test_a_submission_is_as_described() -> None:
    """A job with every field matches the form of a submission."""
    fields = set(TOLD.told["forms"]["SUBMISSION"]["properties"])
    assert fields == {*EVERY_FIELD, "delay", "expires_in"}
    assert TOLD.problems(TOLD.told["forms"]["SUBMISSION"], EVERY_FIELD) == []
    assert TOLD.problems({"$ref": "#/forms/SUBMISSION"}, {"id": "x"}) != []


def test_every_schema_is_json_schema() -> None:
    """Each is valid in the draft that PROTOCOL.md names, unknown keywords apart."""
    for schema in TOLD.schemas():
        Draft202012Validator.check_schema(schema)
        referred = {text for text in _texts(schema) if text.startswith("#/forms/")}
        assert referred <= {f"#/forms/{name}" for name in TOLD.told["forms"]}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def test_limits_are_told_in_force(client: RawClient) -> None:
    """Both describe and greet tell the same values, and a changed setting at once."""
    limits = client.call("greet")["limits"]
    assert limits == client.call("describe")["limits"]
    assert limits["max_frame"] == client.greeting()["max_frame"]
    client.call("config.set", key="max_queued", value=1234)
    assert client.call("greet")["limits"] == {**limits, "max_queued": 1234}
    client.call("config.unset", key="max_queued")


def test_configured_limits_are_told() -> None:
    """The reply has the configured values, not the defaults."""
    options = ("--max-batch", "7", "--max-page", "5", "--max-frame", "6MiB")
    with a_daemon(*options) as daemon:
        limits = daemon.call("greet")["limits"]
    assert limits["max_batch"] == 7
    assert limits["max_containers"] == 70
    assert (limits["max_page"], limits["max_frame"]) == (5, 6 * 1024**2)
