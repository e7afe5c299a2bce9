"""Copies of the database by the timer that comes with the units."""

from pathlib import Path

from helpers import databases
from helpers.systemdbox_installed import BACKUP, SERVICE, SOCKET
from helpers.systemdbox_queue import Service

COPYING, TIMER = BACKUP
COPIES = "/var/lib/queuectl/backups"


def copies(service: Service) -> list[str]:
    return sorted(each.name for each in service.box.file(COPIES).iterdir())


def copy_now(service: Service) -> None:
    service.box.systemctl("start", COPYING)


def test_a_copy_has_the_systems_jobs_and_is_the_daemons_users(
    service: Service, tmp_path: Path
) -> None:
    """Not those of root's own queue, which is not even started."""
    service.start()
    service.ok("enqueue", "--id", "kept", "true")
    copy_now(service)
    (name,) = copies(service)
    # SQLite would look for the file by its path in the box, outside of it.
    copy = tmp_path / name
    copy.write_bytes(service.box.file(f"{COPIES}/{name}").read_bytes())
    assert databases.ask(copy, "SELECT name FROM jobs") == [("kept",)]
    shown = service.box.ok("stat", "--format=%U %a", f"{COPIES}/{name}")
    assert shown == "queuectl 600\n"
    assert not service.box.file("/root/.local/state/queuectl").exists()


def test_as_many_copies_are_kept_as_the_unit_says(service: Service) -> None:
    """The newest; what has another name is nobody's business."""
    service.start()
    old = [f"queuectl-2020010{day}T000000.000Z.db" for day in range(1, 9)]
    for name in (*old, "mine.db"):
        service.box.file(f"{COPIES}/{name}").touch()
    copy_now(service)
    assert len(copies(service)) == 7 + 1
    assert copies(service)[:7] == ["mine.db", *old[2:]]


def test_a_stopped_queue_is_not_started_for_a_copy(service: Service) -> None:
    """Though its socket listens; nothing fails, since nothing changes meanwhile."""
    service.start()
    service.box.systemctl("stop", SERVICE)
    assert service.box.systemctl("is-active", SOCKET) == "active\n"
    copy_now(service)
    assert service.state == "inactive"
    assert copies(service) == []


def test_a_copy_that_cannot_be_made_is_a_failed_unit(service: Service) -> None:
    """Which monitors see."""
    service.start()
    service.box.ok("rmdir", COPIES)
    assert service.box.run("systemctl", "start", COPYING).code == 1
    assert service.box.show(COPYING, "ActiveState") == "failed"


def test_the_timer_is_enabled_as_install_says(service: Service) -> None:
    """It has a next time, and goes with nothing else."""
    service.box.systemctl("enable", "--now", TIMER)
    try:
        assert service.box.show(TIMER, "NextElapseUSecRealtime") != ""
    finally:
        service.box.systemctl("disable", "--now", TIMER)


def test_a_daemon_of_root_has_copies_made_as_well(service: Service) -> None:
    """They are root's then, in the same directory."""
    service.drop_in("[Service]\nUser=root\nGroup=root\n")
    service.start()
    copy_now(service)
    (name,) = copies(service)
    shown = service.box.ok("stat", "--format=%U %a", f"{COPIES}/{name}")
    assert shown == "root 600\n"
