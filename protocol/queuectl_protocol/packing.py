"""Payloads: the msgpack value inside a frame, checked when it is read.

Strings that name files, commands, arguments or variables are Unix byte strings. Bytes
that are not UTF-8 are sent unchanged inside a msgpack str, and are surrogate escapes in
Python (PEP 383).
"""

from typing import Any, TypeVar

import msgpack

from queuectl_protocol.errors import BadMessageError
from queuectl_protocol.limits import MAX_DEPTH

T = TypeVar("T")

_CONTAINERS = frozenset({list, dict})

_TOO_DEEP = f"lists and maps are nested more than {MAX_DEPTH} deep"

_SMALL = 64 * 1024
"""Bytes of a payload whose lists and maps are not counted: they take 5 MB at most."""


def pack(value: Any) -> bytes:
    """Return ``value`` in msgpack, with the bytes that surrogate escapes stand for."""
    packed: bytes = packer().pack(value)
    return packed


def packer() -> msgpack.Packer:
    """Return a packer that packs as ``pack`` does; it is for one thread only."""
    return msgpack.Packer(unicode_errors="surrogateescape")


def pack_with_bin(value: dict[str, Any], *, unless: tuple[str, ...]) -> bytes:
    """Return a map in msgpack, with each string that is not UTF-8 as bin.

    Args:
        value: the map.
        unless: keys of the map whose values stay strings.
    """
    try:
        # Nearly always no string needs it.
        packed: bytes = msgpack.Packer().pack(value)
    except UnicodeEncodeError:
        kept = {key: value[key] for key in unless if key in value}
        packed = pack(_with_bin(value) | kept)
    return packed


def _with_bin(value: Any) -> Any:
    match value:
        case str():
            try:
                value.encode()
            except UnicodeEncodeError:
                return value.encode("utf-8", "surrogateescape")
            return value
        case dict():
            return {_with_bin(key): _with_bin(item) for key, item in value.items()}
        case list() | tuple():
            return [_with_bin(item) for item in value]
    return value


def unpack(payload: bytes, max_containers: int | None = None) -> Any:
    """Return the one msgpack value in ``payload``.

    Args:
        payload: a frame's.
        max_containers: lists and maps that a large one may hold; None: any number.
            An empty one is a byte on the wire and 72 here, and each that is alive
            costs time whenever Python collects garbage: unlimited, 8 MiB of them
            take 600 MB and 9 seconds.

    Raises:
        BadMessageError: it is not exactly one value, nests too deeply, has a map
            key that is neither a string nor binary, or an extension type other than
            msgpack's own timestamp (which no field takes), or too many containers.
    """
    counting = max_containers is not None and len(payload) > _SMALL
    hook = _Counter(max_containers or 0) if counting else None
    try:
        value = msgpack.unpackb(
            payload,
            unicode_errors="surrogateescape",
            strict_map_key=True,
            ext_hook=_refuse_extension,
            list_hook=hook,
            object_hook=hook,
        )
    except BadMessageError:
        raise
    except (ValueError, msgpack.UnpackException, RecursionError) as error:
        raise BadMessageError(_explanation(error)) from None
    # Each level takes at least a byte, and is a list or a map.
    if len(payload) > MAX_DEPTH and (hook is None or hook.count > MAX_DEPTH):
        _check_depth(value)
    return value


class _Counter:
    """Counts the lists and maps that msgpack reads, and refuses too many."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.count = 0

    def __call__(self, container: T) -> T:
        self.count += 1
        if self.count > self._most:
            raise BadMessageError(f"it holds more than {self._most} lists and maps")
        return container


def _refuse_extension(code: int, _data: bytes) -> Any:
    raise BadMessageError(f"extension type {code} is not used here")


def _explanation(error: Exception) -> str:
    """Return what is wrong with a payload, in the words of PROTOCOL.md.

    The library's own words mean nothing to somebody who uses another library.
    """
    if isinstance(error, msgpack.StackError | RecursionError):
        return _TOO_DEEP
    if isinstance(error, msgpack.ExtraData):
        return "a payload is one msgpack value, and here something follows it"
    if "strict_map_key" in str(error):
        return "keys of maps are strings"
    if "incomplete" in str(error) or isinstance(error, msgpack.OutOfData):
        return "the payload ends before its value does"
    return "the payload is no msgpack"


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for container in level
            if type(container) in _CONTAINERS
            for item in (container.values() if type(container) is dict else container)
            if type(item) in _CONTAINERS
        ]
        if not level:
            return
    raise BadMessageError(_TOO_DEEP)
