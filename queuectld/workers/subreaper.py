"""What Python has no name for: PR_SET_CHILD_SUBREAPER, signalfd, malloc_trim.

Called once each when a process starts; nothing else in queuectld uses ctypes.
"""

import ctypes
import os
from collections.abc import Iterable

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_SIGSET_BYTES = 128  # glibc's and musl's sigset_t


def become() -> None:
    """Make this process the one that orphans below it are given to. See prctl(2).

    Not inherited across a fork, kept across an exec.

    Raises:
        OSError: the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    ulong = ctypes.c_ulong
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, ulong(1), ulong(0), ulong(0), ulong(0)):
        _raise()


def signal_file(signals: Iterable[int]) -> int:
    """Return a file that can be read when one of these signals is pending.

    They must be blocked, or they are delivered in the usual way instead. What is read
    are structures of 128 bytes: see signalfd(2). The file does not survive an exec.

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


def trim_memory() -> None:
    """Give the kernel back what the allocator keeps of freed memory.

    After the imports that is half a megabyte in every worker. Only glibc can.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(ctypes.c_size_t(0))


def _raise() -> None:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number))
