"""What a disk may hold after the power failed: rebuilt from writes and syncs.

The promise of a disk is taken at its word and no further. What was synced is there.
Of what was written since, any part is: each sector by itself, old, new, or, where the
file grew, whatever was there before. Names that were made, changed or removed in a
directory that was not synced since may have been so, or not.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from helpers.traced import (
    Created,
    Event,
    Removed,
    Renamed,
    Resized,
    Sent,
    Synced,
    Written,
)

SECTOR = 512
"""Bytes that a disk writes whole or not at all."""


class Loss(StrEnum):
    """What becomes of what was not synced."""

    ALL = "all of it is lost"
    NONE = "nothing is lost"
    TAIL = "what came last is lost"
    TORN = "what came last is lost, and the write before is torn"
    SECTORS = "some sectors are lost"
    GARBAGE = "some sectors are lost, and new ones hold garbage"


Files = dict[str, bytes]


@dataclass(slots=True)
class _Node:
    """A file: what is sure of it, and what was done to it since."""

    directory: bool
    durable: bytes = b""
    size: int = 0
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)

    def sync(self) -> None:
        self.durable = _content(self, lambda _op, _sector: True)
        self.pending.clear()


@dataclass(frozen=True, slots=True)
class _Name:
    """A change of names in a directory; ``node`` None: the name is gone."""

    path: str
    node: _Node | None
    instead_of: str | None = None


class Disk:
    """A disk on which things happen, and what would be left of them at any moment."""

    def __init__(self, root: str) -> None:
        """Begin with an empty place.

        Args:
            root: the directory that is there already, durably.
        """
        self._root = root
        self._names: dict[str, _Node] = {root: _Node(directory=True)}
        self._durable: dict[str, _Node] = dict(self._names)
        self._changes: list[_Name] = []

    @property
    def unsynced(self) -> int:
        """How many things a power cut may undo now."""
        nodes = {id(node): node for node in self._names.values()}.values()
        return len(self._changes) + sum(len(node.pending) for node in nodes)

    def apply(self, event: Event) -> None:
        """Let something happen."""
        match event:
            case Created(path, directory):
                if path not in self._names:
                    self._change(_Name(path, _Node(directory)))
            case Written(path, offset, data):
                if (node := self._names.get(path)) is not None:
                    at = node.size if offset is None else offset
                    node.pending.append((at, data))
                    node.size = max(node.size, at + len(data))
            case Resized(path, size):
                node = self._names[path]
                node.pending.append((size, None))
                node.size = size
            case Synced(path):
                self._sync(path)
            case Renamed(path, to):
                self._change(_Name(to, self._names[path], instead_of=path))
            case Removed(path):
                self._change(_Name(path, None))
            case Sent():
                pass

    def crash(self, loss: Loss, rng: random.Random) -> Files:
        """Return the files that are found after a power cut now."""
        names = dict(self._durable)
        for change in self._kept_changes(loss, rng):
            # What is renamed may never have got its first name.
            if change.instead_of is None or change.instead_of in names:
                _make(names, change)
        return {
            path: _after(node, loss, rng)
            for path, node in names.items()
            if not node.directory and self._reachable(path, names)
        }

    def _reachable(self, path: str, names: dict[str, _Node]) -> bool:
        parent = path.rpartition("/")[0]
        return path == self._root or (
            parent in names and self._reachable(parent, names)
        )

    def _change(self, change: _Name) -> None:
        self._changes.append(change)
        _make(self._names, change)

    def _sync(self, path: str) -> None:
        node = self._names.get(path)
        if node is None:
            return  # it was deleted, and its bytes are nobody's
        if not node.directory:
            node.sync()
            return
        for change in self._changes:
            if _parent(change) == path:
                _make(self._durable, change)
        self._changes = [each for each in self._changes if _parent(each) != path]

    def _kept_changes(self, loss: Loss, rng: random.Random) -> list[_Name]:
        match loss:
            case Loss.ALL:
                return []
            case Loss.NONE:
                return self._changes
            case Loss.TAIL | Loss.TORN:
                return self._changes[: rng.randint(0, len(self._changes))]
            case _:
                return [each for each in self._changes if rng.random() < 0.5]


def _parent(change: _Name) -> str:
    return change.path.rpartition("/")[0]


def _make(names: dict[str, _Node], change: _Name) -> None:
    if change.instead_of is not None:
        names.pop(change.instead_of, None)
    if change.node is None:
        names.pop(change.path, None)
    else:
        names[change.path] = change.node


Keep = Callable[[int, int], bool]
"""Whether a sector of a pending operation got onto the disk."""


def _after(node: _Node, loss: Loss, rng: random.Random) -> bytes:
    if not node.pending:
        return node.durable
    last = rng.randint(0, len(node.pending) - 1)
    torn = rng.randint(0, 8)
    early = rng.random() < 0.5
    odds = rng.choice([0.1, 0.5, 0.9])
    match loss:
        case Loss.ALL:
            return node.durable
        case Loss.NONE:
            return _content(node, lambda _op, _sector: True)
        case Loss.TAIL:
            return _content(node, lambda op, _sector: op < last)
        case Loss.TORN:
            return _content(
                node,
                lambda op, sector: (
                    op < last or (op == last and (sector < torn) is early)
                ),
            )
        case Loss.SECTORS:
            return _content(node, lambda _op, _sector: rng.random() < odds)
        case Loss.GARBAGE:
            return _content(node, lambda _op, _sector: rng.random() < odds, rng)


def _content(node: _Node, keep: Keep, garbage: random.Random | None = None) -> bytes:
    content = bytearray(node.durable)
    for op, (at, data) in enumerate(node.pending):
        if data is None:
            if keep(op, 0):
                _resize(content, at)
            continue
        for sector, (begin, piece) in enumerate(_sectors(at, data)):
            if not keep(op, sector):
                if garbage is None or begin < len(node.durable):
                    continue
                piece = garbage.randbytes(len(piece))  # noqa: PLW2901
            if len(content) < begin:
                _resize(content, begin)
            content[begin : begin + len(piece)] = piece
    return bytes(content)


def _resize(content: bytearray, size: int) -> None:
    del content[size:]
    content.extend(bytes(size - len(content)))


def _sectors(at: int, data: bytes) -> Iterator[tuple[int, bytes]]:
    begin = 0
    while begin < len(data):
        end = min(len(data), begin + SECTOR - (at + begin) % SECTOR)
        yield at + begin, data[begin:end]
        begin = end
