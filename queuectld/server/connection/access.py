"""Who the client of a connection is, and which role it has.

Both are decided when the connection is made. The kernel keeps the credentials that the
client's process had at that moment, and only the kernel is asked:

- SO_PEERCRED tells pid, uid and gid (unix(7)).
- SO_PEERGROUPS tells the supplementary groups. Those of the account (getgrouplist) may
  differ: a process may have dropped them, or not have them yet; a uid need not have an
  account; and a look-up may wait for a directory service. With the process's own
  groups, the same groups decide about the role and about access to the socket's file.
  So a user who was added to a group has to log in again, as for any file.
"""

import ctypes
import errno
import os
import socket
import struct
from array import array
from dataclasses import dataclass

from queuectl_protocol.vocabulary import Role
from queuectld.config import Roles

_libc = ctypes.CDLL(None, use_errno=True)

_UCRED = struct.Struct("iII")  # pid, uid, gid: struct ucred, see unix(7)
_SO_PEERGROUPS = 59  # asm-generic/socket.h, Linux 4.13; Python has no name for it
_GROUPS = 32
"""Groups for which there is room in the first buffer; a process may have 65,536."""

_GID = array("I")


@dataclass(frozen=True, slots=True)
class Credentials:
    """A process as it was when it connected.

    Attributes:
        pid: 0 if it is not visible here, as one of another container.
        groups: its gid, then its supplementary groups.
    """

    pid: int
    uid: int
    groups: tuple[int, ...]


def credentials(connection: socket.socket) -> Credentials:
    """Return who connected.

    Raises:
        OSError: the kernel does not tell it.
    """
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    pid, uid, gid = _UCRED.unpack(data)
    return Credentials(pid, uid, (gid, *_groups(connection.fileno())))


def role(client: Credentials, roles: Roles, *, owner: int) -> Role | None:
    """Return the client's role; None: it may not even connect.

    Args:
        client: who it is.
        roles: those of the configuration.
        owner: the uid that the daemon runs as. It is admin without being named. So is
            root, who can become that user anyway. A daemon whose jobs run as their
            submitters is root itself, so that root alone is admin then.
    """
    if client.uid in {owner, 0}:
        return Role.ADMIN
    return roles.of(client.uid, client.groups)


def _groups(fd: int) -> list[int]:
    # Not socket.getsockopt: its buffer has at most 1,024 bytes, for 256 groups.
    size = ctypes.c_uint(_GROUPS * _GID.itemsize)
    while True:
        buffer = ctypes.create_string_buffer(size.value)
        if not _libc.getsockopt(
            fd, socket.SOL_SOCKET, _SO_PEERGROUPS, buffer, ctypes.byref(size)
        ):
            return array("I", buffer.raw[: size.value]).tolist()
        # If the buffer is too small, the kernel tells the size that it needs.
        if (error := ctypes.get_errno()) != errno.ERANGE:
            raise OSError(error, os.strerror(error))
