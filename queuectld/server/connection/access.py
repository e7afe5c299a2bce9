"""Who is at the other end of a connection, and what they may do.

Both are settled when a connection is made. The kernel remembers the credentials that
the other process had at that moment, whatever becomes of it, and is the only one asked:

- SO_PEERCRED tells pid, uid and gid (unix(7)).
- SO_PEERGROUPS tells the supplementary groups. Those of the account (getgrouplist) are
  another thing: a process may have given them up, or not have them yet; a uid need not
  have an account; and to look one up can take a directory server's time. With the
  process's own groups, a role is given by the same groups as access to the socket's
  file. So whoever was added to a group has to log in again, as for any file.
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
"""Groups to make room for at first: more than most have, of up to 65,536."""

_GID = array("I")


@dataclass(frozen=True, slots=True)
class Credentials:
    """A process as it was when it connected.

    Attributes:
        pid: 0 if it cannot be seen from here, as from another container.
        groups: its gid, then its supplementary groups.
    """

    pid: int
    uid: int
    groups: tuple[int, ...]


def credentials(connection: socket.socket) -> Credentials:
    """Return who connected.

    Raises:
        OSError: the kernel does not tell.
    """
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    pid, uid, gid = _UCRED.unpack(data)
    return Credentials(pid, uid, (gid, *_groups(connection.fileno())))


def role(client: Credentials, roles: Roles, *, owner: int) -> Role | None:
    """Return what a client may do; None: nothing, not even connect.

    Args:
        client: who it is.
        roles: those of the configuration.
        owner: the uid that the daemon runs as: admin without being named. So is
            root, who can become that user anyway; to refuse him would keep nothing
            from him but ``sudo queuectl doctor``. A daemon whose jobs run as their
            submitters is root itself, so that root alone is admin then.
    """
    if client.uid in {owner, 0}:
        return Role.ADMIN
    return roles.of(client.uid, client.groups)


def _groups(fd: int) -> list[int]:
    # Not socket.getsockopt, whose buffer ends at 1,024 bytes: 256 groups.
    size = ctypes.c_uint(_GROUPS * _GID.itemsize)
    while True:
        buffer = ctypes.create_string_buffer(size.value)
        if not _libc.getsockopt(
            fd, socket.SOL_SOCKET, _SO_PEERGROUPS, buffer, ctypes.byref(size)
        ):
            return array("I", buffer.raw[: size.value]).tolist()
        # When there is not room enough, the kernel says how much it takes.
        if (error := ctypes.get_errno()) != errno.ERANGE:
            raise OSError(error, os.strerror(error))
