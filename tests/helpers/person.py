"""A person with a home directory and the queue of his own that follows from it."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from helpers.home import Home

STATE = Path(".local/state/queuectl")


@contextmanager
def a_person() -> Iterator[Home]:
    """Give a home whose root is the state directory that follows from HOME alone."""
    directory = Path(tempfile.mkdtemp(prefix="queuectl-"))
    root = directory / STATE
    root.mkdir(parents=True, mode=0o700)
    home = Home(root)
    del home.environ["QUEUECTL_HOME"]
    home.environ["HOME"] = str(directory)
    try:
        yield home
        home.stop()
    finally:
        home.clean_up()
        shutil.rmtree(directory)


def home_of(person: Home) -> Path:
    """Return the person's home directory."""
    return person.root.parents[len(STATE.parts) - 1]
