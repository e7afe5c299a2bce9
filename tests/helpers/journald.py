"""A stand-in for journald."""

import fcntl
import os
import select
import socket
from pathlib import Path

from queuectld.host import journal

ENOUGH = 1024 * 1024
"""Bytes of the largest datagram that a test receives."""


class StandIn:
    """What stands for journald: a datagram socket that is read on demand."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.listen()

    def listen(self) -> None:
        """Take messages, on a socket made anew."""
        self.path.unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind(str(self.path))

    def receive(self) -> dict[str, list[str]]:
        """Return the next entry, which must be there; its file must be sealed."""
        data, files, _, _ = socket.recv_fds(self.socket, ENOUGH, 1)
        if not files:
            return decode(data)
        (file,) = files
        assert data == b""  # what does not fit in a datagram
        assert fcntl.fcntl(file, fcntl.F_GET_SEALS) == journal._SEALS
        with os.fdopen(file, "rb") as whole:
            whole.seek(0)
            return decode(whole.read())

    def waiting(self) -> bool:
        """Whether there is an entry to receive."""
        return bool(select.select([self.socket], [], [], 0)[0])

    def drain(self) -> list[dict[str, list[str]]]:
        """Return all entries that are there."""
        entries = []
        while self.waiting():
            entries.append(self.receive())
        return entries


def decode(data: bytes) -> dict[str, list[str]]:
    """Read an entry as journald does: by the lengths, and else line by line."""
    fields: dict[str, list[str]] = {}
    while data:
        line, _, data = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            size = int.from_bytes(data[:8], "little")
            value, data = data[8 : 8 + size], data[8 + size :]
            assert data[:1] == b"\n"
            data = data[1:]
        fields.setdefault(name.decode(), []).append(value.decode())
    return fields
