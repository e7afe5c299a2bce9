"""Files that are written whole or not at all, and recognized by their first line.

Knows nothing of units.
"""

import errno
import os
import re
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

MARK = (
    '# Written by "queuectl systemd install" ({digest}), '
    "which replaces it unless it was changed."
)
"""The first line. Systemd and people read it as a comment."""

DIGEST_LENGTH = 16
"""Hexadecimal digits: enough to detect an edit; they protect from no attacker."""

MARKED = re.compile(re.escape(MARK).replace(r"\{digest\}", "([0-9a-f]+)").encode())

MODE = 0o644


class Origin(StrEnum):
    """Who wrote a file; the value completes a sentence that begins with its path."""

    ABSENT = "is not there"
    OURS = "is as queuectl wrote it"
    CHANGED = "was changed since queuectl wrote it"
    FOREIGN = "was not written by queuectl"


@dataclass(frozen=True, slots=True)
class Existing:
    """What is at a path now.

    Attributes:
        origin: who wrote it.
        content: all of it, if it is a regular file.
    """

    origin: Origin
    content: bytes = b""


def marked(text: str) -> bytes:
    """Return the content of a file: a line that marks it, and the text."""
    content = text.encode()
    return MARK.format(digest=_digest(content)).encode() + b"\n" + content


def examine(path: Path) -> Existing:
    """Tell who wrote the file at a path. A link, as of ``systemctl mask``, is foreign.

    Raises:
        OSError: it cannot be read.
    """
    try:
        # Without O_NONBLOCK, opening a FIFO would block.
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return Existing(Origin.ABSENT)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:  # a link; a socket
            return Existing(Origin.FOREIGN)
        raise
    with open(fd, "rb") as file:  # noqa: PTH123 - a descriptor
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return Existing(Origin.FOREIGN)
        content = file.read()
    return Existing(_origin(content), content)


def write(path: Path, content: bytes, *, directory_mode: int) -> None:
    """Write a file whole or not at all, and make the directories that it needs.

    Args:
        path: of the file.
        content: all of it.
        directory_mode: of the directories that are made, whatever the umask is.

    Raises:
        OSError: it is not written, and what was there before is unchanged.
    """
    _make(path.parent, directory_mode)
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(fd, "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(content)
            file.flush()
            os.fchmod(fd, MODE)
            os.fsync(fd)
        Path(temporary).replace(path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108 - mkstemp's string
        raise
    _sync(path.parent)


def remove(path: Path) -> None:
    """Remove a file durably.

    Raises:
        OSError: it could not be removed.
    """
    path.unlink()
    _sync(path.parent)


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()[:DIGEST_LENGTH]


def _origin(content: bytes) -> Origin:
    first, _, rest = content.partition(b"\n")
    if not (mark := MARKED.fullmatch(first)):
        return Origin.FOREIGN
    same = mark[1].decode() == _digest(rest)
    return Origin.OURS if same else Origin.CHANGED


def _make(directory: Path, mode: int) -> None:
    if directory.is_dir():
        return
    _make(directory.parent, mode)
    directory.mkdir()
    directory.chmod(mode)


def _sync(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
