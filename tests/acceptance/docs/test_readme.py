"""The README shows what really happens."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.home import Home
from helpers.markdown import fenced

README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")

MARKER = "<!-- tour: tests/acceptance/docs/test_readme.py runs this and compares -->\n"

needs_bash = pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")
needs_make = pytest.mark.skipif(not shutil.which("make"), reason="there is no make")


@needs_bash
def test_the_tour_is_true(home: Home) -> None:
    """Its commands print what stands below them, but for how long things took."""
    tour, *_ = fenced(README.partition(MARKER)[2])
    commands = re.findall(r"(?m)^\$ (.*)$", tour)
    assert len(commands) > 5
    shown = "".join(f"$ {line}\n{run(home, line)}" for line in commands)
    assert untimed(shown).splitlines() == untimed(tour).splitlines()


def run(home: Home, line: str) -> str:
    """Run a command line as at a prompt; return what is seen of it."""
    return subprocess.run(
        ["bash", "-c", line],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=home.work,
        env=home.environ,
        timeout=60,
        check=False,
    ).stdout


def untimed(text: str) -> str:
    """Return the text without durations, and without the room they take in a table."""
    text = re.sub(r"\b\d+(\.\d+)?(ms|s)\b", "N", text)
    return re.sub(r" {2,}", "  ", text)


@needs_make
def test_the_python_example_runs(home: Home) -> None:
    """In a directory that has something to make."""
    (example,) = fenced(README, "python")
    (home.work / "Makefile").write_text("all:\n\t@echo made\n")
    home.ctl("worker", "start")
    done = subprocess.run(
        [sys.executable, "-c", example],
        capture_output=True,
        text=True,
        cwd=home.work,
        env=home.environ,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("completed 0\n", "")
    assert home.output("1") == "made\n"


def test_the_exit_codes_are_those_of_the_help(home: Home) -> None:
    """The same table stands in the README and in --help."""
    told = set(re.findall(r"(?m)^ +(\d+)(?:\+n)?  ", home.ctl("--help")))
    table = README.partition("## Exit codes")[2].partition("\n## ")[0]
    assert set(re.findall(r"\b(\d+)(?:\+n)?\b", table)) == told
