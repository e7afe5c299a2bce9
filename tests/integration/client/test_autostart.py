"""Starting a daemon when none answers, and waiting for one that is on its way."""

import fcntl
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from helpers.stub_daemon import StubDaemon, answering, returning
from queuectl import autostart, dial, paths
from queuectl.errors import AutostartError, DaemonNotRunningError, ForbiddenError
from queuectl.sync.client import Client

PROGRAM = Path(__file__).parents[2] / "helpers" / "stub_queuectld.py"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a home for a daemon that is started there, and ended after the test."""
    monkeypatch.delenv("QUEUECTL_SOCKET", raising=False)
    monkeypatch.setenv("QUEUECTL_HOME", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", ":".join(path for path in sys.path if path))
    monkeypatch.setattr(autostart, "COMMAND", (sys.executable, str(PROGRAM)))
    yield tmp_path
    if (pid := tmp_path / "pid").exists():
        end(int(pid.read_text()))


def end(pid: int) -> None:
    """End a process that is no child of ours."""
    process = os.pidfd_open(pid)
    signal.pidfd_send_signal(process, signal.SIGTERM)
    assert select.select([process], [], [], 20)[0], "it does not end"
    os.close(process)


def starts(home: Path) -> list[str]:
    """Return a line for each start of a daemon."""
    file = home / "starts"
    return file.read_text().splitlines() if file.exists() else []


def ping(_: int = 0) -> None:
    """Do what any command does."""
    with Client(autostart=True) as q:
        q.ping()


def test_a_client_starts_the_daemon_it_needs(home: Path) -> None:
    """Once: the next one finds it."""
    ping()
    ping()
    assert len(starts(home)) == 1


def test_clients_that_need_one_at_once_start_one(home: Path) -> None:
    """The others wait for their turn and find it."""
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(ping, range(6)))
    assert len(starts(home)) == 1


def test_a_daemon_that_cannot_start_is_quoted(home: Path) -> None:
    """What it says on stderr is the message."""
    (home / "broken").write_text("queuectld.toml:3: no such setting: colour")
    with pytest.raises(AutostartError, match="toml:3: no such setting"):
        ping()


def test_a_daemon_is_not_started_with_a_jobs_variables(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recovery would take it for a process of that job, and end it."""
    monkeypatch.setenv("QUEUECTL_LEASE", "x:1")
    ping()
    assert starts(home) == ["None"]


def test_nothing_is_started_where_the_environment_names_a_socket(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be anybody's."""
    monkeypatch.setenv("QUEUECTL_SOCKET", str(home / "s"))
    with pytest.raises(DaemonNotRunningError, match="queuectl --user daemon start"):
        ping()
    assert starts(home) == []


@pytest.mark.parametrize("explicit", [True, False])
def test_nothing_is_started_unasked(home: Path, explicit: bool) -> None:
    """Not without ``autostart``, and not for a socket given by name."""
    with pytest.raises(DaemonNotRunningError):
        Client(str(home / "s") if explicit else None, autostart=explicit)
    assert starts(home) == []


@pytest.fixture
def held(home: Path) -> Iterator[int]:
    """Hold the lock of the home, as a daemon does."""
    lock = os.open(home / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    yield lock
    os.close(lock)


def once_looked_at(
    monkeypatch: pytest.MonkeyPatch, happen: Callable[[], object]
) -> None:
    """Let something happen right after a client has first seen the lock held."""
    is_held = dial._is_held
    seen: list[bool] = []

    def look(lock: str) -> bool:
        held = is_held(lock)
        if not seen:
            seen.append(held)
            happen()
        return held

    monkeypatch.setattr(dial, "_is_held", look)


@pytest.mark.usefixtures("held")
def test_a_daemon_that_is_starting_is_waited_for(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds the lock before it opens its socket."""
    daemon = StubDaemon(home / "queuectl.sock", answering({"ping": returning({})}))
    with ExitStack() as stack:
        once_looked_at(monkeypatch, lambda: stack.enter_context(daemon))
        with Client() as q:
            q.ping()
    assert starts(home) == []


def test_a_daemon_that_is_ending_is_followed_by_another(
    home: Path, held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the lock is released, the client starts one."""
    once_looked_at(monkeypatch, lambda: fcntl.flock(held, fcntl.LOCK_UN))
    ping()
    assert len(starts(home)) == 1


@pytest.mark.usefixtures("held")
def test_a_daemon_that_never_answers_is_not_waited_for_long(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no second one is started beside it."""
    monkeypatch.setattr(dial, "PATIENCE", 0.05)
    with pytest.raises(DaemonNotRunningError, match=r"holds .*lock"):
        ping()
    assert starts(home) == []


def test_a_daemon_that_came_first_is_used(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody starts one by hand at the moment that ours tries."""
    launch = autostart.launch

    def second(state_dir: str) -> str | None:
        assert launch(state_dir) is None
        return launch(state_dir)

    monkeypatch.setattr(autostart, "launch", second)
    ping()
    assert len(starts(home)) == 2


def test_a_directory_that_cannot_be_made_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what to set instead."""
    (home / "file").touch()
    monkeypatch.setenv("QUEUECTL_HOME", str(home / "file" / "q"))
    with pytest.raises(AutostartError, match=r"file/q .*QUEUECTL_HOME"):
        ping()


def test_a_program_that_cannot_be_run_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after an upgrade that removed the interpreter."""
    monkeypatch.setattr(autostart, "COMMAND", (str(home / "python"),))
    with pytest.raises(AutostartError, match=r"cannot run .*python"):
        ping()


def test_a_start_that_hangs_is_given_up(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client does not hang with it."""
    monkeypatch.setattr(autostart, "COMMAND", ("/bin/sleep", "60"))
    monkeypatch.setattr(autostart, "START_LIMIT", 0.05)
    with pytest.raises(AutostartError, match="not ready within"):
        ping()
    assert home.exists()


def test_a_socket_of_somebody_else_is_forbidden(home: Path) -> None:
    """It is not said that no daemon runs."""
    error = dial._connect_error(
        paths.find(str(home / "s")), PermissionError(13, "Permission denied")
    )
    assert isinstance(error, ForbiddenError)
    assert "you may not use" in str(error)
