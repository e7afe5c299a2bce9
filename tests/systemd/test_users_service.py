"""A user's own queue, as a service of the user's systemd."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from helpers.systemdbox import Box
from helpers.systemdbox_installed import MEMBER, SERVICE, SOCKET
from helpers.systemdbox_queue import Service
from helpers.waiting import until

pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, ("dbus-daemon", "dbus-broker"))),
    reason="needs D-Bus, by which loginctl is told",
)


@dataclass
class Member:
    """A user who is not logged in, and whose systemd runs all the same."""

    box: Box
    uid: str

    @property
    def manager(self) -> str:
        """The unit of the user's systemd."""
        return f"user@{self.uid}.service"

    def type(self, *argv: str) -> str:
        """Run a program that succeeds, as the user; return what it says."""
        mine = {"XDG_RUNTIME_DIR": f"/run/user/{self.uid}", "HOME": f"/home/{MEMBER}"}
        return self.box.ok(*argv, user=MEMBER, **mine)

    def systemctl(self, *arguments: str) -> str:
        """Have the user's systemd do something that succeeds."""
        return self.type("systemctl", "--user", *arguments)

    def show(self, name: str) -> str:
        """Return a property of the user's service."""
        return self.systemctl("show", f"--property={name}", "--value", SERVICE)[:-1]

    def leave(self) -> None:
        """Have it all end."""
        self.box.ok("loginctl", "disable-linger", MEMBER)
        until(
            lambda: self.box.show(self.manager, "ActiveState") == "inactive",
            "it has ended",
        )


@pytest.fixture
def member(service: Service) -> Iterator[Member]:
    """One whose socket listens."""
    box = service.box
    box.ok("loginctl", "enable-linger", MEMBER)
    made = Member(box, box.ok("id", "--user", MEMBER).strip())
    until(
        lambda: box.show(made.manager, "ActiveState") == "active", "the user's systemd"
    )
    made.systemctl("start", SOCKET)
    yield made
    made.leave()
    box.ok("rm", "-rf", f"/home/{MEMBER}/.local/state/queuectl")


def test_a_user_who_lingers_has_a_queue_without_being_logged_in(
    service: Service, member: Member
) -> None:
    """The user's socket starts it; a restart spares its job; all ends with the user."""
    assert member.type("queuectl", "run", "id --user") == f"{member.uid}\n"
    assert member.systemctl("is-active", SERVICE) == "active\n"
    gate = service.gate("mine")
    command = f"read line <{gate.path}; echo on"
    member.type("queuectl", "enqueue", "--id", "mine", command)
    gate.reached()
    member.systemctl("restart", SERVICE)
    gate.open()
    member.type("queuectl", "wait", "mine")
    assert member.type("queuectl", "logs", "mine", "--attempt", "1") == "on\n"
    assert member.box.processes(SERVICE) != []
    member.leave()
    left = (member.box.processes(SERVICE), member.box.processes(member.manager))
    assert left == ([], [])


def test_jobs_of_a_users_service_have_cgroups(member: Member) -> None:
    """Though systemd 252 does not mark what it delegates to a user's units."""
    group = member.type("queuectl", "run", "cat /proc/self/cgroup")
    assert f"/{member.manager}/app.slice/{SERVICE}/job-" in group


def test_a_stop_ends_what_a_dead_daemon_left_to_a_user(
    service: Service, member: Member
) -> None:
    """As of the system's service: by the unit beside it."""
    drop_ins = f"/home/{MEMBER}/.config/systemd/user/{SERVICE}.d"
    member.type("mkdir", drop_ins)
    text = "[Service]\nRestartSec=1h\n"
    service.box.file(f"{drop_ins}/late.conf").write_text(text)
    member.systemctl("daemon-reload")
    member.type("queuectl", "worker", "start")
    gate = service.gate("mine")
    member.type("queuectl", "enqueue", f"read line <{gate.path}")
    gate.reached()
    member.systemctl("kill", "--signal=KILL", "--kill-whom=main", SERVICE)
    until(lambda: member.show("SubState") == "auto-restart", "it will be tried again")
    assert len(member.box.processes(SERVICE)) == 2
    member.systemctl("stop", SERVICE)
    until(lambda: member.box.processes(SERVICE) == [], "its job has ended")
    member.type("rm", "-r", drop_ins)
