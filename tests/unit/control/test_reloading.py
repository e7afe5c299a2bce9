"""SIGHUP: no signal is lost, whenever it comes."""

import asyncio
from pathlib import Path
from typing import cast

import pytest

from helpers.asynchronous import asynchronous
from queuectld.config import DaemonConfig
from queuectld.control.reloading import Reloader
from queuectld.control.service_manager import ServiceManager


class Told:
    """Notes what a service manager is told."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def reloading(self) -> None:
        """A reload begins."""
        self.heard.append("reloading")

    def reloaded(self) -> None:
        """There is none under way."""
        self.heard.append("reloaded")


@asynchronous
async def test_a_signal_at_the_end_of_a_reload_begins_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The file may have been changed after it was read."""
    told = Told()
    config = DaemonConfig(state_dir=tmp_path, runtime_dir=tmp_path, socket=tmp_path)
    reloader = Reloader(config, cast("ServiceManager", told))
    read, again = 0, asyncio.Event()

    async def reload() -> None:
        nonlocal read
        read += 1
        if read == 1:  # comes after the last look for one, and before the end is known
            asyncio.get_running_loop().call_soon(reloader.begin)
        else:
            again.set()

    monkeypatch.setattr(reloader, "_reload", reload)
    reloader.begin()
    await asyncio.wait_for(again.wait(), 5)
    await asyncio.sleep(0)
    assert read == 2
    assert told.heard == ["reloading", "reloading", "reloaded"]
