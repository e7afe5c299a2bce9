"""What this process may do: each act is tried, in a process of its own.

A program, which needs nothing but Python: ``probe.py [ACT]...`` tries these, or all,
and writes a JSON object: of each act ``"ok"``, or the name of the error. To compare an
ordinary account with a job of the same account, both run it.
"""

import ctypes
import errno
import json
import mmap
import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)

NUMBERS = {
    "x86_64": {"adjtimex": 159, "modify_ldt": 154, "personality": 135, "sysfs": 139},
    "aarch64": {"adjtimex": 171, "personality": 92},
}
"""System calls without a function in C, by machine: asm/unistd.h."""

AF_ALG, AF_VSOCK = 38, 40
SCHED_RESET_ON_FORK = 0x40000000
ADDR_NO_RANDOMIZE = 0x0040000


def _call(name: str, *arguments: object) -> int:
    number = NUMBERS.get(platform.machine(), {}).get(name)
    if number is None:
        raise OSError(errno.ENOSYS, name)
    return _checked(LIBC.syscall(number, *arguments))


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), "")
    return result


def _run(*argv: str) -> str:
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise OSError(errno.EIO, f"{argv[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


# -- files ------------------------------------------------------------------------------


def _writes(directory: str) -> Callable[[], None]:
    def act() -> None:
        with tempfile.TemporaryFile(dir=directory) as file:
            file.write(b"x")

    return act


def _mode(mode: int) -> Callable[[], None]:
    def act() -> None:
        with tempfile.NamedTemporaryFile(dir="/tmp") as file:
            Path(file.name).chmod(mode)

    return act


def _lists(directory: str) -> Callable[[], None]:
    def act() -> None:
        os.listdir(directory)

    return act


def _opens(path: str) -> Callable[[], None]:
    def act() -> None:
        os.close(os.open(path, os.O_RDONLY))

    return act


# -- memory, processes ------------------------------------------------------------------


def _writable_code() -> None:
    """As a compiler at run time does, and on the same page."""
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def _code_made_executable() -> None:
    """As a more careful one: written first, then executable."""
    LIBC.mmap.restype = ctypes.c_void_p
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    both = mmap.PROT_READ | mmap.PROT_WRITE
    page = LIBC.mmap(None, ctypes.c_size_t(4096), both, flags, -1, 0)
    executable = mmap.PROT_READ | mmap.PROT_EXEC
    _checked(LIBC.mprotect(ctypes.c_void_p(page), 4096, executable))


def _call_of_another_architecture() -> None:
    """``getpid`` of i386, as a 32-bit program calls it."""
    if platform.machine() != "x86_64":
        raise OSError(errno.ENOSYS, "")
    code = b"\xb8\x14\x00\x00\x00\xcd\x80\xc3"  # mov eax, 20; int 0x80; ret
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    if ctypes.CFUNCTYPE(ctypes.c_int)(address)() != os.getpid():
        raise OSError(errno.ENOSYS, "")


def _forks() -> None:
    _run("true")


def _traces() -> None:
    ptrace_traceme = 0
    _checked(LIBC.ptrace(ptrace_traceme, 0, 0, 0))


def _schedules(policy: int, priority: int = 0) -> Callable[[], None]:
    def act() -> None:
        os.sched_setscheduler(0, policy, os.sched_param(priority))

    return act


def _unrandomised() -> None:
    _call("personality", ADDR_NO_RANDOMIZE)


def _queue_of_messages() -> None:
    ipc_private, ipc_rmid = 0, 0
    identity = _checked(LIBC.msgget(ipc_private, 0o1600))
    LIBC.msgctl(identity, ipc_rmid, None)


# -- old and odd system calls -----------------------------------------------------------


def _reads_clock() -> None:
    _call("adjtimex", ctypes.create_string_buffer(1024))  # modes = 0: only tell me


def _reads_ldt() -> None:
    _call("modify_ldt", 0, ctypes.create_string_buffer(64), ctypes.c_ulong(64))


def _counts_file_systems() -> None:
    _call("sysfs", 3)


# -- sockets, namespaces ----------------------------------------------------------------


def _socket(*which: int) -> Callable[[], None]:
    def act() -> None:
        socket.socket(*which).close()

    return act


def _connects() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()


def _in(*namespaces: str, then: str = "true") -> Callable[[], None]:
    def act() -> None:
        _run("unshare", "--user", "--map-root-user", *namespaces, "sh", "-c", then)

    return act


def _packets_in() -> None:
    code = "import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)"
    _run("unshare", "--map-root-user", "--net", sys.executable, "-c", code)


# -- programs that give privileges ------------------------------------------------------


def _gains(program: str) -> Callable[[], None]:
    """A copy of ``id`` that root has made setuid or setgid."""

    def act() -> None:
        option = "--user" if "uid" in program else "--group"
        if _run(program, option) != "0":
            raise OSError(errno.EPERM, program)

    return act


SETUID, SETGID = "/srv/setuid-id", "/srv/setgid-id"

ACTS: dict[str, Callable[[], None]] = {
    "write /tmp": _writes("/tmp"),
    "write /var/tmp": _writes("/var/tmp"),
    "write /dev/shm": _writes("/dev/shm"),
    "write /srv/shared": _writes("/srv/shared"),
    "write /home/shared": _writes("/home/shared"),
    "write /usr/local/shared": _writes("/usr/local/shared"),
    "list /home": _lists("/home"),
    "list /usr/lib/modules": _lists("/usr/lib/modules"),
    "open /proc/1/status": _opens("/proc/1/status"),
    "open /proc/meminfo": _opens("/proc/meminfo"),
    "open /dev/probe": _opens("/dev/probe"),
    "make setuid": _mode(0o4755),
    "make setgid": _mode(0o2755),
    "map W+X": _writable_code,
    "make code executable": _code_made_executable,
    "32-bit call": _call_of_another_architecture,
    "fork": _forks,
    "trace": _traces,
    "be nice": lambda: os.nice(5) and None,
    "batch": _schedules(os.SCHED_BATCH),
    "reset on fork": _schedules(os.SCHED_OTHER | SCHED_RESET_ON_FORK),
    "real time": _schedules(os.SCHED_FIFO, 1),
    "personality": _unrandomised,
    "message queue": _queue_of_messages,
    "adjtimex": _reads_clock,
    "modify_ldt": _reads_ldt,
    "sysfs call": _counts_file_systems,
    "connect TCP": _connects,
    "socket inet6": _socket(socket.AF_INET6, socket.SOCK_STREAM),
    "socket unix": _socket(socket.AF_UNIX, socket.SOCK_STREAM),
    "socket netlink": _socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "socket alg": _socket(AF_ALG, socket.SOCK_SEQPACKET),
    "socket vsock": _socket(AF_VSOCK, socket.SOCK_STREAM),
    "socket raw": _socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
    "socket packet": _socket(socket.AF_PACKET, socket.SOCK_RAW),
    "user namespace": _in(),
    "mount in a namespace": _in("--mount", then="mount -t tmpfs none /tmp"),
    "bind in a namespace": _in("--mount", then="mount --bind /usr /srv"),
    "proc in a namespace": _in("--mount", "--pid", "--fork", "--mount-proc"),
    "sys in a namespace": _in(
        *("--mount", "--net"), then="mount -t sysfs sysfs /sys"
    ),
    "cgroup in a namespace": _in(
        *("--mount", "--cgroup"), then="mount -t cgroup2 none /mnt"
    ),
    "hostname in a namespace": _in("--uts", then="hostname elsewhere"),
    "network in a namespace": _in("--net", then="ip link set lo up"),
    "packets in a namespace": _packets_in,
    "setuid": _gains(SETUID),
    "setgid": _gains(SETGID),
}


def tried(act: Callable[[], None]) -> str:
    """Try it in a child, so that what it does to a process is gone with it."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            act()
            said = "ok"
        except OSError as error:
            said = errno.errorcode.get(error.errno or 0, "?")
            if error.errno == errno.EIO:
                said = str(error.strerror)
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        said = pipe.read().decode()
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    return said


if __name__ == "__main__":
    print(json.dumps({name: tried(ACTS[name]) for name in sys.argv[1:] or ACTS}))
