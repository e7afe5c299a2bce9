"""The log in systemd's journal, by its native protocol: an entry with a field each.

https://systemd.io/JOURNAL_NATIVE_PROTOCOL/ is where the form comes from. Whoever logs
is never held up: a journal that is not there, refuses or is behind gets the line on
stderr, as before, and what does not fit there either is counted.
"""

import errno
import fcntl
import logging
import os
import re
import select
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from queuectld.host import logs

SOCKET = Path("/run/systemd/journal/socket")

TRIES = 3
"""How often an entry is offered to a journal whose queue is full."""

WAIT = 0.005
"""Seconds between two tries. Once they were in vain, entries are offered once only,
until one is taken: a journal that hangs costs the event loop this much once."""

SEND_BUFFER = 8 * 1024 * 1024
"""Bytes, as sd_journal_send(3) asks for; the kernel grants what it likes."""

NAME_MAX = 64
"""Characters of a field's name: journald drops fields with longer ones."""

LIST_MAX = 100
"""Values of a list that get a field each: journald refuses entries of 1024 fields. The
line has them all."""

_TOO_LARGE = {errno.EMSGSIZE, errno.ENOBUFS}
_SEALS = (
    fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
)
_FOREIGN = re.compile(r"[^A-Z0-9_]")
_RESERVED = frozenset(
    {"MESSAGE", "MESSAGE_ID", "PRIORITY", "SYSLOG_IDENTIFIER", "LOGGER", "EVENT"}
    | {"UNIT", "USER_UNIT"}  # by them systemctl status finds a unit's entries
)

Field = tuple[str, str]
"""A name, and a value that may have more than one line."""


class Journal:
    """A connection to the journal, made when it is needed. Nothing here waits long."""

    def __init__(self, path: Path = SOCKET) -> None:
        self._path = str(path)
        self._socket: socket.socket | None = None
        self._behind = False  # it did not take the last entry in time

    def send(self, fields: Iterable[Field]) -> bool:
        """Send an entry; return whether the journal took it."""
        message = encode(fields)
        # An old connection leads nowhere once journald's socket is made anew.
        return self._try(message) or (not self._behind and self._try(message))

    def close(self) -> None:
        """Close the connection; the next entry makes another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _try(self, message: bytes) -> bool:
        try:
            return self._send(message)
        except OSError:
            self.close()
            self._behind = False
            return False

    def _send(self, message: bytes) -> bool:
        sender = self._connected()
        try:
            return self._offer(sender, lambda: sender.send(message))
        except OSError as error:
            if error.errno not in _TOO_LARGE:
                raise
        with _sealed(message) as file:
            return self._offer(sender, lambda: socket.send_fds(sender, [b""], [file]))

    def _offer(self, sender: socket.socket, send: Callable[[], object]) -> bool:
        for _ in range(1 if self._behind else TRIES):
            try:
                send()
            except BlockingIOError:
                if self._behind or not _writable(sender, WAIT):
                    break
            else:
                self._behind = False
                return True
        self._behind = True
        return False

    def _connected(self) -> socket.socket:
        if self._socket is None:
            made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                made.setblocking(False)
                made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
                made.connect(self._path)
            except OSError:
                made.close()
                raise
            self._socket = made
        return self._socket


class JournalHandler(logging.StreamHandler[TextIO]):
    """Sends records to the journal; to stderr, with their priority, what it refuses.

    Records in JSON go to stderr always: who asks for JSON reads the line.
    """

    def __init__(self, path: Path = SOCKET) -> None:
        super().__init__()
        self._journal = Journal(path)
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Deliver a record, or count it as lost; wait for nobody, raise nothing."""
        try:
            if self._lost and self._deliver(_losses(self._lost)):
                self._lost = 0
            if not self._deliver(record):
                self._lost += 1
        except Exception:  # noqa: BLE001 - a log must not end who logs
            self.handleError(record)

    def close(self) -> None:
        """Close the connection to the journal."""
        self._journal.close()
        super().close()

    def _deliver(self, record: logging.LogRecord) -> bool:
        as_line = isinstance(self.formatter, logs.JsonFormatter)
        if not as_line and self._journal.send(entry(record)):
            return True
        if not _writable(self.stream, 0):
            return False
        super().emit(record)
        return True


def entry(record: logging.LogRecord) -> list[Field]:
    """Return a record's fields: the line, the frame, and each field of the event.

    What is None has no field. A list has its field once for each value, so that each
    of them is found.
    """
    event, fields = logs.parts(record)
    return [
        ("MESSAGE", logs.TextFormatter(journal=True).line(record, event, fields)),
        ("PRIORITY", str(logs.priority(record.levelno))),
        ("SYSLOG_IDENTIFIER", logs.NAME),
        ("LOGGER", _text(record.name)),
        ("EVENT", _text(event)),
        *(
            (field_name(key), _text(part))
            for key, value in fields.items()
            for part in _values(logs.plain(value))
        ),
    ]


def encode(fields: Iterable[Field]) -> bytes:
    """Return an entry as the native protocol has it.

    A value of more than one line comes after its length: 64 bits, little-endian.
    """
    message = bytearray()
    for name, value in fields:
        raw = value.encode()
        if b"\n" in raw:
            message += name.encode() + b"\n" + len(raw).to_bytes(8, "little")
        else:
            message += name.encode() + b"="
        message += raw + b"\n"
    return bytes(message)


def field_name(key: str) -> str:
    """Return the name of a field in the journal: upper case, and none it refuses.

    A name of the frame's own gets an underscore at its end, as in JSON.
    """
    name = _FOREIGN.sub("_", key.upper()).lstrip("_")
    if not name or name[0].isdigit():
        name = f"FIELD_{name}"
    return f"{name}_" if name in _RESERVED else name[:NAME_MAX]


def _values(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value[:LIST_MAX]
    return [] if value is None else [value]


def _text(value: Any) -> str:
    """Return a value as it is searched for: not quoted, but for no terminal to obey."""
    if isinstance(value, str):
        return logs.visible(value, keep="\n\t")
    return logs.word(value)


def _losses(count: int) -> logging.LogRecord:
    return logging.makeLogRecord(
        {
            "name": f"{logs.NAME}.journal",
            "levelno": logging.WARNING,
            "levelname": "WARNING",
            "msg": "records_lost",
            "fields": {"count": count},
        }
    )


@contextmanager
def _sealed(message: bytes) -> Iterator[int]:
    """Give a file in memory that nobody can change: journald reads no other."""
    file = os.memfd_create(logs.NAME, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        left = memoryview(message)
        while left:
            left = left[os.write(file, left) :]
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, _SEALS)
        yield file
    finally:
        os.close(file)


def _writable(stream: socket.socket | TextIO, seconds: float) -> bool:
    """Return whether a write would not wait, or fail at once, within so long."""
    poll = select.poll()
    try:
        poll.register(stream, select.POLLOUT)
    except (OSError, ValueError):
        return True  # it is no file, or closed: nothing to wait for
    return bool(poll.poll(seconds * 1000))
