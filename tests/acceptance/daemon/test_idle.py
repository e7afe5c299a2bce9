"""Idle means idle: nothing polls."""

import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from helpers import databases, waiting
from helpers.home import Home
from helpers.rawclient import RawClient
from queuectl_protocol.errors import ErrorCode

WINDOW = 30.0
"""Seconds of watching: longer than any interval that could hide in the code."""

WAITS = ("<unfinished ...>", "<detached ...>")
"""How strace ends the line of a call that has not returned."""


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_no_system_call_completes_while_there_is_nothing_to_do(home: Home) -> None:
    """A daemon, four workers and a client's connection wait, each in one call.

    Some seconds after the last thing that was done: the log of the store is emptied.
    """
    home.ctl("worker", "start", "--count", "4")
    job = home.enqueue("true")
    home.ended(job)
    with home.connect() as client:
        await_checkpoint(home, client, job)
        waiting.until(
            lambda: client.call("daemon.status")["connections"] == 1,
            "the command's connection is gone",
        )
        workers = client.call("workers.list")["workers"]
        assert [worker["state"] for worker in workers] == ["idle"] * 4
        pids = [home.daemon, *(worker["pid"] for worker in workers)]
        calls = watch(home.root / "trace", pids)
    assert {int(call.split()[0]) for call in calls} >= set(pids), "it saw them wait"
    assert [call for call in calls if not call.endswith(WAITS)] == []


def await_checkpoint(home: Home, client: RawClient, job: str) -> None:
    """Wait until the store's writer has emptied the log, and has nothing more to do."""
    database = home.root / "queuectl.db"
    waiting.until(
        lambda: databases.state_of(database, job) == "completed",
        "the log has been emptied",
    )
    # The writer refuses this, once the checkpoint is over, and nothing is changed.
    assert client.refused("cancel", id=job).code == ErrorCode.INVALID_STATE


def watch(trace: Path, pids: list[int]) -> list[str]:
    """Return what strace says of these processes, and of their threads, in WINDOW."""
    strace = subprocess.Popen(
        ["strace", "-f", "-tt", "-o", trace, *(f"-p{pid}" for pid in pids)],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert strace.stderr is not None
        for _ in pids:
            line = strace.stderr.readline()
            if "Operation not permitted" in line:
                pytest.skip("strace may not attach to processes here")
            assert "attached" in line
        with pytest.raises(subprocess.TimeoutExpired):
            strace.wait(WINDOW)
    finally:
        strace.send_signal(signal.SIGINT)
        strace.communicate()
    return trace.read_text().splitlines()
