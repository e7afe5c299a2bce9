"""What this process may do: each act is tried, in a process of its own.

A program, which needs nothing but Python: ``probe.py [ACT]...`` tries these, or all,
and writes a JSON object that has of each act ``ok`` or the name of its error. An
ordinary account and a job of the same account both run it, to be compared.
"""

import ctypes
import errno
import json
import mmap
import os
import platform
import pwd
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

Act = Callable[[], None]

SETUID, SETGID = "/srv/setuid-id", "/srv/setgid-id"
"""Copies of id(1) that root has made setuid and setgid."""
DEVICE = "/dev/probe"
"""A device that everybody may open, and that is none of those every service has."""

NUMBERS = {
    "x86_64": {
        "adjtimex": 159,
        "clock_settime": 227,
        "iopl": 172,
        "modify_ldt": 154,
        "personality": 135,
        "settimeofday": 164,
        "swapon": 167,
        "sysfs": 139,
    },
    "aarch64": {
        "adjtimex": 171,
        "clock_settime": 112,
        "personality": 92,
        "settimeofday": 170,
        "swapon": 224,
    },
}
"""Of system calls, from asm/unistd.h. Of other machines we know none."""

AF_ALG, AF_VSOCK = 38, 40  # linux/socket.h
ADDR_NO_RANDOMIZE = 0x0040000  # linux/personality.h
SCHED_RESET_ON_FORK = 0x40000000  # linux/sched.h
READABLE, WRITABLE, EXECUTABLE = mmap.PROT_READ, mmap.PROT_WRITE, mmap.PROT_EXEC

GETPID_OF_I386 = b"\xb8\x14\x00\x00\x00\xcd\x80\xc3"
"""mov eax, 20; int 0x80; ret"""

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mmap.restype = ctypes.c_void_p


def checked(result: int) -> None:
    """Raise what a function of C says by a number below 0."""
    if result < 0:
        raise OSError(ctypes.get_errno(), "")


def call(name: str, *arguments: object) -> Act:
    """Return an act: a system call, however senseless its arguments."""

    def act() -> None:
        number = NUMBERS.get(platform.machine(), {}).get(name)
        if number is None:
            raise OSError(errno.ENOSYS, name)
        checked(LIBC.syscall(ctypes.c_long(number), *arguments))

    return act


def run(*argv: str) -> str:
    """Run a program that succeeds."""
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


# -- files -----------------------------------------------------------------------------


def writes(directory: str) -> Act:
    """Return an act: a new file."""
    return lambda: tempfile.TemporaryFile(dir=directory).close()


def lists(directory: str) -> Act:
    """Return an act: the names in a directory."""
    return lambda: os.scandir(directory).close()


def opens(path: str) -> Act:
    """Return an act: a look at a file."""
    return lambda: os.close(os.open(path, os.O_RDONLY))


def makes(mode: int) -> Act:
    """Return an act: a file with a mode."""

    def act() -> None:
        with tempfile.NamedTemporaryFile(dir="/tmp") as file:
            Path(file.name).chmod(mode)

    return act


def writes_home() -> None:
    """A new file where the account is at home."""
    writes(pwd.getpwuid(os.getuid()).pw_dir)()


# -- memory, processes -----------------------------------------------------------------


def maps_writable_code() -> None:
    """As a compiler at run time does."""
    mmap.mmap(-1, 4096, prot=READABLE | WRITABLE | EXECUTABLE).close()


def makes_code_executable() -> None:
    """As a more careful one does: written first, then executable."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    size = ctypes.c_size_t(4096)
    page = LIBC.mmap(None, size, READABLE | WRITABLE, flags, -1, 0)
    checked(LIBC.mprotect(ctypes.c_void_p(page), size, READABLE | EXECUTABLE))


def calls_as_32_bit() -> None:
    """As a program for i386 does. It may kill."""
    if platform.machine() != "x86_64":
        raise OSError(errno.ENOSYS, "")
    page = mmap.mmap(-1, 4096, prot=READABLE | WRITABLE | EXECUTABLE)
    page.write(GETPID_OF_I386)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    checked(ctypes.CFUNCTYPE(ctypes.c_int)(address)())


def forks() -> None:
    """A child, and its end."""
    run("true")


def traced() -> None:
    """As a debugger has its child do."""
    ptrace_traceme = 0
    checked(LIBC.ptrace(ptrace_traceme, 0, 0, 0))


def schedules(policy: int, priority: int = 0) -> Act:
    """Return an act: another policy of scheduling."""
    return lambda: os.sched_setscheduler(0, policy, os.sched_param(priority))


def nicer() -> None:
    """A lower priority."""
    os.nice(5)


def makes_message_queue() -> None:
    """One of System V, and its end."""
    ipc_private, ipc_rmid = 0, 0
    identity = LIBC.msgget(ipc_private, 0o600)
    checked(identity)
    checked(LIBC.msgctl(identity, ipc_rmid, None))


# -- sockets, namespaces ---------------------------------------------------------------


def makes_socket(*which: int) -> Act:
    """Return an act: a socket of a family, a type and perhaps a protocol."""
    return lambda: socket.socket(*which).close()


def connects() -> None:
    """A connection from here to here."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=1).close()


def inside(*namespaces: str, then: tuple[str, ...] = ("true",)) -> Act:
    """Return an act: a program as root of a user namespace, and in others."""
    return lambda: print(run("unshare", "--map-root-user", *namespaces, *then), end="")


PACKETS = "import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)"


# -- privileges ------------------------------------------------------------------------


def gains(program: str, option: str) -> Act:
    """Return an act: to be root by a program."""

    def act() -> None:
        if run(program, option).strip() != "0":
            raise OSError(errno.EPERM, program)

    return act


ACTS: dict[str, Act] = {
    "write home": writes_home,
    "write /tmp": writes("/tmp"),
    "write /var/tmp": writes("/var/tmp"),
    "write /dev/shm": writes("/dev/shm"),
    "write /srv/shared": writes("/srv/shared"),
    "write /home/shared": writes("/home/shared"),
    "write /usr/local/shared": writes("/usr/local/shared"),
    "list /home": lists("/home"),
    "list /usr/lib/modules": lists("/usr/lib/modules"),
    "open /proc/1/status": opens("/proc/1/status"),
    "open /proc/meminfo": opens("/proc/meminfo"),
    "open device": opens(DEVICE),
    "make setuid": makes(0o4755),
    "make setgid": makes(0o2755),
    "map W+X": maps_writable_code,
    "make code executable": makes_code_executable,
    "32-bit call": calls_as_32_bit,
    "fork": forks,
    "be traced": traced,
    "be nice": nicer,
    "batch": schedules(os.SCHED_BATCH),
    "reset on fork": schedules(os.SCHED_OTHER | SCHED_RESET_ON_FORK),
    "real time": schedules(os.SCHED_FIFO, 1),
    "personality": call("personality", ADDR_NO_RANDOMIZE),
    "message queue": makes_message_queue,
    # With nothing in it that is to be changed.
    "read adjtimex": call("adjtimex", ctypes.create_string_buffer(1024)),
    "read LDT": call("modify_ldt", 0, ctypes.create_string_buffer(64), 64),
    "sysfs call": call("sysfs", 3),
    # The kernel finds these wrong before it asks for a capability.
    "wrong clock_settime": call("clock_settime", 99, ctypes.create_string_buffer(16)),
    "wrong settimeofday": call("settimeofday", ctypes.c_void_p(1), None),
    "wrong swapon": call("swapon", None, 0x7FFF0000),
    "wrong iopl": call("iopl", 4),
    "connect TCP": connects,
    "socket inet6": makes_socket(socket.AF_INET6, socket.SOCK_STREAM),
    "socket unix": makes_socket(socket.AF_UNIX, socket.SOCK_STREAM),
    "socket netlink": makes_socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "socket alg": makes_socket(AF_ALG, socket.SOCK_SEQPACKET),
    "socket vsock": makes_socket(AF_VSOCK, socket.SOCK_STREAM),
    "socket raw": makes_socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
    "socket packet": makes_socket(socket.AF_PACKET, socket.SOCK_RAW),
    "user namespace": inside(),
    "mount inside": inside("--mount", then=("mount", "-t", "tmpfs", "none", "/tmp")),
    "bind inside": inside("--mount", then=("mount", "--bind", "/usr", "/srv")),
    "/proc inside": inside("--mount", "--pid", "--fork", "--mount-proc"),
    "cgroup inside": inside(
        *("--mount", "--cgroup"), then=("mount", "-t", "cgroup2", "none", "/mnt")
    ),
    "hostname inside": inside("--uts", then=("hostname", "elsewhere")),
    "network inside": inside("--net", then=("ip", "link", "set", "lo", "up")),
    "packets inside": inside("--net", then=(sys.executable, "-c", PACKETS)),
    "setuid program": gains(SETUID, "--user"),
    "setgid program": gains(SETGID, "--group"),
}


def outcome(act: Act) -> str:
    """Perform it here, and return how that went."""
    try:
        act()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    except subprocess.CalledProcessError:
        return "failed"
    return "ok"


def tried(act: Act) -> str:
    """Perform it in a child, so that what it does to a process is gone with it."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writer, outcome(act).encode())
        os._exit(0)
    os.close(writer)
    with open(reader, encoding="ascii") as pipe:  # noqa: PTH123 - a descriptor
        said = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return signal.Signals(-status).name if status < 0 else said


if __name__ == "__main__":
    print(json.dumps({name: tried(ACTS[name]) for name in sys.argv[1:] or ACTS}))
