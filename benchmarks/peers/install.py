"""Brings the peers from apt and PyPI into ``build/peers``; changes no machine.

Packages are downloaded with lists of apt's own in the scratch place, and unpacked, not
installed. What the machine has installed already is used as it is.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.report import ROOT

SCRATCH = ROOT / "build" / "peers"
UNPACKED = SCRATCH / "apt"


class NotInstalledError(Exception):
    """A peer cannot be had here; the message says why."""


def apt(package: str) -> str:
    """Unpack a Debian package and what it needs; return its version.

    Raises:
        NotInstalledError: there is no apt, no network, or no such package.
    """
    if not shutil.which("apt-get"):
        raise NotInstalledError("this machine has no apt-get")
    mark = SCRATCH / f"have-{package}"
    if not mark.exists():
        for name in _missing(package):
            _unpack(name)
        policy = _run("apt-cache", *_options(), "policy", package)
        (version,) = [
            line.split()[1] for line in policy.splitlines() if "Candidate" in line
        ]
        mark.write_text(version)
    return mark.read_text()


def pip(name: str, *packages: str) -> str:
    """Make a virtual environment with packages; return the version of the first.

    Raises:
        NotInstalledError: pip failed.
    """
    folder = SCRATCH / "venvs" / name
    mark = folder / "have"
    if not mark.exists():
        _run(sys.executable, "-m", "venv", "--clear", str(folder))
        _run(python(name), "-m", "pip", "install", "--quiet", *packages)
        package = packages[0].partition("[")[0]
        code = f"from importlib.metadata import version; print(version({package!r}))"
        mark.write_text(_run(python(name), "-c", code).strip())
    return mark.read_text()


def python(name: str) -> str:
    """Return the interpreter of a virtual environment made by ``pip``."""
    return script(name, "python")


def script(name: str, command: str) -> str:
    """Return a command of a virtual environment made by ``pip``."""
    return str(SCRATCH / "venvs" / name / "bin" / command)


def program(pattern: str) -> str:
    """Return an unpacked or installed program: "usr/bin/tsp", also with wildcards.

    Raises:
        NotInstalledError: there is none.
    """
    for root in (UNPACKED, Path("/")):
        for found in sorted(root.glob(pattern), reverse=True):
            return str(found)
    raise NotInstalledError(f"{pattern} is in no package")


def libraries() -> dict[str, str]:
    """Return the variable with which unpacked servers find unpacked libraries."""
    folders = [str(path) for path in UNPACKED.glob("usr/lib/*-linux-gnu*")]
    return {"LD_LIBRARY_PATH": ":".join(folders)} if folders else {}


def _missing(package: str) -> list[str]:
    """Return what apt would install newly: a name in brackets is an upgrade."""
    options = [*_options(), "--simulate", "--no-install-recommends"]
    plan = _run("apt-get", *options, "install", package)
    words = [line.split() for line in plan.splitlines() if line.startswith("Inst ")]
    return [word[1] for word in words if not word[2].startswith("[")]


def _unpack(package: str) -> None:
    folder = SCRATCH / "debs" / package
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _run("apt-get", *_options(), "download", package, folder=folder)
    for archive in folder.glob("*.deb"):
        _run("dpkg", "--extract", str(archive), str(UNPACKED))


def _options() -> list[str]:
    """Return what keeps apt's lists and downloads in the scratch place."""
    lists, cache = SCRATCH / "apt-lists", SCRATCH / "apt-cache"
    options = [
        f"--option=Dir::State::Lists={lists}",
        f"--option=Dir::Cache={cache}",
        "--option=APT::Sandbox::User=",
    ]
    mark = SCRATCH / "have-lists"
    if not mark.exists():
        (cache / "archives" / "partial").mkdir(parents=True, exist_ok=True)
        (lists / "partial").mkdir(parents=True, exist_ok=True)
        _run("apt-get", *options, "--quiet", "update")
        mark.touch()
    return options


def _run(*argv: str, folder: Path | None = None) -> str:
    done = subprocess.run(
        argv,
        cwd=folder,
        env=os.environ | {"LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise NotInstalledError(f"{Path(argv[0]).name}: {' '.join(said)[:120]}")
    return done.stdout
