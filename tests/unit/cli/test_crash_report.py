"""What nobody thought of: a line for a person, and a file for who mends it."""

import re
from pathlib import Path

import click
import pytest

from queuectl.cli import crash_report, root


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A command line in which everything fails; return its state directory."""

    def fails(*_: object, **__: object) -> None:
        raise LookupError("of a kind \x1b[31m that nobody expects")

    monkeypatch.setattr(click.Command, "main", fails)
    monkeypatch.setenv("QUEUECTL_HOME", str(tmp_path))
    return tmp_path


def test_a_fault_of_ours_is_no_traceback(
    faulty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is a line that names a file with the details, for its owner alone."""
    assert root.run(["list", "secret"]) == 1
    log = faulty / crash_report.LOG_NAME
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("queuectl: internal error: LookupError: of a kind \\x1b")
    assert said.err.endswith(f"which are in {log}\n")
    assert said.err.count("\n") == 1
    written = log.read_text()
    assert "Traceback" in written
    assert "LookupError" in written
    assert "secret" not in written
    assert log.stat().st_mode & 0o077 == 0
    root.run(["list"])
    assert log.read_text().count("Traceback") == 2


def test_without_a_state_directory_the_details_are_elsewhere(
    faulty: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a file of their own; no directory is made for them."""
    monkeypatch.setenv("QUEUECTL_HOME", str(faulty / "none"))
    monkeypatch.setattr("tempfile.tempdir", str(faulty))
    assert root.run(["list"]) == 1
    found = re.search(r"which are in (\S+)\n", capsys.readouterr().err)
    assert found is not None
    assert "LookupError" in Path(found[1]).read_text()
    assert not (faulty / "none").exists()


def test_the_log_does_not_grow_for_ever(
    faulty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loop that fails a million times fills no disk."""
    monkeypatch.setattr(crash_report, "MAX_SIZE", 2000)
    for _ in range(20):
        root.run(["list"])
    assert 0 < (faulty / crash_report.LOG_NAME).stat().st_size < 10_000
