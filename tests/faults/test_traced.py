"""The reader of strace's records, with every form of a killed caller."""

from pathlib import Path

import pytest

from helpers import traced
from helpers.traced import Event, Synced, Written

ROOT = "/q"


def escaped(text: str) -> str:
    return "".join(f"\\x{ord(char):02x}" for char in text)


FILE = f"3<{escaped('/q/f')}>"
WRITE = f'pwrite64({FILE}, "{escaped("ab")}", 2, 8'
WRITTEN = Written("/q/f", 8, b"ab")


def events(tmp_path: Path, *lines: str) -> list[Event]:
    record = tmp_path / "record"
    record.write_text("".join(f"{line}\n" for line in lines))
    return traced.read(record, ROOT)


@pytest.mark.parametrize(
    "lines",
    [
        [f"7 {WRITE}) = 2"],
        [f"7 {WRITE}) = ?"],
        [f"7 {WRITE}) = ? <unavailable>"],
        [f"7 {WRITE} <unfinished ...>"],
        [f"7 {WRITE} <unfinished ...>", "7 <... pwrite64 resumed>) = 2"],
        [f"7 {WRITE} <unfinished ...>", "7 <... pwrite64 resumed> <detached ...>"],
        [f"7 {WRITE} <detached ...>"],
    ],
)
def test_a_write_counts_from_its_beginning(tmp_path: Path, lines: list[str]) -> None:
    """It counts whether or not its caller lived until the call returned."""
    assert events(tmp_path, *lines, "7 +++ killed by SIGKILL +++") == [WRITTEN]


@pytest.mark.parametrize(
    "line",
    [
        "7 syscall_0xffffffffffffffff(0, 0x56, 0x1000, 0x2d000, 0, 0x7f <detached ...>",
        "7 syscall_0xffffffffffffffff(0, 0x56, 0x1000, 0x2d000, 0, 0x7f) = ?",
        "7 ????( <detached ...>",
        "7 +++ exited with 0 +++",
    ],
)
def test_a_call_that_was_never_made_is_passed_over(tmp_path: Path, line: str) -> None:
    """The kernel clears a call's number when its caller is killed before the call."""
    assert events(tmp_path, line, f"8 {WRITE}) = 2") == [WRITTEN]


@pytest.mark.parametrize("end", [") = 0", ") = ?", " <detached ...>"])
def test_a_sync_counts_once_it_has_returned(tmp_path: Path, end: str) -> None:
    """A caller killed during the sync knows nothing of its result."""
    expected = [Synced("/q/f")] if end == ") = 0" else []
    assert events(tmp_path, f"7 fdatasync({FILE}{end}") == expected
