"""A daemon that may not look at its own places for a while stays, and looks again."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from helpers import waiting
from helpers.home import BIN, Home
from helpers.person import a_person, home_of


@dataclass
class Hidden:
    """A queue whose path can be closed to its daemon.

    Attributes:
        barred: a directory on the way, which may be closed.
        folder: the state directory, open: there is a way in while the path is closed.
    """

    home: Home
    daemon: "subprocess.Popen[str]"
    barred: Path
    folder: int
    log_file: Path

    def log(self) -> str:
        """Return what the daemon has logged."""
        return self.log_file.read_text()

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Close the path, and give the daemon a reason to look, for as long as it is.

        It is left when the daemon has seen that it sees nothing.
        """
        before = self.log().count(" not_reachable ")
        self.barred.chmod(0)
        try:
            os.unlink("queuectl.sock", dir_fd=self.folder)
            waiting.until(
                lambda: self.log().count(" not_reachable ") > before, "it is logged"
            )
            yield
        finally:
            self.barred.chmod(0o700)


def bound_by_modes() -> list[str]:
    """Return the words that start a program for whom a directory's mode counts."""
    if os.geteuid() != 0:
        return []
    program = shutil.which("setpriv")
    if program is None:
        pytest.skip("setpriv (util-linux) is not installed")
    return [program, "--bounding-set=-dac_override,-dac_read_search"]


@pytest.fixture
def hidden() -> Iterator[Hidden]:
    """A daemon, two directories below one that the test can close."""
    with a_person() as home:
        log = home_of(home) / "daemon.log"
        with log.open("w") as errors:
            daemon = subprocess.Popen(
                [*bound_by_modes(), str(BIN / "queuectld")],
                cwd=home.work,
                env=home.environ,
                stdin=subprocess.DEVNULL,
                stderr=errors,
                text=True,
            )
        home.adopt(daemon)
        home.await_answer(daemon)
        folder = os.open(home.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield Hidden(home, daemon, home.root.parents[1], folder, log)
        finally:
            os.close(folder)


def test_a_path_that_is_closed_for_a_while_costs_no_job(hidden: Hidden) -> None:
    """The daemon makes its socket again when it may, and the job goes on."""
    home = hidden.home
    gate = home.gate()
    home.ctl("worker", "start")
    job = home.enqueue("echo >>began; read _ <gate; echo done")
    home.appears("began")
    with hidden.closed():
        pass
    waiting.until(home.answers, "it is reached again")
    gate.open()
    ended = home.ended(job)
    assert (ended["state"], ended["runs"]) == ("completed", 1)
    assert home.output(job) == "done\n"


def test_a_daemon_ends_whose_state_went_while_it_could_not_look(
    hidden: Hidden,
) -> None:
    """However long ago it was last told of anything."""
    home = hidden.home
    with hidden.closed():
        pass
    away = home.root.with_name("away")
    home.root.rename(away)  # in one step: else the daemon may put things back
    shutil.rmtree(away)
    assert hidden.daemon.wait(60) == 0
    assert " state_dir_gone " in hidden.log()


def test_a_daemon_stops_in_order_though_it_may_not_look(hidden: Hidden) -> None:
    """What it cannot remove it leaves to the next one."""
    with hidden.closed():
        hidden.daemon.send_signal(signal.SIGTERM)
        assert hidden.daemon.wait(60) == 0, hidden.log()
    assert " daemon_stopped " in hidden.log()
    assert "Traceback" not in hidden.log()
