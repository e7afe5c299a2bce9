"""The daemon's configuration: where values come from, and which one wins."""

from pathlib import Path
from typing import Any

import pytest

from queuectld import config
from queuectld.config import DaemonConfig, Sources


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A user's home; the state directory in it is made, and empty."""
    (tmp_path / ".local/state/queuectl").mkdir(parents=True)
    return tmp_path


def load(home: Path, file: str | None = None, **sources: Any) -> DaemonConfig:
    if file is not None:
        (home / ".local/state/queuectl/queuectld.toml").write_text(file)
    return config.load(Sources(home=str(home), cwd=str(home), **sources))


def test_nothing_said_means_the_documented_defaults(home: Path) -> None:
    """Without flags, variables or file every option has the table's default."""
    loaded = load(home)
    told = {
        key: getattr(loaded, key)
        for key, option in config.OPTIONS.items()
        if option.default is not None
    }
    assert told == {
        "run_as": "daemon",
        "cgroup": "auto",
        "log_level": "info",
        "log_format": "text",
        "shutdown_grace": 30,
        "max_frame": 8 * 1024**2,
        "max_batch": 10_000,
        "max_connections": 1000,
        "max_inflight": 1000,
        "max_buffered": 256 * 1024**2,
        "max_page": 1000,
    }
    assert set(loaded.origins.values()) == {"default"}
    assert loaded.config_file is None
    assert loaded.log_file is None


def test_the_places_are_in_the_state_directory(home: Path) -> None:
    """All are with the state, which no session's variable moves."""
    state = home / ".local/state/queuectl"
    loaded = load(home, environ={"XDG_RUNTIME_DIR": "/run/user/7"})
    assert loaded.database == state / "queuectl.db"
    assert loaded.output_dir == state / "output"
    assert loaded.spool_dir == state / "spool"
    assert loaded.lock == state / "lock"
    assert loaded.workers_dir == state / "workers"
    assert loaded.socket == state / "queuectl.sock"


def test_a_flag_wins_over_a_variable_over_the_file(home: Path) -> None:
    """Flags > environment > file > defaults, option by option."""
    loaded = load(
        home,
        "max_page = 1\nmax_batch = 1\nmax_inflight = 1\n",
        environ={"QUEUECTLD_MAX_PAGE": "2", "QUEUECTLD_MAX_BATCH": "2"},
        flags={"max_page": "3"},
    )
    assert (loaded.max_page, loaded.max_batch, loaded.max_inflight) == (3, 2, 1)
    assert loaded.max_connections == 1000


def test_each_value_names_its_origin(home: Path) -> None:
    """Flag, variable, file with line, or default: an operator can find what to edit."""
    loaded = load(
        home,
        "\nmax_batch = 1\n",
        environ={"QUEUECTLD_MAX_PAGE": "2"},
        flags={"log_level": "debug"},
    )
    file = home / ".local/state/queuectl/queuectld.toml"
    assert loaded.origins["log_level"] == "--log-level"
    assert loaded.origins["max_page"] == "QUEUECTLD_MAX_PAGE"
    assert loaded.origins["max_batch"] == f"{file}:2"
    assert loaded.origins["max_frame"] == "default"


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ('shutdown_grace = "1m30s"', "shutdown_grace", 90),
        ("shutdown_grace = 0.5", "shutdown_grace", 0.5),
        ("shutdown_grace = 0", "shutdown_grace", 0),
        ('max_frame = "16MiB"', "max_frame", 16 * 1024**2),
        ("max_frame = 6_000_000", "max_frame", 6_000_000),
        ('max_page = "12"', "max_page", 12),
        ('log_format = "json"', "log_format", "json"),
    ],
)
def test_values_are_written_as_elsewhere(
    home: Path, line: str, key: str, value: object
) -> None:
    """Durations and sizes take the short forms of the CLI, or plain numbers."""
    assert getattr(load(home, line), key) == value


def test_queuectl_home_moves_everything(home: Path) -> None:
    """QUEUECTL_HOME has state, records, socket and file under one directory."""
    own = home / "own"
    own.mkdir()
    (own / "queuectld.toml").write_text("max_page = 5")
    loaded = load(home, environ={"QUEUECTL_HOME": str(own), "XDG_RUNTIME_DIR": "/run"})
    assert loaded.state_dir == loaded.runtime_dir == own
    assert loaded.socket == own / "queuectl.sock"
    assert loaded.config_file == own / "queuectld.toml"
    assert loaded.max_page == 5


def test_the_daemon_listens_where_clients_look(home: Path) -> None:
    """QUEUECTL_SOCKET is for clients, too; QUEUECTLD_SOCKET for the daemon only."""
    environ = {"QUEUECTL_SOCKET": "/a.sock", "QUEUECTL_HOME": str(home)}
    assert load(home, environ=environ).socket == Path("/a.sock")
    environ["QUEUECTLD_SOCKET"] = "/b.sock"
    assert load(home, environ=environ).socket == Path("/b.sock")


def test_the_socket_of_a_job_is_not_the_daemons(home: Path) -> None:
    """A daemon that a job starts does not listen where the one that runs it does."""
    environ = {"QUEUECTL_SOCKET": "/a.sock", "QUEUECTL_LEASE": "x:1"}
    loaded = load(home, environ=environ)
    assert loaded.socket == home / ".local/state/queuectl/queuectl.sock"


def test_another_state_directory_is_another_daemons(home: Path) -> None:
    """Records and socket move with it, however it was moved."""
    environ = {"QUEUECTL_HOME": str(home / "q")}
    loaded = load(home, environ=environ, flags={"state_dir": "other"})
    assert loaded.runtime_dir == home / "other"
    assert loaded.socket == home / "other/queuectl.sock"


def test_the_socket_goes_with_the_runtime_directory(home: Path) -> None:
    """If only the runtime directory is moved, the socket moves with it."""
    loaded = load(home, 'runtime_dir = "/run/q"', environ={"XDG_RUNTIME_DIR": "/run/7"})
    assert loaded.socket == Path("/run/q/queuectl.sock")


def test_relative_paths_start_where_they_were_written(home: Path) -> None:
    """In the file they start from its directory, elsewhere from the caller's."""
    state = home / ".local/state/queuectl"
    loaded = load(home, 'runtime_dir = "run"', flags={"socket": "s"})
    assert loaded.runtime_dir == state / "run"
    assert loaded.socket == home / "s"


def test_a_tilde_is_the_home_directory(home: Path) -> None:
    """No shell expands ~ in a file or in a variable, so the daemon does."""
    loaded = load(home, 'runtime_dir = "~/r"', environ={"QUEUECTLD_SOCKET": "~/s.sock"})
    assert loaded.runtime_dir == home / "r"
    assert loaded.socket == home / "s.sock"


def test_the_file_is_found_in_the_state_directory_asked_for(home: Path) -> None:
    """A --state-dir brings its own queuectld.toml."""
    (home / "queuectld.toml").write_text("max_page = 9")
    assert load(home, flags={"state_dir": "."}).max_page == 9


def test_an_explicit_file_replaces_the_default_one(home: Path) -> None:
    """With --config the file in the state directory is not read."""
    (home / "mine.toml").write_text("max_page = 7")
    loaded = load(home, "max_batch = 3", config_file="mine.toml")
    assert (loaded.max_page, loaded.max_batch) == (7, 10_000)
    assert loaded.config_file == home / "mine.toml"


def test_an_empty_variable_says_nothing(home: Path) -> None:
    """``QUEUECTLD_MAX_PAGE= queuectld`` is the same as without it."""
    assert load(home, environ={"QUEUECTLD_MAX_PAGE": ""}).max_page == 1000


def test_foreign_variables_of_our_prefix_are_left_alone(home: Path) -> None:
    """A container manager's QUEUECTLD_PORT is not a mistake."""
    assert load(home, environ={"QUEUECTLD_PORT": "tcp://10.0.0.1:80"}).max_page == 1000


def test_a_detached_daemon_logs_to_a_file(home: Path) -> None:
    """Without stderr the log is in the state directory."""
    loaded = load(home, detached=True)
    assert loaded.log_file == home / ".local/state/queuectl/queuectld.log"


def test_the_listing_of_a_value_can_be_read_back(home: Path) -> None:
    """What --check-config prints is a file that makes the same configuration."""
    first = load(
        home, 'shutdown_grace = "3723.5s"\nmax_frame = "6000001"\nmax_page = 3'
    )
    lines = [option.toml(getattr(first, key)) for key, option in config.OPTIONS.items()]
    assert load(home, "\n".join(lines)) == first
