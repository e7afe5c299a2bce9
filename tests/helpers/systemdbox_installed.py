"""A box in which queuectl is installed as the guide to systemd says."""

import importlib.metadata
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from helpers.systemdbox import Box, Boxing, Layer, a_box

CHECKOUT = Path(__file__).parents[2]
UNITS = CHECKOUT / "systemd"
PACKAGES = ("queuectl", "queuectld", "protocol/queuectl_protocol")
DEPENDENCIES = ("click", "msgpack", "psutil")

SERVICE = "queuectld.service"
SOCKET = "queuectld.socket"
JOBS = "queuectld-jobs.service"
BACKUP = ("queuectl-backup.service", "queuectl-backup.timer")
CONFIG = "/etc/queuectl/queuectld.toml"

MEMBER = "alice"
"""Somebody in the group queuectl."""
STRANGER = "bob"
"""Somebody with an account, and nothing else."""

VENV = "/opt/queuectl"
PYTHON = "/opt/python"
HANGING_PROGRAM = f"{VENV}/hanging.py"
_SCRIPT = """#!{python}
import sys
from {package}.__main__ import main
sys.exit(main())
"""


HANGING = """
import ctypes
import os
import signal
import sys
import threading

from queuectld.__main__ import main

SOMEWHERE = signal.SIGRTMAX
WHICH = os.environ.pop("HANG", "MainThread")


def hang(number, frame):
    if WHICH == "MainThread":
        while True:
            signal.pause()
    for thread in threading.enumerate():
        if thread.name == WHICH:
            signal.pthread_kill(thread.ident, SOMEWHERE)


libc = ctypes.CDLL(None)
libc.signal.argtypes = [ctypes.c_int, ctypes.c_void_p]
libc.signal(SOMEWHERE, ctypes.cast(libc.pause, ctypes.c_void_p))
signal.signal(signal.SIGUSR2, hang)
sys.exit(main())
"""
"""The daemon, of which a thread does nothing any more after a SIGUSR2.

The main thread then heeds no signal either. Another is sent into pause(2) by a handler
that is no Python's: it is taken out of whatever it does or waits for, in the kernel.
"""


@contextmanager
def a_machine() -> Iterator[Box]:
    """Boot a box in which queuectl is installed, for the system and for alice."""
    with an_installation() as boxing:
        box = boxing.boot()
        admit(box)
        yield box


@contextmanager
def a_computer_with_programs(*versions: str) -> Iterator[Box]:
    """Boot a box in which some versions of the program lie, and nothing is set up.

    Each is in ``/opt/queuectl/VERSION``, as the guide has pip put it there.
    """
    with _a_box_with_python() as (boxing, base):
        for version in versions:
            _install_program(boxing.layer, base, f"{VENV}/{version}")
        yield boxing.boot()


@contextmanager
def an_installation() -> Iterator[Boxing]:
    """Make a box with queuectl in it, to be booted; ``admit`` is for its first boot."""
    with _a_box_with_python() as (boxing, base):
        install_command(boxing.layer, base)
        _install_units(boxing.layer)
        yield boxing


@contextmanager
def _a_box_with_python() -> Iterator[tuple[Boxing, str]]:
    base = sys.base_prefix
    # A Python of one's own may be where a service's user cannot look, or on a mount of
    # its own, which the copy of / does not have.
    borrowed = base != "/usr"
    with a_box(*([(base, PYTHON)] if borrowed else [])) as boxing:
        yield boxing, PYTHON if borrowed else base


def admit(box: Box) -> None:
    """Make the service's user, a member of its group, and a stranger to it."""
    box.ok("systemd-sysusers")
    box.ok("useradd", "--create-home", "--groups=queuectl", MEMBER)
    box.ok("useradd", "--create-home", STRANGER)


def install_command(layer: Layer, base: str) -> None:
    """Install one version, in the path of everybody, and the one that hangs."""
    _install_program(layer, base, VENV)
    for package in ("queuectl", "queuectld"):
        layer.link(f"/usr/local/bin/{package}", f"{VENV}/bin/{package}")
    layer.write(HANGING_PROGRAM, HANGING)


def _install_program(layer: Layer, base: str, venv: str) -> None:
    """Install what is in this checkout, as pip would, into a venv that all can use."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    layer.write(f"{venv}/pyvenv.cfg", f"home = {base}/bin\n")
    layer.link(f"{venv}/bin/python", f"{base}/bin/{name}")
    site = f"{venv}/lib/{name}/site-packages"
    for package in PACKAGES:
        layer.copy(CHECKOUT / package, f"{site}/{Path(package).name}")
    for dependency in DEPENDENCIES:
        for top, source in _installed(dependency):
            layer.copy(source, f"{site}/{top}")
    for package in ("queuectl", "queuectld"):
        program = f"{venv}/bin/{package}"
        text = _SCRIPT.format(python=f"{venv}/bin/python", package=package)
        layer.write(program, text, 0o755)
    # As the wheel has them: for ``queuectl systemd install``.
    layer.copy(UNITS, f"{site}/queuectl/systemd")
    if base == PYTHON and sysconfig.get_config_var("Py_ENABLE_SHARED"):
        _link_library(layer)


def _link_library(layer: Layer) -> None:
    """Put Python's library where the loader looks.

    It knows the library by the path outside: the loader looks here next, where the
    machine's own Python may have one by the same name.
    """
    library = sysconfig.get_config_var("INSTSONAME")
    folder = Path("/usr/lib", sysconfig.get_config_var("MULTIARCH") or "")
    if not (layer.root / str(folder / library).lstrip("/")).is_symlink():
        layer.link(f"{folder}/{library}", f"{PYTHON}/lib/{library}")


def _installed(distribution: str) -> Iterator[tuple[str, Path]]:
    """Yield what a distribution has in site-packages: names, and where they are."""
    files = importlib.metadata.files(distribution) or []
    for top in sorted({file.parts[0] for file in files} - {"..", "__pycache__"}):
        yield top, Path(str(files[0].locate())).parents[len(files[0].parts) - 1] / top


def _install_units(layer: Layer) -> None:
    for unit in (JOBS, SERVICE, SOCKET, *BACKUP):
        layer.copy(UNITS / unit, f"/etc/systemd/system/{unit}")
        layer.copy(UNITS / "user" / unit, f"/etc/skel/.config/systemd/user/{unit}")
    layer.copy(UNITS / "sysusers.d/queuectl.conf", "/etc/sysusers.d/queuectl.conf")
    options = (UNITS / "queuectld.toml").read_text()
    layer.write(CONFIG, f'{options}\n[roles]\noperate = ["@queuectl"]\n')
    for program in ("queuectl", "queuectld"):
        layer.link(f"/etc/skel/.local/bin/{program}", f"{VENV}/bin/{program}")
