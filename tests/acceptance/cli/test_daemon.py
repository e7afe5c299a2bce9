"""``daemon`` and ``doctor``, and which commands start a daemon."""

import signal
import subprocess
from pathlib import Path

import pytest

from helpers import waiting
from helpers.cli import NO_WORKERS, Cli, Said
from helpers.home import BIN
from helpers.rawclient import PATIENCE
from queuectl_protocol import __version__

NOBODY = (
    "no daemon answers at {socket} (No such file or directory); "
    "start one: queuectl daemon start"
)
STATUS_FIELDS = {
    "pid", "version", "uptime", "socket", "state_dir", "started_at", "instance",
    "draining", "workers", "connections", "rss", "limits",
}  # fmt: skip


def nobody(cli: Cli) -> str:
    """Return what is said when no daemon runs."""
    return NOBODY.format(socket=cli.home.socket)


def test_the_first_command_starts_the_daemon(fresh: Cli) -> None:
    """And says that there are no workers yet."""
    assert fresh("enqueue", "echo hi") == Said(0, "1\n", NO_WORKERS)
    assert fresh.json("daemon", "status", "--json")["pid"] == fresh.home.daemon


@pytest.mark.parametrize(
    "arguments",
    [
        ("daemon", "stop"),
        ("daemon", "status"),
        ("daemon", "status", "--json"),
        ("worker", "stop"),
        ("worker", "stop", "--now"),
    ],
)
def test_what_has_no_use_for_a_fresh_daemon_starts_none(
    fresh: Cli, arguments: tuple[str, ...]
) -> None:
    """Exit status 3; nothing is made."""
    assert fresh.refused(*arguments, code=3) == nobody(fresh)
    assert [path.name for path in fresh.home.root.iterdir()] == ["work"]


def test_the_log_of_a_daemon_that_never_ran(fresh: Cli) -> None:
    """Where it would be, and where else to look."""
    message = fresh.refused("daemon", "logs")
    assert message.startswith(f"there is no log at {fresh.home.root}/queuectld.log;")
    assert [path.name for path in fresh.home.root.iterdir()] == ["work"]


def test_autostart_can_be_turned_off(fresh: Cli) -> None:
    """By option or variable; `daemon start` is asked for by name."""
    assert fresh.refused("--no-autostart", "enqueue", "x", code=3) == nobody(fresh)
    off = {"QUEUECTL_AUTOSTART": "0"}
    for command in (("status",), ("run", "true"), ("enqueue", "--file", "-")):
        assert fresh.refused(*command, code=3, **off) == nobody(fresh)
    assert fresh("--autostart", "enqueue", "x", **off).out == "1\n"
    fresh.ok("daemon", "stop")
    started = fresh.ok("--no-autostart", "daemon", "start")
    assert started == f"queuectld is running, pid {fresh.home.daemon}\n"


def test_a_named_socket_is_never_started_for(fresh: Cli, tmp_path: Path) -> None:
    """Its daemon is somebody else's to start."""
    named = str(tmp_path / "no.sock")
    message = f"no daemon answers at {named} (No such file or directory)"
    assert fresh.refused("--socket", named, "status", code=3).startswith(message)
    environ = {"QUEUECTL_SOCKET": named}
    assert fresh.refused("status", code=3, **environ).startswith(message)
    assert fresh.refused("daemon", "start", code=3, **environ).startswith(message)
    long = f"/{'x' * 120}"
    message = f"the socket path {long} has 121 bytes and the kernel allows 107"
    assert fresh.refused("--socket", long, "status").startswith(message)
    fresh.ok("daemon", "start")
    assert fresh.ok("--socket", str(fresh.home.socket), "status")


def test_the_daemon_is_started_once_and_stopped(fresh: Cli) -> None:
    """Stop returns when the process is gone."""
    started = fresh.ok("daemon", "start")
    pid = fresh.home.daemon
    assert started == f"queuectld is running, pid {pid}\n"
    again = fresh.ok("daemon", "start")
    assert again == f"queuectld was running already, pid {pid}\n"
    assert fresh("daemon", "stop") == Said(0, "queuectld has stopped\n", "")
    assert fresh.home.gone()
    assert not fresh.home.socket.exists()


def test_status_tells_where_everything_is(fresh: Cli) -> None:
    """For programs and for people."""
    fresh.ok("worker", "start")
    found = fresh.json("daemon", "status", "--json")
    assert set(found) == STATUS_FIELDS
    assert found["pid"] == fresh.home.daemon
    assert found["version"] == __version__
    assert 0 <= found["uptime"] < 60
    assert found["socket"] == str(fresh.home.socket)
    assert found["state_dir"] == str(fresh.home.root)
    assert found["workers"] == {"active": 1, "busy": 0, "wanted": 1}
    assert found["draining"] is False
    assert 0 < found["rss"] < 80 * 1024 * 1024
    lines = dict(
        line.split("  ", 1) for line in fresh.ok("daemon", "status").splitlines()
    )
    facts = {title: value.strip() for title, value in lines.items()}
    assert facts["State"] == "running"
    assert facts["Pid"] == str(found["pid"])
    assert facts["Version"] == __version__
    assert facts["Workers"] == "1 (0 busy, 1 wanted)"
    assert facts["Socket"] == str(fresh.home.socket)
    assert facts["State directory"] == str(fresh.home.root)


def test_a_restart_leaves_jobs_running(fresh: Cli) -> None:
    """Another process, as many workers, and the job never notices."""
    fresh.ok("worker", "start")
    gate = fresh.home.gate()
    job = fresh.enqueue("echo >begun; read _ <gate")
    fresh.home.appears("begun")
    before = fresh.home.daemon
    said = fresh("daemon", "restart")
    assert said == Said(0, f"queuectld is running, pid {fresh.home.daemon}\n", "")
    assert fresh.home.daemon != before
    gate.open()
    end = fresh.home.ended(job)
    assert (end["state"], end["runs"]) == ("completed", 1)
    waiting.until(
        lambda: fresh.home.ask("status")["workers"]["active"] == 1, "a worker is back"
    )


def test_a_restart_of_nothing_is_a_start(fresh: Cli) -> None:
    """With a word about it."""
    said = fresh("daemon", "restart")
    running = f"queuectld is running, pid {fresh.home.daemon}\n"
    assert said == Said(0, running, "queuectld was not running\n")


def test_stop_waits_for_running_jobs_unless_told_not_to(fresh: Cli) -> None:
    """--now interrupts them: they are pending for the next daemon."""
    fresh.ok("worker", "start")
    job = fresh.enqueue("echo >begun; sleep 607")
    fresh.home.appears("begun")
    stopping = fresh.home.begin("daemon", "stop")
    waiting.until(lambda: fresh.home.ask("status")["draining"], "it drains")
    told = "the daemon is stopping: it begins no jobs until it runs again\n"
    assert fresh("status").err == told
    stopping.send_signal(signal.SIGINT)
    assert stopping.wait(PATIENCE) == -signal.SIGINT
    told = (fresh.home.root / "queuectl.stderr").read_text()
    assert told.endswith("interrupted: the daemon goes on with stopping\n")
    assert fresh("daemon", "stop", "--now") == Said(0, "queuectld has stopped\n", "")
    fresh.ok("--autostart", "daemon", "start")
    fresh.ok("worker", "stop", "--now")
    assert fresh.home.job(job)["state"] in {"pending", "processing"}
    assert fresh.home.attempts(job)[0]["reason"] == "interrupted"


def test_the_log_can_be_read(fresh: Cli) -> None:
    """Also when the daemon is gone, and as it grows."""
    fresh.ok("daemon", "start")
    fresh.ok("daemon", "stop")
    log = fresh.ok("daemon", "logs")
    assert log == (fresh.home.root / "queuectld.log").read_text()
    assert fresh.ok("daemon", "logs", "--lines", "1") == log.splitlines(True)[-1]
    assert fresh.ok("daemon", "logs", "-n", "0") == ""
    following = fresh.home.begin("daemon", "logs", "--follow", "-n", "1")
    assert following.stdout
    assert " daemon_stopped " in following.stdout.readline()
    fresh.ok("daemon", "start")
    while " daemon_ready " not in (line := following.stdout.readline()):
        assert line, "the log has ended"
    following.terminate()
    assert following.wait(PATIENCE) == -signal.SIGTERM


def test_doctor_examines_what_it_can_without_a_daemon(fresh: Cli) -> None:
    """It starts none, and that none runs is no fault."""
    found = fresh.json("doctor", "--json")
    assert set(found) == {"checks"}
    levels = {check["name"]: check["level"] for check in found["checks"]}
    assert levels["daemon"] == "ok"
    names = {"python", "sqlite", "kernel", "state directory", "file system", "socket"}
    assert names < set(levels)
    assert "error" not in levels.values()
    assert [path.name for path in fresh.home.root.iterdir()] == ["work"]
    said = fresh("doctor")
    assert (said.code, said.err) == (0, "")
    assert f"daemon: not running ({nobody(fresh)})\n" in said.out


def test_doctor_asks_a_daemon_that_runs(fresh: Cli) -> None:
    """What it finds itself is told as well."""
    without = {check["name"] for check in fresh.json("doctor", "--json")["checks"]}
    fresh.ok("daemon", "start")
    checks = {each["name"]: each for each in fresh.json("doctor", "--json")["checks"]}
    assert without < set(checks)
    for check in checks.values():
        assert set(check) == {"name", "level", "detail", "advice"}
        assert check["level"] in {"ok", "warning"}, check
    assert checks["daemon"]["detail"] == f"running, version {__version__}"
    lines = fresh.ok("doctor").splitlines()
    advice = [line for line in lines if line.startswith("         -> ")]
    assert len(lines) - len(advice) == len(checks)


def test_doctor_ends_with_1_where_jobs_cannot_run(fresh: Cli) -> None:
    """It says what is wrong, and what to do."""
    (fresh.home.root / "queuectl.sock").write_text("in the way")
    said = fresh("doctor")
    assert (said.code, said.err) == (1, "")
    path = fresh.home.socket
    assert (
        f"error    socket: {path}: not a socket\n         -> move it away\n" in said.out
    )
    path.unlink()


def test_the_module_is_the_command(fresh: Cli) -> None:
    """That is: ``python -m queuectl`` does the same."""
    python = ("-m", "queuectl")
    fresh.ok("daemon", "start")
    done = fresh.home.run(*python, "status", program="python")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == fresh.ok("status")
    done = fresh.home.run(*python, "stat", program="python")
    assert done.returncode == 2
    assert done.stderr == fresh("stat").err
    assert fresh.ok("--version") == f"queuectl {__version__}\n"


def test_no_daemon_is_started_for_a_mistake(fresh: Cli) -> None:
    """Exit status 2, with how it is used; each command's are tested in ``unit/cli``."""
    assert fresh.misuse("stat").endswith("Did you mean 'queuectl stats'?")
    assert "'--max-retries'" in fresh.misuse("enqueue", "--max-retries", "x", "true")
    assert not fresh.home.socket.exists()


def test_without_a_command_it_shows_its_help(fresh: Cli) -> None:
    """As a usage error; --help alone is asked for."""
    said = fresh()
    assert (said.code, said.out) == (2, "")
    assert said.err == fresh.ok("--help")


def test_output_that_cannot_be_written_is_a_failure(fresh: Cli) -> None:
    """A script that keeps it in a file on a full disk has to know."""
    fresh.ok("daemon", "start")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [BIN / "queuectl", "status"],
            stdout=full,
            stderr=subprocess.PIPE,
            env=fresh.home.environ,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == b"queuectl: cannot write: No space left on device\n"
