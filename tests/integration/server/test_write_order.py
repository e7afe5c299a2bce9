"""The order in which pipelined writes of one connection take effect."""

import asyncio
from typing import Any

import pytest

from helpers.daemon import Daemon
from helpers.rawclient import RawClient
from helpers.serving import Moment, serving
from helpers.waiting import until
from queuectl_protocol.messages import Failure, Reply
from queuectld.server.call import Call
from queuectld.server.schema import params
from queuectld.server.schema.method import Method, Result


def at_once(client: RawClient, *calls: tuple[str, dict[str, Any]]) -> list[Any]:
    """Send requests in one write; return their results, or what was refused."""
    ids = [client.wire.send_request(method, given) for method, given in calls]
    client.socket.sendall(client.wire.data_to_send())
    ends = [client.end(each) for each in ids]
    return [end.result if isinstance(end, Reply) else end.message for end in ends]


@pytest.mark.parametrize("turn", range(5))
def test_writes_to_one_job_take_effect_in_the_order_they_were_sent(
    client: RawClient, turn: int
) -> None:
    """They take effect as if each had been sent after the reply to the one before."""
    name = f"one-{turn}"
    job = {"command": "true", "id": name}
    ends = at_once(
        client,
        ("enqueue", {"job": job}),
        ("cancel", {"id": name, "if_state": "pending"}),
        ("retry", {"id": name, "if_state": "cancelled"}),
        ("enqueue", {"job": job, "if_exists": "return"}),
        ("cancel", {"id": name, "if_state": "pending"}),
    )
    assert [end["job"]["state"] for end in ends] == [
        "pending", "cancelled", "pending", "pending", "cancelled",
    ]  # fmt: skip


def test_a_batch_is_a_write_to_each_of_its_jobs(client: RawClient) -> None:
    """A later write to one of the jobs comes after it, however long it takes."""
    names = [f"batch-{n}" for n in range(3000)]
    jobs = [{"command": "true", "id": name} for name in names]
    ends = at_once(
        client,
        ("enqueue_many", {"jobs": jobs}),
        ("cancel", {"id": names[-1]}),
        ("enqueue", {"job": jobs[0], "if_exists": "return"}),
    )
    assert ends[0]["created"] == 3000
    assert ends[1]["job"]["state"] == "cancelled"
    assert ends[2]["created"] is False


def test_a_write_to_all_jobs_is_one_to_each(client: RawClient) -> None:
    """A retry_all takes effect after earlier and before later writes."""
    ends = at_once(
        client,
        ("enqueue", {"job": {"command": "true", "id": "all"}}),
        ("cancel", {"id": "all"}),
        ("retry_all", {"state": "cancelled"}),
        ("cancel", {"id": "all", "if_state": "pending"}),
        ("prune", {"states": ["cancelled"]}),
        ("enqueue", {"job": {"command": "false", "id": "all"}}),
    )
    assert ends[2]["retried"] >= 1
    assert ends[3]["job"]["state"] == "cancelled"
    assert ends[5]["created"] is True
    assert ends[5]["job"]["command"] == "false"


def test_a_setting_is_in_force_for_what_is_enqueued_behind_it(
    client: RawClient,
) -> None:
    """It is not in force for what was sent before it."""
    job = {"command": "true"}
    ends = at_once(
        client,
        ("enqueue", {"job": job}),
        ("config.set", {"key": "max_retries", "value": 7}),
        ("enqueue", {"job": job}),
        ("config.unset", {"key": "max_retries"}),
        ("enqueue", {"job": job}),
    )
    assert [ends[n]["job"]["max_retries"] for n in (0, 2, 4)] == [3, 7, 3]


def test_a_retry_behind_a_cancel_finds_the_job_cancelled(client: RawClient) -> None:
    """It waits for the cancel, which is answered when the processes are gone."""
    client.call("workers.start")
    # Before all that the other tests here left waiting.
    fields = {"command": "sleep 600", "id": "runs", "priority": 9}
    job = client.call("enqueue", job=fields)["job"]
    until(
        lambda: client.call("get", id="runs")["job"]["state"] == "processing", "it runs"
    )
    cancelled, retried = at_once(
        client,
        ("cancel", {"id": job["id"]}),
        ("retry", {"id": job["id"], "if_state": "cancelled"}),
    )
    assert cancelled["job"]["state"] == "cancelled"
    assert (retried["job"]["state"], retried["job"]["runs"]) == ("pending", 1)
    client.call("cancel", id=job["id"])
    client.call("workers.stop", now=True)


class Gates:
    """A method whose requests the test lets end, one at a time."""

    def __init__(self) -> None:
        self.begun = Moment()
        self.seen: list[str | None] = []
        self.gates: list[asyncio.Event] = []

    async def change(self, _call: Call, *, id: str | None, job: Any) -> Result:  # noqa: A002
        """Wait until the test lets it end."""
        self.seen.append(id or (job and job["id"]))
        gate = asyncio.Event()
        self.gates.append(gate)
        self.begun.happen()
        await gate.wait()
        return {}

    async def ping(self, _call: Call) -> Result:
        """Answer."""
        return {}

    def table(self) -> dict[str, Method]:
        """Return the methods."""
        what: dict[str, Any] = {
            "doc": "",
            "handler": self.change,
            "params": (params.text("id", "an id"), params.fields("job", "a job")),
        }
        rows = (
            Method(name="change", changes=("id", "job"), **what),
            Method(name="change_all", changes=(), **what),
            Method(name="ping", doc="", handler=self.ping),
        )
        return {row.name: row for row in rows}


def test_writes_to_different_jobs_are_at_work_side_by_side() -> None:
    """Pipelined enqueues share their commits: none waits for another's reply."""
    gates = Gates()
    with serving(gates.table()) as served, served.connect() as client:
        sent = [client.send("change", job={"id": f"{n}"}) for n in range(100)]
        gates.begun.wait(100)
        later = ["7", None, "7", "new"]
        sent += [
            client.send("change", id=each) if each else client.send("change_all")
            for each in later
        ]
        sent.append(client.send("ping"))
        assert client.result(sent.pop()) == {}  # all were read, none was held up
        assert gates.begun.count == 100
        for gate in gates.gates[:100]:
            served.run(gate.set)
        for done in range(2):
            gates.begun.wait(101 + done)
            assert client.call("ping") == {}
            assert gates.seen[100:] == later[: 1 + done]
            served.run(gates.gates[-1].set)
        gates.begun.wait(104)  # two that have nothing to do with each other
        assert sorted(gates.seen[102:]) == ["7", "new"]
        for gate in gates.gates[-2:]:
            served.run(gate.set)
        assert [client.result(each) for each in sent] == [{}] * 104


def test_what_is_held_back_is_not_carried_out_when_its_client_goes() -> None:
    """The request at work is carried out, and those that wait for it are not."""
    gates = Gates()
    with serving(gates.table()) as served:
        with served.connect() as client:
            client.send("change", id="begun")
            gates.begun.wait()
            client.send("change", id="begun")
            client.send("change_all")
            client.send("change", id="new")
            assert client.call("ping") == {}  # all were read
        with served.connect() as other:
            served.released.wait()
            served.run(gates.gates[0].set)
            connections = served.connections
            until(lambda: len(connections) == 1, "all of the first is over")
            assert other.call("ping") == {}
        assert gates.seen == ["begun"]


def test_what_waits_for_a_cancel_goes_with_it(daemon: Daemon) -> None:
    """With the connection the cancel's wait ends, and nothing else starts."""
    with daemon.connect() as other:
        other.call("workers.start")
        command = "trap '' TERM; echo there; while :; do sleep 1; done"
        fields = {"command": command, "id": "stubborn", "priority": 9}
        other.call("enqueue", job=fields)
        until(
            lambda: (
                other.call("logs.read", id="stubborn", stream="stdout")["data"]
                == b"there\n"
            ),
            "it does not mind SIGTERM",
        )
        with daemon.connect() as client:
            for method, given in (
                ("cancel", {"id": "stubborn"}),
                ("config.set", {"key": "max_retries", "value": 9}),
                ("enqueue", {"job": {"command": "true", "id": "late"}}),
            ):
                client.wire.send_request(method, given)
            client.socket.sendall(client.wire.data_to_send())
            client.call("ping")  # all were read
        until(
            lambda: other.call("daemon.status")["connections"] == 1,
            "the other connection is over",
        )
        settings = other.call("config.list")["settings"]
        assert [s["value"] for s in settings if s["key"] == "max_retries"] == [3]
        assert isinstance(other.end(other.send("get", id="late")), Failure)
        other.call("workers.stop", now=True)


def test_a_large_write_waits_for_its_turn_as_it_came() -> None:
    """It stays unparsed, and takes no room from other clients meanwhile."""
    gates = Gates()
    size = 12 * 1024**2
    with (
        serving(gates.table(), max_frame=2 * size) as served,
        served.connect() as client,
        served.connect() as other,
    ):
        sent = [client.send("change", id="1")]
        gates.begun.wait()
        large = {"id": "1", "x": "y" * size}
        sent.append(client.send("change", job=large))
        others = other.send("change", job={"id": "1", "x": "y" * size})
        gates.begun.wait(2)
        served.run(gates.gates[1].set)
        assert other.result(others) == {}
        assert gates.begun.count == 2
        served.run(gates.gates[0].set)
        gates.begun.wait(3)
        served.run(gates.gates[2].set)
        assert [client.result(each) for each in sent] == [{}] * 2


def test_a_write_that_is_refused_holds_up_none(client: RawClient) -> None:
    """A later write does not wait for a write that was refused."""
    ids = [
        client.send("cancel", id="none-such"),
        client.send("cancel", id="none-such", wait=7),
        client.send("enqueue", job={"command": "true", "id": "none-such"}),
    ]
    ends = [client.end(each) for each in ids]
    assert [isinstance(end, Failure) and end.code for end in ends] == [
        "not_found",
        "invalid_params",
        False,
    ]
