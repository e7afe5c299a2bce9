"""The machine is shut down, or loses its power, and is booted again."""

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest

from helpers.systemdbox import hindrance
from helpers.systemdbox_boots import Machine, a_computer
from helpers.waiting import until
from queuectl_protocol import units

CONFIGURATION = 'shutdown_grace = "0.2s"\nlog_level = "debug"'


@pytest.fixture
def machine() -> Iterator[Machine]:
    """A machine of one's own, with an empty queue."""
    with a_machine() as made:
        yield made


@contextmanager
def a_machine() -> Iterator[Machine]:
    if reason := hindrance():
        pytest.skip(reason)
    with a_computer(CONFIGURATION) as made:
        made.service.ok("config", "set", "kill_grace", "0.2s", user="root")
        yield made


# -- a shutdown while jobs run --------------------------------------------------------

MILD, STUBBORN, WAITING = ("mild", "stubborn", "waiting")


class Story(NamedTuple):
    """What has been seen of a shutdown and a boot after it.

    Attributes:
        machine: after the boot, all jobs done.
        off: state and counted attempts of each job while it was off.
    """

    machine: Machine
    off: dict[str, tuple[object, ...]]


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    """Shut a machine down on two jobs that run and one that waits; boot it again."""
    with a_machine() as machine:
        machine.service.ok("worker", "start", "--count", "2")
        machine.service.waiting_job(MILD)
        machine.service.waiting_job(STUBBORN, first="trap '' TERM; ")
        machine.service.ok("enqueue", "--id", WAITING, "true")
        machine.service.box.power_off()
        off = machine.jobs_on_disk()
        machine.boot()
        for gate in map(machine.service.gate_again, (MILD, STUBBORN)):
            gate.reached()  # and nobody has asked for anything yet
            gate.open()
        machine.service.ok("wait", MILD, STUBBORN, WAITING)
        yield Story(machine, off)


def test_jobs_that_a_shutdown_interrupts_are_pending_while_it_is_off(
    story: Story,
) -> None:
    """As if they had not been begun: no attempt is used."""
    assert story.off == dict.fromkeys((MILD, STUBBORN, WAITING), ("pending", 0))


def test_jobs_that_a_shutdown_interrupted_run_after_the_boot(story: Story) -> None:
    """Each ends by its first attempt that counts, and is not run a third time."""
    service = story.machine.service
    twice = [("interrupted", None), ("exit", 0)]
    assert service.attempts(MILD) == service.attempts(STUBBORN) == twice
    assert service.attempts(WAITING) == [("exit", 0)]
    counted = [service.show(name)["attempts"] for name in (MILD, STUBBORN, WAITING)]
    assert counted == [1, 1, 1]


def test_a_shutdown_waits_for_no_job_longer_than_the_daemon_allows(
    story: Story,
) -> None:
    """The daemon kills what does not heed SIGTERM, before systemd's patience ends."""
    signals = [story.machine.attempts(name)[0]["signal"] for name in (MILD, STUBBORN)]
    assert signals == [signal.SIGTERM, signal.SIGKILL]
    assert "timed out" not in story.machine.service.journal()


def test_the_journal_has_a_jobs_life_over_both_boots(story: Story) -> None:
    """By its id: what became of it before the shutdown, and after the boot."""
    told = story.machine.service.journal(f"JOB_ID={MILD}", "--output=json")
    life = [json.loads(line) for line in told.splitlines()]
    first = ["job_enqueued", "attempt_started", "attempt_finished"]
    second = ["attempt_started", "attempt_finished"]
    assert [entry["EVENT"] for entry in life] == first + second
    boots = [entry["_BOOT_ID"] for entry in life]
    assert boots[0] != boots[-1]
    assert boots == [boots[0]] * len(first) + [boots[-1]] * len(second)


# -- others ---------------------------------------------------------------------------


def test_a_job_whose_time_comes_while_the_machine_is_off_runs_at_the_boot(
    machine: Machine,
) -> None:
    """Once, before anybody asks; one whose time has not come goes on waiting."""
    machine.service.ok("worker", "start")
    machine.service.waiting_job("busy")  # so that the other cannot run before
    machine.service.gated_job("soon", "--delay", "1s", "--priority", "1")
    machine.service.ok("enqueue", "--id", "later", "--delay", "1h", "true")
    run_at = units.parse_time(machine.service.show("soon")["run_at"])
    machine.service.box.power_off()
    assert machine.jobs_on_disk()["soon"] == ("pending", 0)
    until(lambda: time.time() * 1000 > run_at, "its time has passed")

    machine.boot()
    soon = machine.service.gate_again("soon")
    soon.reached()
    soon.open()
    machine.service.ok("wait", "soon")
    assert machine.service.attempts("soon") == [("exit", 0)]
    later = machine.service.show("later")
    assert (later["state"], later["runs"]) == ("pending", 0)


def test_a_power_cut_uses_up_the_attempts_that_it_hits(machine: Machine) -> None:
    """What ran is lost, and counts; what had ended, or waited, has one attempt."""
    machine.service.ok("worker", "start", "--count", "2")
    machine.service.ok("enqueue", "--id", "ended", "--wait", "true")
    machine.service.waiting_job("again", "--max-retries", "1")
    machine.service.waiting_job("last", "--max-retries", "0")
    machine.service.ok("enqueue", "--id", "waiting", "true")
    machine.service.box.cut_power()
    assert machine.jobs_on_disk() == {
        "ended": ("completed", 1),
        "again": ("processing", 1),
        "last": ("processing", 1),
        "waiting": ("pending", 0),
    }

    machine.boot()
    again = machine.service.gate_again("again")
    again.reached()
    again.open()
    assert machine.service.queuectl("wait", "again", "last", "waiting").code == 1
    assert machine.service.attempts("again") == [("lost", None), ("exit", 0)]
    assert machine.service.show("again")["attempts"] == 2
    assert machine.service.attempts("last") == [("lost", None)]
    assert machine.service.show("last")["state"] == "dead"
    assert machine.service.attempts("waiting") == [("exit", 0)]
    assert machine.service.attempts("ended") == [("exit", 0)]
