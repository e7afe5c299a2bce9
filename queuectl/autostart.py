"""Starting the daemon because a client needs it, as tmux and gpg-agent do.

Whether one may be started, and whose turn it is to do so, is not decided here.
"""

import os
import subprocess
import sys

from queuectl.errors import AutostartError
from queuectl.inherit import environment

COMMAND = (sys.executable, "-P", "-m", "queuectld", "--detach")
"""Returns when the daemon answers, or tells on stderr why it will not. ``-P``: what
lies in the current directory is not to be imported."""

START_LIMIT = 30.0
"""Seconds for a start: far more than one takes, short of looking hung for ever."""


def prepare(runtime_dir: str) -> None:
    """Make the directory that clients take turns at, as the daemon would.

    Raises:
        AutostartError: it cannot be made.
    """
    try:
        os.makedirs(runtime_dir, mode=0o700, exist_ok=True)  # noqa: PTH103
    except OSError as error:
        raise AutostartError(
            f"cannot make the directory {runtime_dir} ({error.strerror}); set "
            "QUEUECTL_HOME or XDG_RUNTIME_DIR to one that is yours"
        ) from None


def launch() -> str | None:
    """Start a daemon; return None when it is ready, else what it complained of.

    Raises:
        AutostartError: it could not even be tried, or took too long.
    """
    # A file and not a pipe: should the daemon keep its stderr open, nobody waits
    # for the end of it. And never our own job's variables: recovery would take the
    # daemon for a process of that job.
    with open(os.memfd_create("queuectld"), "w+b") as stderr:  # noqa: PTH123
        try:
            status = subprocess.run(  # noqa: S603 - our own interpreter and module
                COMMAND,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                env=environment(),
                timeout=START_LIMIT,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            raise AutostartError(
                f"queuectld was not ready within {START_LIMIT:g} s; "
                "run it in a terminal to see why: queuectld"
            ) from None
        except OSError as error:
            raise AutostartError(f"cannot run {COMMAND[0]}: {error.strerror}") from None
        stderr.seek(0)
        said = stderr.read().decode(errors="replace").strip()
    if status == 0:
        return None
    return said or f"queuectld ended with status {status} and said nothing"
