"""``queuectl run`` in the background of a test."""

import subprocess

from helpers import waiting
from helpers.cli import Said
from helpers.home import BIN, Home
from helpers.rawclient import PATIENCE


def begin(home: Home, *arguments: str) -> subprocess.Popen[str]:
    """Begin a run whose remarks can be read."""
    child = subprocess.Popen(
        [BIN / "queuectl", "run", *arguments],
        cwd=home.work,
        env=home.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    home.adopt(child)
    return child


def ended(child: subprocess.Popen[str]) -> Said:
    """Wait for the end of a run."""
    out, err = child.communicate(timeout=PATIENCE)
    return Said(child.returncode, out, err)


def no_workers(home: Home) -> None:
    """Wait until none is left."""
    waiting.until(lambda: not home.workers(), "its worker has ended")
