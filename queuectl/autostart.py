"""Starts a daemon because a client needs it, as tmux and gpg-agent do.

``dial`` decides whether a client may start one, and which client does.
"""

import os
import subprocess
import sys
from contextlib import suppress
from errno import ENOTDIR

from queuectl.errors import AutostartError
from queuectl.inherit import environment

COMMAND = (sys.executable, "-P", "-m", "queuectld", "--detach")
"""It returns when the daemon answers, or says on stderr why it does not start. ``-P``:
import nothing from the current directory."""

START_LIMIT = 30.0
"""Seconds for a start, which usually takes less than one."""


def prepare(state_dir: str) -> None:
    """Make the state directory, as the daemon would: a client locks it first.

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
    """Refuse another user's directory: with sudo, root would leave files in it.

    Raises:
        AutostartError: the directory belongs to another user.
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
    """Make a directory and its parents, closed to other users whatever the umask."""
    if os.path.isdir(path):  # noqa: PTH112 - the paths are strings here
        return
    above = os.path.dirname(path)  # noqa: PTH120 - as above
    if above != path:
        _make(above)
    with suppress(FileExistsError):  # another process has just made it
        os.mkdir(path, mode=0o700)  # noqa: PTH102 - as above
    if not os.path.isdir(path):  # noqa: PTH112 - as above
        raise NotADirectoryError(ENOTDIR, os.strerror(ENOTDIR), path)


def launch(state_dir: str) -> str | None:
    """Start a daemon; return None when it is ready, else why it did not start.

    Args:
        state_dir: the daemon's state directory, whatever socket the environment names.

    Raises:
        AutostartError: the command could not be run, or took too long.
    """
    env = environment() | {"QUEUECTL_HOME": os.path.abspath(state_dir)}  # noqa: PTH100
    env.pop("QUEUECTL_SOCKET", None)
    # stderr is a file and not a pipe, whose end would not come while the daemon keeps
    # it open. The environment is without the variables of a job that this process may
    # belong to: recovery would take the daemon for a process of that job.
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
