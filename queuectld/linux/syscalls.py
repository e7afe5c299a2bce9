"""System calls that Python does not offer, and malloc_trim: all through ctypes."""

import ctypes
import errno
import os
import signal
import struct
from collections.abc import Iterable

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_SIGSET_BYTES = 128  # glibc's and musl's sigset_t
_SYS_KEYCTL = {
    "x86_64": 250, "aarch64": 219, "riscv64": 219, "loongarch64": 219,
    "ppc64le": 271, "s390x": 280, "i686": 288, "armv7l": 311,
}  # fmt: skip
_KEYCTL_JOIN_SESSION_KEYRING = 1  # linux/keyctl.h
_CAPABILITY_VERSION = 0x20080522  # linux/capability.h
_SYS_CLONE3 = 435  # the same number on every architecture
_CLONE_INTO_CGROUP = 0x200000000  # linux/sched.h
_CLONE_ARGS = struct.Struct("=11Q")  # struct clone_args up to cgroup: Linux 5.7


def become_subreaper() -> None:
    """Make this process the parent of orphans among its descendants. See prctl(2).

    A fork does not inherit that; an exec keeps it.

    Raises:
        OSError: the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    ulong = ctypes.c_ulong
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, ulong(1), ulong(0), ulong(0), ulong(0)):
        _raise()


def signal_file(signals: Iterable[int]) -> int:
    """Return a file that can be read when one of these signals is pending.

    The signals must be blocked, or else they are delivered in the usual way. A read
    returns structures of 128 bytes: see signalfd(2). An exec closes the file.

    Raises:
        OSError: the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    mask = ctypes.create_string_buffer(_SIGSET_BYTES)
    libc.sigemptyset(mask)
    for number in signals:
        libc.sigaddset(mask, ctypes.c_int(number))
    # SFD_CLOEXEC and SFD_NONBLOCK have the values of open's flags.
    fd: int = libc.signalfd(-1, mask, os.O_CLOEXEC | os.O_NONBLOCK)
    if fd < 0:
        _raise()
    return fd


def fork_into(cgroup: int) -> int | None:
    """Fork, with the child in a cgroup of version 2 from its first moment on.

    To move it there after the fork takes longer than the fork, and it would run outside
    for a moment. Only for a process with one thread and for a child that soon execs:
    none of Python's hooks for a fork are run.

    Args:
        cgroup: its directory, open.

    Returns:
        The child's pid; 0 in the child; None if the kernel, older than 5.7, cannot do
        it, or a filter of system calls forbids it.

    Raises:
        OSError: the process cannot be made.
    """
    words = (_CLONE_INTO_CGROUP, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, cgroup)
    args = ctypes.create_string_buffer(_CLONE_ARGS.pack(*words), _CLONE_ARGS.size)
    # PyDLL keeps the interpreter's lock, so that the child has it too.
    libc = ctypes.PyDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    size = ctypes.c_size_t(_CLONE_ARGS.size)
    pid: int = libc.syscall(ctypes.c_long(_SYS_CLONE3), args, size)
    if pid < 0:
        # The last two come from a kernel that has the call, but not this flag.
        unknown = {errno.ENOSYS, errno.EPERM, errno.EINVAL, errno.E2BIG}
        if ctypes.get_errno() in unknown:
            return None
        _raise()
    return pid


def leave_session_keyring() -> None:
    """Replace the session keyring by a new, empty one: keyrings(7), keyctl(2).

    Does nothing if the kernel has no keyrings or a filter forbids the call.

    Raises:
        OSError: the kernel refuses, for example beyond the account's quota of keys.
    """
    number = _SYS_KEYCTL.get(os.uname().machine)
    if number is None:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    join = ctypes.c_long(_KEYCTL_JOIN_SESSION_KEYRING)
    done = libc.syscall(ctypes.c_long(number), join, ctypes.c_void_p(None))
    if done < 0 and ctypes.get_errno() not in {errno.ENOSYS, errno.EPERM}:
        _raise()


def drop_capabilities() -> None:
    """Give up all capabilities, the inheritable ones too: capset(2).

    Raises:
        OSError: the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITY_VERSION, 0))
    if libc.capset(header, ctypes.create_string_buffer(24)):
        _raise()


def trim_memory() -> None:
    """Return freed memory that the allocator keeps to the kernel. Only glibc can.

    After a program's imports that is about half a megabyte.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(ctypes.c_size_t(0))


def _raise() -> None:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number))
