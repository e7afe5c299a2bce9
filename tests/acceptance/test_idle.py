"""Idle means idle: nothing polls."""

import re
import shutil
import signal
import subprocess

import pytest

from helpers import waiting
from helpers.home import Home

WINDOW = 30.0
"""Seconds of watching: longer than any interval that could hide in the code."""


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_no_system_call_completes_while_nothing_is_to_be_done(home: Home) -> None:
    """A daemon and four workers that have run jobs wait, each in one call."""
    home.ctl("worker", "start", "--count", "4")
    for _ in range(4):
        home.ctl("enqueue", "--wait", "true")
    waiting.until(
        lambda: [w["state"] for w in home.workers()] == ["idle"] * 4, "all are idle"
    )
    waiting.until(lambda: connections(home) == 1, "no client is left but this one")
    pids = [home.daemon, *(worker["pid"] for worker in home.workers())]
    trace = home.root / "trace"
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
    calls = trace.read_text().splitlines()
    assert calls, "strace has seen at least what they wait in"
    assert [call for call in calls if completed(call)] == []


def connections(home: Home) -> int:
    """Return how many clients the daemon has, this one included."""
    count: int = home.ask("daemon.status")["connections"]
    return count


def completed(call: str) -> bool:
    """Whether a line of strace's is of a call that has returned, or of a signal."""
    return re.search(r"<unfinished \.\.\.>$|<detached \.\.\.>$", call) is None
