"""Starting the daemon because a client needs it, as tmux and gpg-agent do.

Whether one may be started, and whose turn it is to do so, is not decided here.
"""

import os
import subprocess
import sys
from contextlib import suppress
from errno import ENOTDIR

from queuectl.errors import AutostartError
from queuectl.inherit import environment

COMMAND = (sys.executable, "-P", "-m", "queuectld", "--detach")
"""Returns when the daemon answers, or tells on stderr why it will not. ``-P``: what
lies in the current directory is not to be imported."""

START_LIMIT = 30.0
"""Seconds for a start: far more than one takes, short of looking hung for ever."""


def prepare(state_dir: str) -> None:
    """Make the directory that clients take turns at, as the daemon would.

    Raises:
        AutostartError: it cannot be made, or would be in another user's directory.
    """
    try:
        state_dir = os.path.abspath(state_dir)  # noqa: PTH100 - paths are strings here
        _check_owner(state_dir)
        _make(state_dir)
    except OSError as error:
        raise AutostartError(
            f"cannot make the directory {state_dir} ({error.strerror}); set "
            "QUEUECTL_HOME to one that is yours"
        ) from None


def _check_owner(state_dir: str) -> None:
    """Refuse to leave files of root's in a user's directory, which sudo may name.

    Raises:
        AutostartError: it is somebody else's.
    """
    path = state_dir
    while not os.path.lexists(path):
        path = os.path.dirname(path)  # noqa: PTH120 - the paths are strings here
    owner = os.stat(path).st_uid  # noqa: PTH116 - as above
    if owner not in {0, os.geteuid()}:
        raise AutostartError(
            f"{path} belongs to another user (uid {owner}): start the daemon as that "
            "user, or set QUEUECTL_HOME to a directory of yours"
        )


def _make(path: str) -> None:
    """Make a directory and those above it, closed to others whatever the umask."""
    if os.path.isdir(path):  # noqa: PTH112 - the paths are strings here
        return
    above = os.path.dirname(path)  # noqa: PTH120 - as above
    if above != path:
        _make(above)
    with suppress(FileExistsError):  # of somebody who came first
        os.mkdir(path, mode=0o700)  # noqa: PTH102 - as above
    if not os.path.isdir(path):  # noqa: PTH112 - as above
        raise NotADirectoryError(ENOTDIR, os.strerror(ENOTDIR), path)


def launch(state_dir: str) -> str | None:
    """Start a daemon; return None when it is ready, else what it complained of.

    Args:
        state_dir: of the daemon, whatever socket the environment names.

    Raises:
        AutostartError: it could not even be tried, or took too long.
    """
    env = environment() | {"QUEUECTL_HOME": os.path.abspath(state_dir)}  # noqa: PTH100
    env.pop("QUEUECTL_SOCKET", None)
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
                env=env,
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
