"""Somebody at a shell in a box: commands one after the other, in one session."""

import contextlib
import os
import secrets
import select
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from helpers.systemdbox import Box

PATIENCE = 120.0
"""Seconds after which a command is taken to hang."""


class Session:
    """A shell that keeps its directory and its variables from command to command."""

    def __init__(self, shell: subprocess.Popen[bytes]) -> None:
        self._shell = shell

    def type(self, line: str) -> tuple[int, str]:
        """Run a command line; return its status, and what it said to the terminal."""
        assert self._shell.stdin is not None
        mark = f"end-{secrets.token_hex(8)}"
        text = f"{{ {line}\n}} </dev/null 2>&1; echo {mark} $?\n"
        self._shell.stdin.write(text.encode())
        self._shell.stdin.flush()
        said = self._until(mark)
        before, _, status = said.rpartition(mark)
        return int(status), before

    def _until(self, mark: str) -> str:
        assert self._shell.stdout is not None
        said, deadline = b"", time.monotonic() + PATIENCE
        while not (mark.encode() in said and said.endswith(b"\n")):
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self._shell.stdout], [], [], max(0, left))
            assert ready, f"it hangs, and said: {said.decode()}"
            more = os.read(self._shell.stdout.fileno(), 65536)
            assert more, f"the session has ended, and said: {said.decode()}"
            said += more
        return said.decode()


@contextlib.contextmanager
def a_session(box: Box, user: str) -> Iterator[Session]:
    """Log in as a user, who is at home then."""
    home = "/root" if user == "root" else f"/home/{user}"
    ids = [f"--reuid={user}", f"--regid={user}", "--init-groups"]
    command = [*box._entering(), "setpriv", *ids, "--", "bash", "--norc"]
    path = "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    environ = {"HOME": home, "USER": user, "PATH": path, "LANG": "C.UTF-8"}
    with subprocess.Popen(
        command,
        env=environ | {"SYSTEMD_PAGER": ""},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path("/"),
    ) as shell:
        session = Session(shell)
        try:
            assert session.type(f"umask 022; cd {home}") == (0, "")
            yield session
        finally:
            assert shell.stdin is not None
            shell.stdin.close()
            shell.kill()
