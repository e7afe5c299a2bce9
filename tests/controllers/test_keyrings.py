"""Keys of the kernel: here, because many hosts have none for those in containers."""

import shutil

from helpers.systemdbox_installed import SERVICE, UNITS
from helpers.systemdbox_queue import Service
from helpers.umlbox import python

KEYS = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
session, search, add = -3, 10, 248
if libc.syscall(250, search, session, b"user", b"queuectl-test", 0) >= 0:
    print("found")
elif libc.syscall(add, b"user", b"queuectl-test", b"x", 1, session) >= 0:
    print("added")
"""
"""Puts a key into the session keyring, unless there is one."""


def test_jobs_of_others_have_session_keyrings_of_their_own(service: Service) -> None:
    """No job finds what another has put there, whoever that ran as."""
    folder = service.box.file(f"/etc/systemd/system/{SERVICE}.d")
    folder.mkdir(exist_ok=True)
    shutil.copy(UNITS / f"{SERVICE}.d/submitter.conf.example", folder / "x.conf")
    service.box.systemctl("daemon-reload")
    service.start(workers=1)
    users = ("root", "alice", "root", "alice")
    said = [service.ok("run", *python(KEYS), user=user) for user in users]
    assert said == ["added"] * 4
