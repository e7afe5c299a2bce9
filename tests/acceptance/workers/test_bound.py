"""Workers that belong to a connection: they go with it, and it can wait for them."""

import pytest

from helpers import hindered, waiting
from helpers.home import Home
from helpers.rawclient import PATIENCE, RawClient


def alone(home: Home) -> bool:
    """Whether nobody else is connected."""
    connections: int = home.ask("daemon.status")["connections"]
    return connections == 1


def answered(client: RawClient, request: int) -> bool:
    """Whether a request has its reply already."""
    client.call("ping")
    return any(getattr(kept, "id", None) == request for kept in client._kept)


@pytest.mark.parametrize(("point", "started"), [("number", 1), ("channel", 2)])
def test_workers_of_a_client_that_vanished_while_they_were_started(
    home: Home, point: str, started: int
) -> None:
    """Those that are there already leave; no other one is started for it."""
    hindered.serve(home)
    with hindered.held(home, point) as hold:
        client = home.connect()
        client.send("workers.start", count=2, bound=True)
        hold.reached()
        client.close()
        waiting.until(lambda: alone(home), "the daemon has seen it go")
    (own,) = home.ask("workers.start")["workers"]
    assert not own["bound"]
    waiting.until(lambda: [w["pid"] for w in home.workers()] == [own["pid"]], "it left")
    assert home.log().count("worker_started") == started


def test_waiting_for_bound_workers_ends_with_the_last_process(home: Home) -> None:
    """Whoever stopped them; not before, and at once where there is none."""
    home.serve()
    with home.connect() as owner, home.connect() as other:
        assert owner.call("workers.wait") == {}
        gate = home.gate()
        bound = owner.call("workers.start", count=2, bound=True)["workers"]
        home.enqueue("echo >running; read _ <gate")
        home.appears("running")
        wait = owner.send("workers.wait")
        stop = other.send("workers.stop", workers=[w["worker"] for w in bound])
        waiting.until(lambda: len(home.workers()) == 1, "the idle one has left")
        assert other.call("workers.wait") == {}, "it has none"
        assert not answered(owner, wait)
        gate.open()
        assert owner.result(wait) == {}
        assert other.result(stop) == {"stopped": 2, "interrupted": 0}
        assert home.workers() == []


def test_a_bound_worker_that_died_is_replaced_and_waited_for(home: Home) -> None:
    """Only a stop ends the wait."""
    home.serve()
    with home.connect() as owner:
        (worker,) = owner.call("workers.start", bound=True)["workers"]
        wait = owner.send("workers.wait")
        home.kill(worker["pid"])
        waiting.until(
            lambda: [w["state"] for w in home.workers()] == ["idle"], "another is ready"
        )
        assert not answered(owner, wait)
        assert home.ask("workers.stop") == {"stopped": 1, "interrupted": 0}
        assert owner.result(wait) == {}


@pytest.mark.parametrize("numbers", ["all", "its own"])
def test_foreground_workers_that_are_stopped_from_elsewhere(
    home: Home, numbers: str
) -> None:
    """`worker start --foreground` says so, and ends with status 0."""
    home.serve()
    client = home.begin("worker", "start", "--foreground", "--count", "2")
    assert client.stdout is not None
    assert "ready" in client.stdout.readline()
    own = [worker["worker"] for worker in home.workers()]
    home.ask("workers.stop", **({"workers": own} if numbers == "its own" else {}))
    assert client.wait(PATIENCE) == 0
    assert "stopped from elsewhere" in (home.root / "queuectl.stderr").read_text()
    assert home.workers() == []
