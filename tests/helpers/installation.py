"""An installation of queuectl in a directory of its own, and an image for its units."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest

import queuectl
import queuectl_protocol

CHECKOUT = Path(__file__).parents[2]

LAUNCHER = """\
#!{python}
import sys
sys.path.insert(0, {library!r})
from queuectl.__main__ import main
main()
"""
"""As pip writes it, but for the path."""

EXAMPLES = tuple(
    f"queuectld.service.d/{name}.conf.example"
    for name in ("local", "privileges", "strict", "submitter")
)
EXAMPLE = EXAMPLES[0]

SYSTEM = (
    "etc/queuectl/queuectld.toml",
    "etc/sysusers.d/queuectl.conf",
    *(f"etc/systemd/system/{example}" for example in EXAMPLES),
    "etc/systemd/system/queuectld.service",
    "etc/systemd/system/queuectld.socket",
    "etc/systemd/system/queuectld-jobs.service",
)

SERVICE = "etc/systemd/system/queuectld.service"

needs_analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="needs systemd-analyze"
)
needs_systemctl = pytest.mark.skipif(
    shutil.which("systemctl") is None or shutil.which("systemd-sysusers") is None,
    reason="needs systemctl and systemd-sysusers",
)


class Installation:
    """What pip makes of the wheel, in a directory of its own, and an image to fill.

    Attributes:
        bin: where its commands are.
        image: what ``--root`` names.
        home: the user's.
    """

    def __init__(self, directory: Path, python: str) -> None:
        self.bin = directory / "bin"
        self.image = directory.parent / "image"
        self.home = directory.parent / "home"
        for made in (self.bin, self.image, self.home):
            made.mkdir(parents=True)
        library = directory / "lib"
        for package in (queuectl, queuectl_protocol, click):
            code = Path(str(package.__file__)).parent
            shutil.copytree(code, library / code.name)
        for source, there in _included().items():
            shutil.copytree(CHECKOUT / source, library / there)
        launcher = LAUNCHER.format(python=python, library=str(library))
        for name, text in (("queuectl", launcher), ("queuectld", "#!/bin/sh\n")):
            (self.bin / name).write_text(text)
            (self.bin / name).chmod(0o755)

    def run(
        self, *arguments: str, command: Path | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run ``queuectl systemd`` to its end, as one with a strict umask does."""
        return subprocess.run(
            [command or self.bin / "queuectl", "systemd", *arguments],
            env={"PATH": os.environ["PATH"], "HOME": str(self.home), **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            umask=0o077,
            timeout=60,
            check=False,
        )

    def ok(self, *arguments: str, **options: Any) -> str:
        """Run one that succeeds and has nothing to remark, in the image."""
        done = self.run(*arguments, "--root", str(self.image), **options)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def refused(self, *arguments: str, **options: Any) -> str:
        """Run one that is refused with one line, in the image; return that line."""
        done = self.run(*arguments, "--root", str(self.image), **options)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.count("\n") == 1
        return done.stderr.removeprefix("queuectl: ").rstrip("\n")

    def files(self) -> dict[str, str]:
        """Return the text of everything in the image that is a file."""
        return {
            str(path.relative_to(self.image)): path.read_text()
            for path in self.image.rglob("*")
            if path.is_file()
        }


def _included() -> dict[str, str]:
    """Return what the wheel has besides its packages: source -> path in it."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    included: dict[str, str] = wheel["force-include"]
    return included


def python_for_services() -> str:
    """Return a Python that a service can run: one in nobody's home."""
    for python in (sys.executable, "/usr/bin/python3"):
        if os.path.realpath(python).startswith(("/root/", "/home/")):
            continue
        asked = [python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
        if Path(python).exists() and not subprocess.run(asked, check=False).returncode:
            return python
    pytest.skip("needs a Python of 3.11 or later that is in nobody's home")


def verified(directory: Path, manager: str) -> subprocess.CompletedProcess[str]:
    """Have systemd read the units of a directory.

    A user's systemd says where sockets are, and too long a path is no address.
    """
    units = sorted(each for each in directory.glob("queuectl*") if each.is_file())
    assert len(units) >= 3
    return subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=yes", f"--{manager}", *units],
        env={"PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": "/tmp"},
        capture_output=True,
        text=True,
        check=False,
    )


def reloading(unit: str) -> list[str]:
    """Return the commands of ``ExecReload=`` without what makes them quiet."""
    lines = [line for line in unit.splitlines() if line.startswith("ExecReload=")]
    return [line.rpartition("' ")[2].removeprefix("ExecReload=") for line in lines]


def program(unit: str) -> str:
    """Return the first word of ``ExecStart=``."""
    (line,) = (line for line in unit.splitlines() if line.startswith("ExecStart="))
    return line.removeprefix("ExecStart=").partition(" ")[0]
