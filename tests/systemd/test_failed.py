"""A service that has failed: what becomes of its jobs, and how it comes back."""

import json

from helpers.systemdbox_installed import CONFIG, JOBS, SERVICE, SOCKET
from helpers.systemdbox_queue import Service
from helpers.waiting import until


def failed_with_a_job(service: Service) -> None:
    """Have a job go on while the service has failed for good."""
    service.start(workers=1)
    service.waiting_job("left")
    service.configure("max_pages = 5")
    service.box.systemctl("kill", "--signal=KILL", "--kill-whom=main", SERVICE)
    until(lambda: service.state == "failed", "the next daemon has refused to start")


def until_none_is_left(service: Service) -> None:
    # systemctl waits for the service alone, which has nothing to do any more.
    until(lambda: service.box.processes(SERVICE) == [], "its jobs have ended")
    until(lambda: service.box.show(JOBS, "ActiveState") == "inactive", "and all else")


def mend(service: Service) -> None:
    service.box.ok("sed", "-i", "/max_pages/d", CONFIG)


def test_a_stop_of_a_failed_service_ends_its_jobs(service: Service) -> None:
    """They are interrupted, which the next daemon records, and no attempt is used."""
    failed_with_a_job(service)
    assert len(service.box.processes(SERVICE)) >= 2
    service.box.systemctl("stop", SERVICE)
    until_none_is_left(service)
    mend(service)
    service.start()
    again = service.gate_again("left")
    again.reached()
    again.open()
    service.ok("wait", "left")
    assert service.attempts("left") == [("interrupted", None), ("exit", 0)]
    assert service.show("left")["attempts"] == 1


def test_jobs_of_a_failed_service_go_on_until_it_is_started(service: Service) -> None:
    """A mistake in a file costs no work: the next daemon records the one attempt."""
    failed_with_a_job(service)
    mend(service)
    service.start()
    (gate,) = service._gates
    gate.open("3")
    assert service.queuectl("wait", "left").code == 3
    assert service.attempts("left") == [("exit", 3)]


def test_a_stop_between_two_tries_ends_jobs_too(service: Service) -> None:
    """While systemd waits to try again it runs no command of the service either."""
    service.drop_in("[Service]\nRestartSec=1h\n")
    service.start(workers=1)
    service.waiting_job("left")
    service.box.systemctl("kill", "--signal=KILL", "--kill-whom=main", SERVICE)
    waits = "auto-restart"
    until(lambda: service.box.show(SERVICE, "SubState") == waits, "it will be tried")
    service.box.systemctl("stop", SERVICE)
    until_none_is_left(service)


def test_restarts_spare_jobs_however_many(service: Service) -> None:
    """Nobody counts restarts by hand, and the unit beside the service lets jobs be."""
    service.start(workers=1)
    gate = service.waiting_job("calm")
    for _ in range(8):
        service.box.systemctl("restart", SERVICE)
    assert service.box.systemctl("is-active", SERVICE, SOCKET, JOBS) == "active\n" * 3
    gate.open()
    service.ok("wait", "calm")
    assert service.attempts("calm") == [("exit", 0)]


def test_a_name_that_is_known_later_delays_the_start(service: Service) -> None:
    """As of a directory service that is late: systemd tries until it is there."""
    service.drop_in("[Service]\nRestartSec=100ms\n")
    service.box.ok("sh", "-c", f"echo 'submit = [\"@latecomers\"]' >>{CONFIG}")
    assert service.box.run("systemctl", "start", SERVICE).code == 1
    until(lambda: int(service.box.show(SERVICE, "NRestarts")) > 6, "it is tried again")
    assert "no group 'latecomers'" in service.journal("--priority=err")
    service.box.ok("groupadd", "latecomers")
    until(lambda: service.state == "active", "it has started")
    service.box.ok("groupdel", "latecomers")
    assert json.loads(service.ok("list", "--json")) == []


def test_a_database_of_a_newer_program_is_not_tried_again(service: Service) -> None:
    """After a downgrade: the journal says what to install or to restore."""
    service.start()
    service.box.systemctl("stop", SERVICE)
    newer = "import sqlite3; c = sqlite3.connect('/var/lib/queuectl/queuectl.db'); "
    newer += "c.execute('PRAGMA user_version = 99'); c.close()"
    service.box.ok("/opt/queuectl/bin/python", "-c", newer)
    assert service.box.run("systemctl", "start", SERVICE).code == 1
    assert service.state == "failed"
    assert service.box.show(SERVICE, "NRestarts") == "0"
    assert "Install the newer queuectld" in service.journal("--priority=err")
