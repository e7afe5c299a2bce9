"""How many workers there are, when several ask for more or fewer at the same time."""

import resource
import signal
from itertools import chain
from typing import Any

import pytest

from helpers import hindered, waiting
from helpers.home import Home
from helpers.rawclient import PATIENCE
from queuectl_protocol.messages import Failure
from queuectld.server.dispatch import METHODS
from queuectld.server.schema.description import COMMON

HOLD = "echo >running$QUEUECTL_JOB_ID; read _ <gate"


def numbers(workers: list[dict[str, Any]]) -> list[int]:
    """Return the numbers of these workers, in order."""
    return sorted(worker["worker"] for worker in workers)


def test_one_worker_stopped_three_times_is_one_worker_less(home: Home) -> None:
    """Requests in the same instant stop it once, and want one less."""
    home.serve()
    started = numbers(home.ask("workers.start", count=4)["workers"])
    with home.connect() as client:
        sent = [client.send("workers.stop", workers=started[:1]) for _ in range(3)]
        for request in sent:
            client.result(request)
    found = home.ask("workers.list")
    assert found["wanted"] == 3
    assert numbers(found["workers"]) == started[1:]


def test_a_bound_worker_stopped_three_times_is_one_worker_less(home: Home) -> None:
    """Its client still has the others, and hears when the last of them is gone."""
    home.serve()
    with home.connect() as owner, home.connect() as client:
        reply = owner.call("workers.start", count=3, bound=True)
        first, *others = numbers(reply["workers"])
        for request in [client.send("workers.stop", workers=[first]) for _ in "abc"]:
            client.result(request)
        assert numbers(home.workers()) == others
        waits = owner.send("workers.wait")
        client.call("workers.stop", workers=others)
        assert owner.result(waits) == {}


def test_each_start_tells_of_its_own_workers(home: Home) -> None:
    """Three at once: every worker is in one reply, and each reply has its count."""
    home.serve()
    with home.connect() as client:
        sent = [client.send("workers.start", count=count) for count in (1, 2, 3)]
        told = [numbers(client.result(request)["workers"]) for request in sent]
    assert [len(each) for each in told] == [1, 2, 3]
    assert sorted(chain(*told)) == numbers(home.workers())


def test_a_start_beside_a_stop_of_all_leaves_what_is_wanted(home: Home) -> None:
    """Played many times: as many workers as wanted, whichever came first."""
    home.serve()
    for _ in range(10):
        with home.connect() as client:
            sent = [
                client.send("workers.start", count=2),
                client.send("workers.stop"),
                client.send("workers.start", count=1),
            ]
            for request in sent:
                client.result(request)
            found = client.call("workers.list")
            active = [w for w in found["workers"] if w["state"] != "stopping"]
            assert len(active) == found["wanted"] <= 3
            client.call("workers.stop")
            assert client.call("workers.list") == {"workers": [], "wanted": 0}


# -- scale -----------------------------------------------------------------------------


def test_scale_starts_what_is_missing(home: Home) -> None:
    """As many as asked for, ready; those that were started are told."""
    home.serve()
    first = numbers(home.ask("workers.start")["workers"])
    reply = home.ask("workers.scale", count=3)
    assert (reply["wanted"], reply["stopped"], reply["interrupted"]) == (3, 0, 0)
    assert sorted(first + numbers(reply["started"])) == numbers(home.workers())
    assert home.ask("workers.scale", count=3)["started"] == []


def test_scale_stops_idle_workers_before_busy_ones(home: Home) -> None:
    """The job goes on, whatever the number of its worker is; zero stops all."""
    home.serve()
    home.ask("workers.start")
    gate = home.gate()
    job = home.enqueue(HOLD)
    home.appears(f"running{job}")
    busy = home.worker_of(job)["worker"]
    home.ask("workers.start", count=2)
    reply = home.ask("workers.scale", count=1)
    assert (reply["started"], reply["stopped"], reply["wanted"]) == ([], 2, 1)
    assert numbers(home.workers()) == [busy]
    gate.open()
    assert home.ended(job)["state"] == "completed"
    assert home.ask("workers.scale", count=0)["stopped"] == 1
    assert home.ask("workers.list") == {"workers": [], "wanted": 0}


def test_scale_leaves_bound_workers_alone(home: Home) -> None:
    """They are not counted, and not stopped."""
    home.serve()
    with home.connect() as owner:
        bound = owner.call("workers.start", count=2, bound=True)["workers"]
        reply = home.ask("workers.scale", count=1)
        assert len(reply["started"]) == 1
        assert home.ask("workers.scale", count=0)["stopped"] == 1
        assert numbers(home.workers()) == numbers(bound)


def test_scales_at_once_end_with_the_number_of_the_last(home: Home) -> None:
    """Pipelined up and down: each is answered, and one number is true at the end."""
    home.serve()
    with home.connect() as client:
        sent = [client.send("workers.scale", count=n) for n in (4, 1, 3, 0, 2)]
        for request in sent:
            client.result(request)
        found = client.call("workers.list")
        # One that was too many before it was ready may still be on its way out.
        active = [w for w in found["workers"] if w["state"] != "stopping"]
        assert found["wanted"] == len(active)


def test_a_count_of_workers_is_stopped(home: Home) -> None:
    """The idle first; as many as there are if more are named."""
    home.serve()
    home.ask("workers.start", count=4)
    gate = home.gate()
    job = home.enqueue(HOLD)
    home.appears(f"running{job}")
    assert home.ask("workers.stop", count=3)["stopped"] == 3
    assert numbers(home.workers()) == [home.worker_of(job)["worker"]]
    assert home.ask("workers.list")["wanted"] == 1
    gate.open()
    home.ended(job)
    assert home.ask("workers.stop", count=9)["stopped"] == 1
    assert home.ask("workers.list") == {"workers": [], "wanted": 0}


def test_a_count_and_numbers_are_not_both_given(home: Home) -> None:
    """It would not be clear what is meant."""
    home.serve()
    with home.connect() as client:
        refused = client.refused("workers.stop", count=1, workers=[1])
    assert refused.code == "invalid_params"


# -- the command -----------------------------------------------------------------------


def test_worker_scale_says_what_it_did(home: Home) -> None:
    """Up, down, and nothing."""
    assert home.ctl("worker", "scale", "2") == "2 workers started: 1, 2"
    assert home.ctl("worker", "scale", "2") == "2 workers wanted already"
    assert home.ctl("worker", "scale", "1") == "1 worker stopped"
    assert len(home.workers()) == 1


def test_worker_stop_of_some(home: Home) -> None:
    """By number, or so many; a number that nobody has is an error."""
    home.ctl("worker", "start", "--count", "4")
    first, *_ = numbers(home.workers())
    assert home.ctl("worker", "stop", str(first)) == "1 worker stopped"
    assert first not in numbers(home.workers())
    assert home.ctl("worker", "stop", "--count", "2") == "2 workers stopped"
    assert len(home.workers()) == 1
    missing = home.run("worker", "stop", "99")
    assert missing.returncode == 1
    assert "no worker 99" in missing.stderr
    assert len(home.workers()) == 1


def test_worker_stop_is_interrupted_by_ctrl_c_and_the_scale_goes_on(home: Home) -> None:
    """The number is stored at once; whoever waits may leave."""
    home.ctl("worker", "start")
    gate = home.gate()
    job = home.enqueue(HOLD)
    home.appears(f"running{job}")
    scaling = home.begin("worker", "scale", "0")
    waiting.until(lambda: home.workers()[0]["state"] == "stopping", "it is told")
    home.kill(scaling.pid, number=signal.SIGINT)
    assert scaling.wait(PATIENCE) == -signal.SIGINT
    gate.open()
    waiting.until(lambda: home.workers() == [], "the worker has left")
    assert home.job(job)["state"] == "completed"


# -- taken over ------------------------------------------------------------------------


def test_a_worker_that_is_taken_over_keeps_its_start(home: Home) -> None:
    """It was started when it was started, whichever daemon tells of it."""
    home.serve()
    home.ask("workers.start")
    gate = home.gate()
    job = home.enqueue(HOLD)
    home.appears(f"running{job}")
    (before,) = home.workers()
    home.kill(home.daemon)
    home.serve()
    (after,) = home.workers()
    assert after["adopted"]
    assert after["started_at"] == before["started_at"]
    gate.open()
    home.ended(job)


# -- no descriptors --------------------------------------------------------------------


def none_left(home: Home) -> None:
    """Take the daemon's descriptors away, but for those that it has open."""
    limits = resource.prlimit(home.daemon, resource.RLIMIT_NOFILE)
    resource.prlimit(home.daemon, resource.RLIMIT_NOFILE, (3, limits[1]))


def test_a_start_without_descriptors_is_answered(home: Home) -> None:
    """With a code that its section lists, and what to do; the wish is kept."""
    hindered.serve(home, constants={"control.supervisor.READY_WITHIN": 0.5})
    with home.connect() as client:
        client.call("ping")  # it is connected to by now
        before = resource.prlimit(home.daemon, resource.RLIMIT_NOFILE)
        none_left(home)
        refused = client.refused("workers.start")
        again = client.refused("workers.ensure")
        scaled = client.refused("workers.scale", count=2)
        resource.prlimit(home.daemon, resource.RLIMIT_NOFILE, before)
    for each in (refused, again, scaled):
        assert each.code == "too_many_requests"
        assert each.retryable
        assert "file descriptor" in each.message
    waiting.until(lambda: len(home.workers()) == 2, "it has them as soon as it can")


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("logs.read", {"stream": "stdout"}),
        ("logs.follow", {}),
        ("backup", {"path": "/tmp/copy"}),
        ("doctor", {"deep": True}),
        ("prune", {"older_than": 0}),
        ("enqueue", {"job": {"command": "true"}}),
        ("status", {}),
    ],
)
def test_requests_without_descriptors_have_codes_that_are_listed(
    home: Home, method: str, params: dict[str, Any]
) -> None:
    """Or are carried out, for want of which they need none."""
    home.serve()
    home.ask("workers.start")
    job = home.enqueue("echo out")
    home.ended(job)
    if method.startswith("logs"):
        params = {**params, "id": job}
    with home.connect() as client:
        client.call("ping")  # it is connected to by now
        before = resource.prlimit(home.daemon, resource.RLIMIT_NOFILE)
        none_left(home)
        end = client.end(client.send(method, **params))
        resource.prlimit(home.daemon, resource.RLIMIT_NOFILE, before)
    if isinstance(end, Failure):
        assert end.code in {*METHODS[method].errors, *COMMON} - {"internal"}, end
