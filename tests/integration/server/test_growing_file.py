"""Waiting for files to grow or to appear."""

import asyncio
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from queuectld.linux.inotify import FileChange, Watcher
from queuectld.server.output.growing_file import CHUNK, GrowingFile

Story = Callable[[Watcher, asyncio.Event], Awaitable[None]]


def _tell(story: Story) -> None:
    async def run() -> None:
        watcher = Watcher()
        try:
            async with asyncio.timeout(10):
                await story(watcher, asyncio.Event())
        finally:
            watcher.close()

    asyncio.run(run())


async def _woken(wake: asyncio.Event) -> None:
    await wake.wait()
    wake.clear()


async def _is_quiet(wake: asyncio.Event, watcher: Watcher, other: Path) -> bool:
    """Return whether ``wake`` stays unset until a later event of the same watcher."""
    later = asyncio.Event()
    watcher.arm(str(other), FileChange.CREATED, later)
    (other / "later").touch()
    await later.wait()
    return not wake.is_set()


def test_a_write_wakes_once(tmp_path: Path) -> None:
    """A watch is good for one event, and must be armed again."""
    path, other = tmp_path / "out", tmp_path / "other"
    path.touch()
    other.mkdir()

    async def story(watcher: Watcher, wake: asyncio.Event) -> None:
        watcher.arm(str(path), FileChange.MODIFIED, wake)
        path.write_text("a")
        await _woken(wake)
        path.write_text("b")
        assert await _is_quiet(wake, watcher, other)
        watcher.arm(str(path), FileChange.MODIFIED, wake)
        path.write_text("c")
        await _woken(wake)

    _tell(story)


def test_all_who_wait_for_a_file_are_woken(tmp_path: Path) -> None:
    """One that was disarmed does not keep the others from being woken."""
    path = tmp_path / "out"
    path.touch()

    async def story(watcher: Watcher, wake: asyncio.Event) -> None:
        second, third = asyncio.Event(), asyncio.Event()
        for each in (wake, second, third):
            watch = watcher.arm(str(path), FileChange.MODIFIED, each)
        watcher.disarm(watch, third)
        path.write_text("a")
        await _woken(wake)
        await _woken(second)
        assert not third.is_set()

    _tell(story)


def test_who_was_disarmed_is_left_alone(tmp_path: Path) -> None:
    """The last disarm removes the watch; a second one does nothing."""
    path, other = tmp_path / "out", tmp_path / "other"
    path.touch()
    other.mkdir()

    async def story(watcher: Watcher, wake: asyncio.Event) -> None:
        watch = watcher.arm(str(path), FileChange.MODIFIED, wake)
        watcher.disarm(watch, wake)
        watcher.disarm(watch, wake)
        path.write_text("a")
        assert await _is_quiet(wake, watcher, other)

    _tell(story)


def test_the_end_of_a_file_wakes(tmp_path: Path) -> None:
    """Removal of the file sets the event."""
    path = tmp_path / "out"
    path.touch()

    async def story(watcher: Watcher, wake: asyncio.Event) -> None:
        watcher.arm(str(path), FileChange.MODIFIED, wake)
        path.unlink()
        await _woken(wake)
        with pytest.raises(FileNotFoundError):
            watcher.arm(str(path), FileChange.MODIFIED, wake)

    _tell(story)


def test_lost_events_wake_everybody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An overflow of the kernel's queue sets all events."""
    path = tmp_path / "out"
    path.touch()

    async def story(watcher: Watcher, wake: asyncio.Event) -> None:
        watcher.arm(str(path), FileChange.MODIFIED, wake)
        overflow = struct.pack("iIII", -1, 0x4000, 0, 0)
        with monkeypatch.context() as patch:
            patch.setattr("os.read", lambda _fd, _size: overflow)
            watcher._read()
        assert wake.is_set()

    _tell(story)


def test_a_file_is_read_from_its_creation_on(tmp_path: Path) -> None:
    """Directory, file and bytes appear one after the other, and each is noticed."""
    path = tmp_path / "0" / "7.1.1.out"

    async def story(watcher: Watcher, wake: asyncio.Event) -> None:
        file = GrowingFile(str(path), 0)
        file.arm(watcher, wake)
        assert file.read() == b""
        path.parent.mkdir()
        await _woken(wake)
        file.arm(watcher, wake)
        path.touch()
        await _woken(wake)
        file.arm(watcher, wake)
        assert file.read() == b""
        path.write_bytes(b"a" * (CHUNK + 1))
        await _woken(wake)
        file.arm(watcher, wake)
        assert [len(file.read()) for _ in range(3)] == [CHUNK, 1, 0]
        assert file.offset == CHUNK + 1
        file.disarm(watcher, wake)
        file.close()

    _tell(story)


@pytest.mark.parametrize(("end", "seen"), [(2, b"ab"), (None, b"abcd")])
def test_a_file_can_end_before_its_writers_do(
    tmp_path: Path, end: int | None, seen: bytes
) -> None:
    """Reading ends at the recorded size, or else at the present one."""
    path = tmp_path / "7.1.1.out"
    path.write_bytes(b"abcd")
    file = GrowingFile(str(path), 0)
    file.end_at(end)
    with path.open("ab") as kept:
        kept.write(b"later")
    assert file.read() + file.read() == seen
    file.close()


def test_a_file_that_was_passed_on_is_read_no_further(tmp_path: Path) -> None:
    """An empty file is reused for another run while it is open here."""
    path, other = tmp_path / "7.1.1.out", tmp_path / "8.1.2.out"
    path.touch()

    async def story(watcher: Watcher, wake: asyncio.Event) -> None:
        file = GrowingFile(str(path), 0)
        file.arm(watcher, wake)
        path.rename(other)
        other.write_text("a stranger's")
        await _woken(wake)
        assert file.read() == b""
        file.disarm(watcher, wake)
        file.close()

    _tell(story)


def test_a_file_that_is_passed_on_to_a_run_appears(tmp_path: Path) -> None:
    """It is moved to its path, not created there."""
    spare, path = tmp_path / "7.1.1.out", tmp_path / "1" / "1000.1.2.out"
    spare.touch()
    path.parent.mkdir()

    async def story(watcher: Watcher, wake: asyncio.Event) -> None:
        file = GrowingFile(str(path), 0)
        file.arm(watcher, wake)
        spare.rename(path)
        await _woken(wake)
        file.arm(watcher, wake)
        path.write_text("mine")
        await _woken(wake)
        assert file.read() == b"mine"
        file.disarm(watcher, wake)
        file.close()

    _tell(story)
