"""The log in systemd's journal, by its native protocol: each field is searchable.

The format: https://systemd.io/JOURNAL_NATIVE_PROTOCOL/. Logging never blocks for long:
if the journal is missing, refuses an entry or is behind, the line goes to stderr; lines
that stderr does not take either are counted as lost.
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
"""Seconds between two tries. After they failed, each entry is offered only once until
one is taken: a journal that hangs delays the event loop by this much only once."""

SEND_BUFFER = 8 * 1024 * 1024
"""Bytes, as sd_journal_send(3) asks for; the kernel may grant fewer."""

NAME_MAX = 64
"""Characters of a field's name: journald drops fields with longer ones."""

LIST_MAX = 100
"""Values of a list that become fields: journald refuses entries with 1024 fields. The
line has all values."""

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
    """A connection to the journal, made when it is needed. No call blocks for long."""

    def __init__(self, path: Path = SOCKET) -> None:
        self._path = str(path)
        self._socket: socket.socket | None = None
        self._behind = False  # it did not take the last entry in time

    def send(self, fields: Iterable[Field]) -> bool:
        """Send an entry; return whether the journal took it."""
        message = encode(fields)
        # When journald's socket was made again, the old connection leads nowhere.
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
    """Sends records to the journal, or to stderr, with their priority, if it refuses.

    Records in JSON always go to stderr: whoever configures JSON reads the line.
    """

    def __init__(self, path: Path = SOCKET) -> None:
        super().__init__()
        self._journal = Journal(path)
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Deliver a record, or count it as lost; do not block, raise nothing."""
        try:
            if self._lost and self._deliver(_losses(self._lost)):
                self._lost = 0
            if not self._deliver(record):
                self._lost += 1
        except Exception:  # noqa: BLE001 - logging must not fail its caller
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

    None has no field. A list has its field once for each value, so that a search finds
    each value.
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
    """Return an entry in the format of the native protocol.

    A value of several lines follows its length: 64 bits, little-endian.
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
    """Return the name of a field in the journal: upper case, and one it accepts.

    A reserved name gets an underscore at its end, as in JSON.
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
    """Return a value without quotes and without control characters."""
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
    """Give a file in memory that cannot be changed: journald reads no other."""
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
    """Return whether, within that time, a write would not block."""
    poll = select.poll()
    try:
        poll.register(stream, select.POLLOUT)
    except (OSError, ValueError):
        return True  # not a file, or closed: a write fails or returns at once
    return bool(poll.poll(seconds * 1000))
