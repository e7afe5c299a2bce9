"""SIGHUP: which changes apply at once, and which wait for a restart."""

from pathlib import Path

import pytest

from queuectld import config
from queuectld.config import ConfigError, DaemonConfig, OptionChange, Sources


@pytest.fixture
def running(tmp_path: Path) -> DaemonConfig:
    (tmp_path / "queuectld.toml").write_text('shutdown_grace = "10s"\n')
    return config.load(
        Sources(
            flags={"max_page": "50"},
            environ={"QUEUECTL_HOME": str(tmp_path)},
        )
    )


def write(running: DaemonConfig, text: str) -> None:
    (running.state_dir / "queuectld.toml").write_text(text)


def test_an_unchanged_file_changes_nothing(running: DaemonConfig) -> None:
    """A reload without a change reports nothing."""
    found = config.reload(running)
    assert found.config == running
    assert found.applied == found.pending == ()


def test_changes_are_split_by_when_they_apply(running: DaemonConfig) -> None:
    """Log level and grace apply; the socket stays where it is until a restart."""
    write(running, 'log_level = "debug"\nmax_frame = "16MiB"\n')
    found = config.reload(running)
    assert found.applied == (
        OptionChange("log_level", "info", "debug"),
        OptionChange("shutdown_grace", "10s", "30s"),
    )
    assert found.pending == (OptionChange("max_frame", "8MiB", "16MiB"),)
    assert found.config.log_level == "debug"
    assert found.config.shutdown_grace == 30
    assert found.config.max_frame == running.max_frame
    assert found.config.origins["log_level"].endswith("queuectld.toml:1")
    assert found.config.origins["max_frame"] == "default"


def test_what_waits_for_a_restart_is_told_at_each_reload(
    running: DaemonConfig,
) -> None:
    """A second reload compares with what runs, not with the file read before."""
    write(running, 'max_frame = "16MiB"\n')
    again = config.reload(config.reload(running).config)
    assert again.applied == ()
    assert again.pending == (OptionChange("max_frame", "8MiB", "16MiB"),)


def test_flags_still_win_after_a_reload(running: DaemonConfig) -> None:
    """The file cannot override what the command line said at the start."""
    write(running, 'shutdown_grace = "10s"\nmax_page = 3\n')
    assert config.reload(running).config.max_page == 50


def test_a_file_with_mistakes_is_refused_whole(running: DaemonConfig) -> None:
    """Nothing of it applies; the daemon goes on as it is."""
    write(running, 'log_level = "debug"\nmax_batch = 0\n')
    with pytest.raises(ConfigError, match="max_batch"):
        config.reload(running)
