"""A client that is not served is told what to do, and that does it."""

import shlex

from helpers.systemdbox_queue import MEMBER, SOCKET, STRANGER, Service


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
