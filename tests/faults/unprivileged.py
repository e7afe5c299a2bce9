"""A daemon of an ordinary user, in a home of its own: root is above some limits.

RLIMIT_NPROC does not bind root, so where tests run as root, the daemon runs as nobody
else does. Its Python may be where only root can go; it has the capability to go there.
"""

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from helpers.home import BIN, Home, a_home
from helpers.users import User, in_child

USER = User(20030, 20030)
"""Whose processes are counted: so nothing else may run as this user."""

_IS_ROOT = os.geteuid() == 0
_REACH = "+dac_override"


@contextmanager
def a_users_home() -> Iterator[Home]:
    """Run a daemon in a home; it is this user's where that is not root."""
    with a_home() as home:
        if _IS_ROOT:
            for path in (home.root, home.work):
                os.chown(path, USER.uid, USER.gid)
        command = [*_become(), str(BIN / "queuectld")]
        with (home.root / "queuectld.stderr").open("a") as errors:
            daemon = subprocess.Popen(
                command,
                cwd=home.work,
                env=home.environ,
                stdin=subprocess.DEVNULL,
                stderr=errors,
                text=True,
            )
        home.adopt(daemon)
        home.await_answer(daemon)
        yield home


def limit_processes(pid: int, most: int | None) -> None:
    """Let a process start one more only while its user has fewer than ``most``.

    None: as many as may be. Not even root may do that to others' everywhere.
    """

    def limit() -> None:
        _, hard = resource.prlimit(pid, resource.RLIMIT_NPROC)
        soft = hard if most is None else most
        resource.prlimit(pid, resource.RLIMIT_NPROC, (soft, hard))

    if _IS_ROOT:
        in_child(USER, limit)
    else:
        limit()


def _become() -> list[str]:
    if not _IS_ROOT:
        return []
    program = shutil.which("setpriv")
    if program is None:
        pytest.skip("setpriv (util-linux) is not installed")
    become = [
        program, f"--reuid={USER.uid}", f"--regid={USER.gid}", "--clear-groups",
        f"--inh-caps={_REACH}", f"--ambient-caps={_REACH}",
    ]  # fmt: skip
    tried = [*become, str(BIN / "python"), "-c", ""]
    if subprocess.run(tried, capture_output=True, check=False).returncode:
        pytest.skip("another user cannot run this Python")
    return become
