"""A client that is not served is told what to do, and that does it."""

import json
import shlex

from helpers.systemdbox_installed import MEMBER, SOCKET, STRANGER
from helpers.systemdbox_queue import Service


def test_a_stopped_service_is_started_as_a_client_is_told(service: Service) -> None:
    """The system's queue, by systemd: not a daemon of one's own."""
    service.start()
    service.box.systemctl("stop", SOCKET)
    done = service.queuectl("status")
    assert done == (3, "", done.err)
    advice, command = done.err.rstrip("\n").rsplit("; ", 1)[1].split(": ")
    assert advice == "start its service, as root"
    service.box.ok(*shlex.split(command))
    assert service.ok("list", "--json") == "[]"


def test_a_stranger_joins_the_group_as_told(service: Service) -> None:
    """The socket's mode opens with the membership."""
    service.start()
    said = service.refused("status", user=STRANGER)
    command = said.partition("(")[2].partition(")")[0].replace("YOU", STRANGER)
    service.box.ok(*shlex.split(command))
    try:
        assert service.ok("list", "--json", user=STRANGER) == "[]"
    finally:
        service.box.ok("gpasswd", "--delete", STRANGER, "queuectl")


def test_a_user_with_a_service_is_told_of_it(service: Service) -> None:
    """Where its unit is installed; here no systemd of the user runs to do it."""
    uid = service.box.ok("id", "--user", MEMBER).strip()
    mine = {"XDG_RUNTIME_DIR": f"/run/user/{uid}", "HOME": f"/home/{MEMBER}"}
    done = service.box.run("queuectl", "daemon", "status", user=MEMBER, **mine)
    assert done == (3, "", done.err)
    assert done.err.endswith(f": systemctl --user start {SOCKET}\n")


def test_who_has_no_queue_of_his_own_finds_the_systems(service: Service) -> None:
    """Without a variable; a stranger to its group does not, and root does."""
    service.start()
    assert found(service, MEMBER) == "system"
    assert found(service, "root") == "system"
    done = service.box.run("queuectl", "status", user=STRANGER, HOME="/tmp/stranger")
    assert done.code == 3
    assert "/tmp/stranger/.local/state/queuectl/queuectl.sock" in done.err


def test_who_has_a_queue_of_his_own_talks_to_that(service: Service) -> None:
    """Unless he says otherwise; and a change tells which queue it was made in."""
    service.start()
    home = f"/home/{MEMBER}"
    own = f"{home}/.local/state/queuectl"
    try:
        done = service.box.run(
            "queuectl", "--user", "enqueue", "true", user=MEMBER, HOME=home
        )
        assert done.code == 0
        assert own not in done.err, "it was asked for"
        assert found(service, MEMBER) == "user"
        assert found(service, MEMBER, "--system") == "system"
        done = service.box.run("queuectl", "enqueue", "true", user=MEMBER, HOME=home)
        assert done.err.startswith(f"in your own queue, {own}; for the system's: ")
        assert service.ok("list", "--json") == "[]"
    finally:
        service.box.run("queuectl", "--user", "daemon", "stop", user=MEMBER, HOME=home)
        service.box.ok("rm", "-rf", own)


def test_root_is_given_no_queue_of_its_own_in_passing(service: Service) -> None:
    """A timer of root's saves no empty queue while the service is stopped."""
    service.start()
    service.box.systemctl("stop", SOCKET)
    for command in (["backup", "/tmp/saved.db"], ["enqueue", "true"]):
        done = service.box.run("queuectl", *command, HOME="/root")
        assert done == (3, "", done.err)
        assert done.err.endswith(": systemctl start queuectld\n")
    for path in ("/tmp/saved.db", "/root/.local/state/queuectl"):
        assert service.box.run("test", "-e", path).code == 1


def found(service: Service, user: str, *options: str) -> str:
    """Return the kind of the queue that a command of a user finds."""
    home = "/root" if user == "root" else f"/home/{user}"
    argv = ["queuectl", *options, "status", "--json"]
    said = service.box.ok(*argv, user=user, HOME=home)
    kind: str = json.loads(said)["queue"]["kind"]
    return kind
