"""One daemon per state directory, one socket per daemon, and what is said if not."""

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from helpers.home import BIN, Home
from queuectld.host import logs

MODES = pytest.mark.parametrize("mode", [[], ["--detach"]], ids=["stay", "detach"])


def refused(
    done: "subprocess.CompletedProcess[str]", status: int, *sentences: str
) -> None:
    """Assert a refusal: this status, one line, no traceback, nothing on stdout."""
    assert (done.returncode, done.stdout) == (status, ""), done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("queuectld: ")
    for sentence in sentences:
        assert sentence in done.stderr


@MODES
def test_a_second_daemon_leaves_the_first_alone(home: Home, mode: list[str]) -> None:
    """Exit status 4, and whose state directory it is; the first one answers on."""
    daemon = home.serve()
    done = home.run(*mode, program="queuectld")
    refused(done, 4, f"another queuectld (pid {daemon.pid}) holds", str(home.root))
    # Nor does another socket or runtime directory make it two.
    elsewhere = ["--socket", str(home.root / "other"), "--runtime-dir", str(home.work)]
    refused(home.run(*mode, *elsewhere, program="queuectld"), 4, "another queuectld")
    assert home.ask("daemon.status")["pid"] == daemon.pid


def test_clients_that_start_a_daemon_at_once_end_up_with_one(home: Home) -> None:
    """All of them are served by it."""
    clients = [home.begin("enqueue", f"echo {number}") for number in range(6)]
    ids = [client.communicate()[0].strip() for client in clients]
    assert [client.returncode for client in clients] == [0] * 6
    assert len(set(ids)) == 6
    assert home.log().count(" daemon_ready ") == 1
    assert home.ask("status")["pending"] == 6


def test_clients_and_a_daemon_by_hand_at_once_end_up_with_one(home: Home) -> None:
    """Whoever comes first serves; the other daemon says that it is too late."""
    clients = [home.begin("enqueue", "true") for _ in range(2)]
    by_hand = home.begin(program="queuectld")
    clients += [home.begin("enqueue", "true") for _ in range(2)]
    assert [client.wait(20) for client in clients] == [0] * 4
    assert home.log().count(" daemon_ready ") == 1
    assert home.ask("status")["pending"] == 4
    if by_hand.pid != home.daemon:
        assert by_hand.wait(20) == 4


def test_a_socket_that_a_dead_daemon_left_is_replaced(home: Home) -> None:
    """By the next daemon on the same path."""
    daemon = home.serve()
    home.kill(daemon.pid)
    assert home.socket.exists()
    assert home.run("--no-autostart", "status").returncode == 3
    home.serve()
    assert home.ctl("status")
    assert home.socket.stat().st_mode & 0o777 == 0o600


@MODES
def test_a_socket_that_answers_is_not_taken(home: Home, mode: list[str]) -> None:
    """A daemon of another state directory is refused the path of a living one."""
    daemon = home.serve()
    other = ["--state-dir", str(home.root / "other"), "--socket", str(home.socket)]
    done = home.run(*mode, *other, program="queuectld")
    refused(done, 1, f"another daemon answers at {home.socket}")
    assert home.ask("daemon.status")["pid"] == daemon.pid


def test_a_socket_of_another_program_is_not_taken(home: Home) -> None:
    """Also when it says nothing; a file that is no socket is left alone too."""
    with socket.socket(socket.AF_UNIX) as foreign:
        foreign.bind(str(home.socket))
        foreign.listen(0)
        refused(home.run(program="queuectld"), 1, f"answers at {home.socket}")
    home.socket.unlink()
    home.socket.write_text("precious")
    refused(home.run(program="queuectld"), 1, "is there and is no socket")
    assert home.socket.read_text() == "precious"
    home.socket.unlink()


def test_a_daemon_removes_its_own_socket_only(home: Home) -> None:
    """Not one that stands in its place by the time it ends."""
    daemon = home.serve()
    home.socket.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(home.socket))
        home.kill(daemon.pid, number=signal.SIGTERM)
        assert daemon.wait() == 0
        assert home.socket.exists()
    home.socket.unlink()


@MODES
def test_a_socket_path_over_the_kernels_limit_is_told(
    home: Home, mode: list[str]
) -> None:
    """With the limit and what to do, by the daemon and by the client."""
    long = home.root / ("x" * 100)
    done = home.run(*mode, program="queuectld", QUEUECTL_HOME=str(long))
    refused(done, 2, f"{long}/queuectl.sock", "107", "choose a shorter one")
    assert not long.exists()
    done = home.run("status", QUEUECTL_HOME=str(long))
    assert done.returncode == 1
    assert "107" in done.stderr
    assert not long.exists()


@MODES
def test_a_state_directory_that_cannot_be_used_is_told(
    home: Home, mode: list[str]
) -> None:
    """What is wrong with which path, in a line; to the client that needs it, too."""
    file = home.root / "file"
    file.touch()
    done = home.run(*mode, program="queuectld", QUEUECTL_HOME=str(file / "x"))
    refused(done, 1, f"cannot use the state directory {file}/x", "Not a directory")
    done = home.run("status", QUEUECTL_HOME=str(file / "x"))
    assert done.returncode == 3
    assert str(file) in done.stderr


@MODES
def test_a_database_of_somebody_else_is_left_alone(home: Home, mode: list[str]) -> None:
    """Refused with its path, not a byte changed, and no socket opened."""
    database = home.root / "queuectl.db"
    database.write_bytes(b"this is no database" * 100)
    done = home.run(*mode, program="queuectld")
    refused(done, 1, f"cannot open the database {database}")
    assert database.read_bytes() == b"this is no database" * 100
    assert not home.socket.exists()
    if not mode:
        done = home.run("enqueue", "true")
        assert done.returncode == 3
        assert f"cannot open the database {database}" in done.stderr
    database.unlink()


def test_a_daemon_in_the_background_logs_to_a_file_that_is_rotated(home: Home) -> None:
    """queuectld.log, for the owner alone; a full one is kept under another name."""
    log = home.root / "queuectld.log"
    log.write_text("old\n" * (logs.FILE_SIZE // 4))
    assert home.run("--detach", program="queuectld", umask=0).returncode == 0
    old = log.with_name("queuectld.log.1")
    assert old.stat().st_size == logs.FILE_SIZE
    assert log.read_text().splitlines()[0].split()[1:3] == ["INFO", "listening"]
    assert log.stat().st_mode & 0o777 == 0o600
    assert home.ctl("daemon", "logs", "--lines", "1").split()[1:3] == [
        "INFO",
        "daemon_ready",
    ]


def test_what_belongs_to_the_daemon_is_for_its_user_alone(home: Home) -> None:
    """Directories 0700, files 0600, whatever umask it is started with."""
    assert home.run("--detach", program="queuectld", umask=0).returncode == 0
    home.ctl("worker", "start")
    assert home.ended(home.enqueue("echo text"))["state"] == "completed"
    modes = {
        path: path.stat().st_mode & 0o777
        for path in home.root.rglob("*")
        if home.work not in (path, *path.parents)
    }
    assert len(modes) > 8
    for path, mode in modes.items():
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_a_daemon_in_the_background_keeps_nothing_of_its_starter(home: Home) -> None:
    """Neither its directory, nor its files, nor its session and terminal."""
    place = home.root / "mounted"
    place.mkdir()
    with (place / "file").open("w") as file:
        done = subprocess.run(
            [BIN / "queuectl", "daemon", "start"],
            cwd=place,
            env=home.environ,
            pass_fds=[file.fileno()],
            stdout=subprocess.PIPE,
            check=True,
            timeout=30,
        )
    assert b"running" in done.stdout
    pid = home.daemon
    assert Path(f"/proc/{pid}/cwd").readlink() == Path("/")
    opened = [link.readlink() for link in Path(f"/proc/{pid}/fd").iterdir()]
    assert not [path for path in opened if path.is_relative_to(place)]
    assert os.getsid(pid) not in (os.getsid(0), pid)


def test_names_of_one_home_say_nothing_to_another(home: Home) -> None:
    """Two state directories, two daemons, two queues."""
    other = home.root / "other"
    home.ctl("enqueue", "true")
    home.ctl("enqueue", "true", QUEUECTL_HOME=str(other))
    home.ctl("enqueue", "true", QUEUECTL_HOME=str(other))
    assert home.ctl("status").split()[1] == "1"
    assert home.ctl("status", QUEUECTL_HOME=str(other)).split()[1] == "2"
    home.ctl("daemon", "stop", QUEUECTL_HOME=str(other))
