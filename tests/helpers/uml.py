"""Runs a program as root under a kernel that has cgroup v2 with all controllers.

    python -m helpers.uml PROGRAM [ARGUMENT]...

A kernel binds each controller to cgroup v1 or to v2, so that on many machines a limit
has no effect in ``systemdbox``. User-mode Linux is a kernel that is an ordinary process
(Debian: user-mode-linux). Under it a systemd is booted over a copy of / that is thrown
away, with this checkout's queuectl in /opt; the program is started in the checkout when
systemd is up, its output comes here, and its exit status is that of this command.

All of it is in namespaces that end with this process, whatever ends it: processes,
mounts, and the folder with the memory, the copy of / and what was written there. How
queuectl is installed inside, and a test asks for it, is in ``umlbox``.
"""

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, NoReturn

from helpers import systemdbox_installed
from helpers.processes import await_end, children
from helpers.systemdbox import Layer

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
CACHE = CHECKOUT / "build" / "uml"
FOLDER = CACHE / "box"
"""Where the folder is mounted, in namespaces that nobody else looks into."""

GONE_WITHIN = 30.0
"""Seconds that the end of a killed kernel may take: a gigabyte has to be freed."""

PATIENCE = 1800.0
"""Seconds after which the whole is taken to hang."""

MEMORY = "1G"
"""Of the machine, its files included; what it does not touch is not taken."""

PACKAGE = "user-mode-linux"
TOOLS = ("bash", "mount", "pivot_root", "setpriv", "unshare")
GENERATORS = Path("/lib/systemd/system-generators")
UNIT = "program.service"

_WITHIN = "--within"
_NAMESPACES = ("--mount", "--pid", "--ipc", "--net", "--mount-proc")
_UNIT = f"""[Unit]
Requires=basic.target
After=basic.target
AllowIsolate=yes
SuccessAction=poweroff-immediate
FailureAction=poweroff-immediate

[Service]
Type=exec
ExecStart=/bin/bash /opt/program
WorkingDirectory={CHECKOUT}
StandardOutput=tty
StandardError=tty
TTYPath=/dev/tty1
OOMScoreAdjust=-900
"""
_JOURNALD = "[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\n"
# The terminal's own newlines are for the terminal outside to make.
_PROGRAM = """
export {environ}
stty -opost </dev/tty1
{command}
echo $? >/run/outside/status
sync
"""


class HindranceError(Exception):
    """There can be no such kernel here; the message says what to do."""


class Kernel(NamedTuple):
    """What is had of the package: the program, and the module that it lacks."""

    program: Path
    overlay: Path


def main(arguments: list[str]) -> int:
    """Run a program; return its exit status, 1 if there is none."""
    if arguments[:1] == [_WITHIN]:
        return _within(Kernel(*map(Path, arguments[1:3])), arguments[3:])
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    try:
        return run(arguments)
    except HindranceError as error:
        print(error, file=sys.stderr)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 1


def run(command: Sequence[str]) -> int:
    """Run a program to its end; return its exit status.

    Raises:
        HindranceError: it cannot be run here.
    """
    if reason := hindrance():
        raise HindranceError(reason)
    kernel = find_kernel()
    FOLDER.mkdir(parents=True, exist_ok=True)
    inner = [sys.executable, "-m", "helpers.uml", _WITHIN, *map(str, kernel)]
    with _in_namespaces([*inner, *command]) as outer:
        try:
            return outer.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            print(f"not done after {PATIENCE:g} s: ended", file=sys.stderr)
            return 1


def hindrance() -> str | None:
    """Return why there can be no such kernel on this machine, None if there can."""
    if os.geteuid() != 0:
        return "only root can boot a systemd: run it with sudo"
    if os.uname().machine != "x86_64":
        return "user-mode Linux is for x86-64 only"
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        return f"needs {', '.join(missing)}"
    return None


# -- the kernel -----------------------------------------------------------------------


def find_kernel() -> Kernel:
    """Return the kernel that is installed or in the cache; fetch it if there is none.

    Raises:
        HindranceError: it cannot be fetched.
    """
    if installed := shutil.which("linux.uml"):
        return Kernel(Path(installed), _module(Path("/usr/lib/uml")))
    cached = Kernel(CACHE / "linux.uml", CACHE / "overlay.ko")
    if not cached.program.exists():
        _fetch(cached)
    return cached


def _fetch(into: Kernel) -> None:
    print(f"fetching {PACKAGE} (41 MB) into {CACHE}", file=sys.stderr)
    CACHE.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=CACHE) as name:
        folder = Path(name)
        # As root: the account that apt has for this may not write here.
        _tool(
            "apt-get",
            "-qq",
            "-oAPT::Sandbox::User=root",
            "download",
            PACKAGE,
            at=folder,
        )
        _tool("dpkg", "-x", *map(str, folder.glob("*.deb")), name, at=folder)
        _module(folder / "usr/lib/uml").rename(into.overlay)
        (folder / "usr/bin/linux.uml").rename(into.program)  # last: it tells of both


def _tool(*argv: str, at: Path) -> None:
    try:
        done = subprocess.run(
            argv, cwd=at, stderr=subprocess.PIPE, text=True, check=False
        )
    except FileNotFoundError:
        raise HindranceError(f"needs {argv[0]}, or linux.uml on the PATH") from None
    if done.returncode:
        raise HindranceError(
            f"cannot fetch {PACKAGE}: try apt-get update, or install the package:\n"
            f"{done.stderr.strip()}"
        )


def _module(folder: Path) -> Path:
    for found in folder.glob("modules/*/kernel/fs/overlayfs/overlay.ko"):
        return found
    raise HindranceError(f"there is no overlay.ko below {folder}")


# -- outside --------------------------------------------------------------------------


def _leave(number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + number)


@contextmanager
def _in_namespaces(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program as the first process of its own namespaces; end it and them."""
    # If this process is killed the kernel ends unshare, and with it what is in there.
    bound = ["setpriv", "--pdeathsig", "KILL", "unshare", *_NAMESPACES, "--fork"]
    with subprocess.Popen(
        [*bound, "--kill-child=KILL", *command],
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for this process, which then ends that one
    ) as outer:
        try:
            yield outer
        finally:
            if outer.poll() is None:
                _end(outer)


def _end(outer: subprocess.Popen[bytes]) -> None:
    """Kill it and what it is bound to; return when no process of that is left."""
    handles = {pid: os.pidfd_open(pid) for pid in children(outer.pid)}
    outer.kill()
    for pid, handle in handles.items():
        # The first process has ended only when all in its namespace have.
        await_end(pid, handle, within=GONE_WITHIN)


# -- within the namespaces ------------------------------------------------------------


def _within(kernel: Kernel, command: list[str]) -> int:
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "mode=755,size=4g", "box", FOLDER], check=True
    )
    _furnish(kernel, command)
    with (FOLDER / "log").open("wb") as log:
        _boot(kernel, log.fileno())
    try:
        return int((FOLDER / "outside/status").read_text())
    except (FileNotFoundError, ValueError):
        said = (FOLDER / "log").read_text(errors="replace")
        print(f"the box ended before the program did:\n{said}", file=sys.stderr)
        return 1


def _furnish(kernel: Kernel, command: list[str]) -> None:
    """Write what ``uml.sh`` finds in the folder, and what lies over /."""
    for name in ("outside", "memory"):
        (FOLDER / name).mkdir()
    for script in ("uml.sh", "systemdbox.sh"):
        shutil.copy(HERE / script, FOLDER)
    shutil.copy(kernel.overlay, FOLDER / "overlay.ko")
    (FOLDER / "python").symlink_to(Path(sys.executable).resolve())
    layer = Layer(FOLDER / "layer")
    layer.root.mkdir(mode=0o755)
    layer.write("/etc/hostname", "box\n")
    layer.write("/etc/systemd/journald.conf.d/box.conf", _JOURNALD)
    # Nothing for them to find; and each is run at every daemon-reload, of which a
    # test has several, under a kernel that takes its time to start a program.
    for generator in GENERATORS.glob("*"):
        layer.link(f"/etc/systemd/system-generators/{generator.name}", "/dev/null")
    lent = _install(layer)
    layer.write(f"/etc/systemd/system/{UNIT}", _UNIT)
    layer.write("/opt/program", _program(command))
    (FOLDER / "lent").write_text("".join(f"{a} {b}\n" for a, b in lent))


def _install(layer: Layer) -> list[tuple[str, str]]:
    """Install queuectl; return the folders to lend: where they are, and shall be.

    The checkout is one of them, as it may be below /tmp, which is not copied.
    """
    borrowed = sys.base_prefix != "/usr"
    base = systemdbox_installed.PYTHON if borrowed else "/usr"
    systemdbox_installed.install_command(layer, base)
    lent = [(str(CHECKOUT), str(CHECKOUT))]
    return [*lent, (sys.base_prefix, base)] if borrowed else lent


def _program(command: list[str]) -> str:
    variables = {
        "PYTHONPATH": str(HERE.parent),
        "COLUMNS": str(shutil.get_terminal_size().columns),
        "TERM": os.environ.get("TERM", "dumb") if sys.stdout.isatty() else "dumb",
    }
    environ = shlex.join(f"{name}={value}" for name, value in variables.items())
    return _PROGRAM.format(environ=environ, command=shlex.join(command))


def _boot(kernel: Kernel, log: int) -> None:
    """Run the kernel to its end; its second console comes out on stdout."""
    consoles = ("con0=null,fd:2", "con1=null,fd:1", "con=null")
    root = ("rootfstype=hostfs", "rootflags=/", "ro", f"init={FOLDER}/uml.sh")
    with subprocess.Popen(
        [
            *(str(kernel.program), f"mem={MEMORY}", "quiet", "panic=1"),
            *(*root, *consoles, f"uml_dir={FOLDER}/memory/", "umid=box"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,  # never the terminal: it would be set to raw
        stderr=log,
        env={"TMPDIR": f"{FOLDER}/memory", "HOME": f"{FOLDER}/memory"},
    ) as machine:
        assert machine.stdout is not None
        while text := os.read(machine.stdout.fileno(), 65536):
            sys.stdout.buffer.write(text)
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
