"""A daemon stays to be found as long as it runs, and ends where nobody can find it."""

import fcntl
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from helpers import hindered, waiting
from helpers.home import Home


def serve_at(home: Home, path: Path) -> "subprocess.Popen[str]":
    """Start a daemon that listens elsewhere, as a configuration can say."""
    return home.serve("--socket", str(path))


def test_a_socket_that_vanished_is_made_again(home: Home) -> None:
    """Who is connected stays so; the file is for its owner alone."""
    home.serve()
    with home.connect() as client:
        home.socket.unlink()
        waiting.until(home.socket.exists, "the socket is there again")
        assert client.call("ping") == {}
    assert home.ctl("status")
    assert home.socket.stat().st_mode & 0o777 == 0o600


def test_a_file_in_the_sockets_place_is_told_of(home: Home) -> None:
    """It is left alone, and the socket follows when it is gone."""
    home.serve()
    home.socket.unlink()
    home.socket.write_text("precious")
    waiting.until(lambda: "not_reachable" in home.log(), "it is logged")
    assert home.socket.read_text() == "precious"
    home.socket.unlink()
    waiting.until(home.answers, "it is reached again")


@pytest.mark.parametrize("how", ["deleted", "moved away", "its lock replaced"])
def test_a_daemon_without_its_state_ends(home: Home, tmp_path: Path, how: str) -> None:
    """With a line in the log; its jobs are ended, as nobody would record them."""
    daemon = home.serve()
    home.gate()
    home.ctl("worker", "start")
    home.enqueue("echo >began; read _ <gate")
    home.appears("began")
    away = tmp_path / "away"
    if how == "its lock replaced":
        (home.root / "lock").unlink()
    else:
        home.root.rename(away)
    if how == "deleted":
        shutil.rmtree(away)
    assert daemon.wait(60) == 0
    waiting.until(home.gone, "no process is left")
    if how == "moved away":
        away.rename(home.root)
        home.serve()
        waiting.until(lambda: home.job("1")["state"] != "processing", "it is settled")
    elif how == "deleted":
        home.work.mkdir(parents=True)
        return  # and the log with it
    assert " state_dir_gone " in home.log()


def test_the_end_of_the_watch_itself_is_told(home: Home) -> None:
    """A daemon that would not see the next thing vanish says so, and serves on."""
    hindered.serve(
        home, constants={"server.connection.path_guard.SETTLE": None}
    )  # no number
    passing = home.root / "passing"
    passing.touch()
    passing.unlink()
    waiting.until(lambda: " presence_failed " in home.log(), "it is logged")
    assert home.ctl("status")


def test_workers_are_taken_over_though_their_records_vanished(home: Home) -> None:
    """The records are written again, so that the next daemon knows who runs what."""
    daemon = home.serve()
    home.ctl("worker", "start")
    gate = home.gate()
    job = home.enqueue("echo >>began; read _ <gate; echo done")
    home.appears("began")
    shutil.rmtree(home.root / "workers")
    waiting.until(lambda: list((home.root / "workers").glob("*.json")), "records")
    home.kill(daemon.pid)
    home.serve()
    gate.open()
    assert home.ended(job)["runs"] == 1
    assert home.appears("began").count("\n") == 1
    assert home.output(job) == "done\n"


def test_a_socket_elsewhere_is_found_from_the_state_directory(home: Home) -> None:
    """By a link, which goes with the daemon."""
    path = home.root.with_suffix(".s")
    daemon = serve_at(home, path)
    assert home.socket.readlink() == path
    assert home.ctl("status")
    assert home.ask("daemon.status")["socket"] == str(path)
    home.kill(daemon.pid, number=signal.SIGTERM)
    assert not home.socket.is_symlink()
    assert not path.exists()


def test_a_runtime_directory_that_went_with_a_logout_is_done_without(
    home: Home,
) -> None:
    """Clients are served in the state directory, until the directory is there again."""
    runtime = home.root / "runtime"
    path = runtime / "sub" / "s"
    serve_at(home, path)
    shutil.rmtree(runtime)
    # It is a directory that this daemon can make itself: so it does.
    waiting.until(path.exists, "the socket is made again, with its directory")
    assert home.ctl("status")
    shutil.rmtree(runtime)
    runtime.touch()
    waiting.until(
        lambda: home.socket.exists() and not home.socket.is_symlink(),
        "clients are served in the state directory",
    )
    assert home.ctl("status")
    runtime.unlink()
    waiting.until(path.exists, "the configured place is used again")


def test_a_link_that_leads_nowhere_is_replaced(home: Home) -> None:
    """As after a service of systemd that is no more."""
    home.socket.symlink_to(home.root / "gone")
    home.serve()
    assert home.ctl("status")
    assert not home.socket.is_symlink()


def test_doctor_calls_a_daemon_that_cannot_be_reached_an_error(home: Home) -> None:
    """It names the pid, and how to have it replaced."""
    with (home.root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("12345\n")
        lock.flush()
        done = home.run("doctor")
    assert done.returncode == 1
    assert "error    daemon: a daemon (pid 12345) holds" in done.stdout
    assert f"kill -USR1 $(cat {home.root}/lock)" in done.stdout
    (home.root / "lock").unlink()


def test_doctor_of_the_daemon_sees_that_nobody_finds_it(home: Home) -> None:
    """Over a socket that was named, it tells that the usual one leads nowhere."""
    path = home.root / "other.s"
    serve_at(home, path)
    home.socket.unlink()
    home.socket.mkdir()
    waiting.until(lambda: "not_reachable" in home.log(), "it is logged")
    done = home.run("--socket", str(path), "doctor")
    assert done.returncode == 1
    assert "error    reach: " in done.stdout
    home.socket.rmdir()
    waiting.until(home.socket.is_symlink, "the link is there again")


def test_a_stale_socket_is_no_daemon(home: Home) -> None:
    """A client that looks says so; one that needs a daemon has it replaced."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(home.socket))
    assert home.run("status").returncode == 3
    assert home.ctl("enqueue", "true")
