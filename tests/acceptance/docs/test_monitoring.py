"""docs/howto/monitoring.md shows what really happens."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.home import Home
from helpers.markdown import fenced

PAGE = (Path(__file__).parents[3] / "docs/howto/monitoring.md").read_text("utf-8")

LINES = [
    (command, shown)
    for block in fenced(PAGE)
    for command, shown in re.findall(r"(?m)^\$ (.*)\n((?:[^$\n].*\n)*)", block)
]


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")
def test_the_commands_print_what_stands_below_them(home: Home) -> None:
    """In a queue with two workers that have nothing to do."""
    home.ctl("worker", "start", "--count", "2")
    assert len(LINES) >= 5
    for command, shown in LINES:
        if "jq" in command and not shutil.which("jq"):
            continue
        done = home.run("-c", command, program="/bin/bash")
        assert (done.stdout, done.stderr) == (shown, ""), command


def test_the_python_example_runs(home: Home) -> None:
    """And finds nothing."""
    home.ctl("daemon", "start")
    (example,) = fenced(PAGE, "python")
    done = subprocess.run(
        [sys.executable, "-c", example],
        capture_output=True,
        text=True,
        env=home.environ,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("OK []\n", "")
