"""The command ``queuectld`` as a person or a service manager starts it."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.databases import ask, open_and_close
from queuectl_protocol.version import __version__

QUEUECTLD = [sys.executable, "-m", "queuectld"]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment in which everything is below the test's directory."""
    inherited = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
    return {**inherited, "QUEUECTL_HOME": str(tmp_path)}


def run(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*QUEUECTLD, *arguments],
        env=environ,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.fixture
def foreground(environ: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A daemon in the foreground that logs JSON, and is ended with the test."""
    with subprocess.Popen(
        [*QUEUECTLD, "--log-format", "json"],
        env=environ,
        stderr=subprocess.PIPE,
        text=True,
    ) as daemon:
        yield daemon
        daemon.kill()


def until(daemon: subprocess.Popen[str], event: str) -> dict[str, object]:
    """Read the log up to an event, and return its record."""
    assert daemon.stderr is not None
    for line in daemon.stderr:
        record: dict[str, object] = json.loads(line)
        if record["event"] == event:
            return record
    raise AssertionError(f"the log ended before {event}")


def test_version_and_help(environ: dict[str, str]) -> None:
    """Both name the command, and neither needs a daemon or a directory."""
    assert run(environ, "--version").stdout == f"queuectld {__version__}\n"
    assert run(environ, "--help").stdout.startswith("Usage: queuectld [OPTIONS]\n")


def test_check_config_shows_values_with_their_origins(
    environ: dict[str, str], tmp_path: Path
) -> None:
    """The configuration is printed in the form of the file, and nothing is started."""
    (tmp_path / "queuectld.toml").write_text('shutdown_grace = "1m"\n')
    done = run(environ, "--check-config", "--max-page", "7")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert f'shutdown_grace = "1m"  # {tmp_path}/queuectld.toml:1' in lines
    assert "max_page = 7  # --max-page" in lines
    assert 'log_level = "info"  # default' in lines
    assert [path.name for path in tmp_path.iterdir()] == ["queuectld.toml"]


def test_check_config_shows_the_directories_that_would_be_used(
    environ: dict[str, str], tmp_path: Path
) -> None:
    """With owner and mode, where they are there; all in comments of the file."""
    (tmp_path / "output").mkdir(mode=0o750)
    done = run(environ, "--check-config", "--runtime-dir", "run")
    lines = done.stdout.splitlines()
    owner = os.geteuid()
    assert f"# as uid {owner}:" in lines
    assert f"# output        {tmp_path}/output (uid {owner}, mode 0750)" in lines
    missing = Path.cwd() / "run"
    assert f"# runtime       {missing} (is not there yet)" in lines
    told = tomllib.loads(done.stdout)
    assert f"# socket        {told['socket']} (is not there yet)" in lines
    assert "# configuration no file" in lines
    assert told["state_dir"] == str(tmp_path)


def test_check_config_of_a_service_asks_systemd_for_its_variables(
    environ: dict[str, str], tmp_path: Path
) -> None:
    """The caller's variables do not count; without the unit it says what to do."""
    fake = tmp_path / "systemctl"
    fake.write_text(
        "#!/bin/sh\necho LoadState=loaded\n"
        "echo 'Environment=QUEUECTLD_STATE_DIR=/var/x \"QUEUECTLD_SOCKET=/run/a b\"'\n"
    )
    fake.chmod(0o755)
    environ |= {"PATH": f"{tmp_path}:{environ['PATH']}", "QUEUECTLD_MAX_PAGE": "7"}
    done = run(environ, "--check-config", "--service")
    assert done.returncode == 0, done.stderr
    told = tomllib.loads(done.stdout)
    assert (told["state_dir"], told["socket"]) == ("/var/x", "/run/a b")
    assert told["max_page"] != 7
    fake.write_text("#!/bin/sh\necho LoadState=not-found\n")
    done = run(environ, "--check-config", "--service")
    assert (done.returncode, done.stdout) == (1, "")
    assert "install it: queuectl systemd install" in done.stderr
    assert run(environ, "--service").returncode == 2


def test_a_name_that_is_not_known_has_a_status_of_its_own(
    environ: dict[str, str], tmp_path: Path
) -> None:
    """It may be known a little later; beside a mistake it is a mistake."""
    file = tmp_path / "queuectld.toml"
    file.write_text('[roles]\nread = ["@no-such-group", "no-such-user"]\n')
    done = run(environ)
    assert done.returncode == 5
    assert "there is no group 'no-such-group' on this machine" in done.stderr
    file.write_text('max_pages = 1\n[roles]\nread = ["@no-such-group"]\n')
    assert run(environ).returncode == 2


def test_a_database_of_a_newer_program_has_a_status_of_its_own(
    environ: dict[str, str], tmp_path: Path
) -> None:
    """No retry helps: a person has to install that program, or restore a backup."""
    open_and_close(tmp_path / "queuectl.db")
    ask(tmp_path / "queuectl.db", "PRAGMA user_version = 99")
    assert run(environ).returncode == 6


@pytest.mark.parametrize("mode", [[], ["--detach"], ["--check-config"]])
def test_a_bad_configuration_is_told_whole(
    environ: dict[str, str], tmp_path: Path, mode: list[str]
) -> None:
    """All mistakes, a line each, on stderr; exit status 2; nothing was made."""
    (tmp_path / "queuectld.toml").write_text("max_pages = 1\n")
    done = run(environ, "--log-level", "loud", *mode)
    assert done.returncode == 2
    assert done.stdout == ""
    first, second = done.stderr.splitlines()
    assert first.startswith("queuectld: --log-level: 'loud' ")
    assert second.startswith(f"queuectld: {tmp_path}/queuectld.toml:1: there is no op")
    assert len(list(tmp_path.iterdir())) == 1


def test_an_unknown_flag_is_a_usage_error(environ: dict[str, str]) -> None:
    """Click's own errors have the same exit status."""
    assert run(environ, "--max-pages", "1").returncode == 2


def test_a_detached_daemon_is_ready_when_its_caller_returns(
    environ: dict[str, str], tmp_path: Path
) -> None:
    """Nothing is printed, the log is in its file, and a second one names the first."""
    first = run(environ, "--detach")
    assert (first.returncode, first.stdout, first.stderr) == (0, "", "")
    pid = int((tmp_path / "lock").read_text())
    try:
        log = (tmp_path / "queuectld.log").read_text()
        assert " INFO daemon_ready " in log
        for mode in ([], ["--detach"]):
            second = run(environ, *mode)
            assert second.returncode == 4
            assert f"pid {pid}" in second.stderr
            assert second.stderr.count("\n") == 1
        assert (tmp_path / "queuectld.log").read_text() == log
    finally:
        os.kill(pid, signal.SIGTERM)
        with (tmp_path / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # held until the daemon is gone


@pytest.mark.parametrize("mode", [[], ["--detach"]])
def test_a_start_that_fails_is_one_line_without_a_traceback(
    environ: dict[str, str], mode: list[str]
) -> None:
    """A state directory that cannot be made: exit status 1 and a sentence."""
    done = run(environ, "--state-dir", "/proc/queuectl", *mode)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("queuectld: cannot use the state directory /proc/q")
    assert done.stderr.count("\n") == 1


def test_sigterm_ends_the_daemon_with_status_0(
    foreground: subprocess.Popen[str],
) -> None:
    """An idle daemon ends at once, and says how."""
    until(foreground, "daemon_ready")
    foreground.send_signal(signal.SIGTERM)
    until(foreground, "daemon_stopped")
    assert foreground.wait(10) == 0


def test_sighup_reads_the_file_again(
    foreground: subprocess.Popen[str], tmp_path: Path
) -> None:
    """Changes are logged: what is in force, what needs a restart, what is refused."""
    until(foreground, "daemon_ready")
    file = tmp_path / "queuectld.toml"
    file.write_text('shutdown_grace = "1s"\nmax_frame = "16MiB"\n')
    foreground.send_signal(signal.SIGHUP)
    changed = until(foreground, "option_changed")
    assert (changed["key"], changed["value"]) == ("shutdown_grace", "1s")
    assert until(foreground, "option_needs_restart")["key"] == "max_frame"
    file.write_text("max_page = 0\n")
    foreground.send_signal(signal.SIGHUP)
    refused = until(foreground, "reload_refused")
    assert f"{file}:1: max_page: " in str(refused["problems"])
    foreground.send_signal(signal.SIGTERM)
    assert until(foreground, "daemon_draining")["grace"] == 1
    assert foreground.wait(10) == 0
