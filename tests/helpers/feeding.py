"""Feeds bytes to a receiver in every way the network could split them.

Whatever reads the wire here has ``receive_data(data) -> list``. How the bytes were
split in transit must never show in what comes out.
"""

from collections.abc import Callable
from typing import Any, Protocol

from queuectl_protocol.errors import ProtocolError

NEXT_FRAME = bytes.fromhex("00000005")
"""The start of a frame that never comes: it must change nothing before it."""


class Receiver(Protocol):
    """A decoder, or one end of a connection."""

    def receive_data(self, data: bytes) -> list[Any]:
        """Take bytes; return what they complete."""
        ...


def received(new: Callable[[], Receiver], data: bytes) -> list[Any]:
    """Return what ``data`` means: whole, byte by byte, and with trailing data.

    Args:
        new: makes a receiver that has seen nothing.
        data: complete frames, or complete frames and the start of one more.
    """
    whole = new().receive_data(data)
    assert _comparable(_trickle(new(), data)) == _comparable(whole)
    for cut in range(min(len(data), 64)):
        halves = new()
        parts = halves.receive_data(data[:cut]) + halves.receive_data(data[cut:])
        assert _comparable(parts) == _comparable(whole)
    return whole


def received_to_the_end(new: Callable[[], Receiver], data: bytes) -> list[Any]:
    """As ``received``, for data that ends with a frame's end.

    A next frame that begins in the same read must neither show nor disturb.
    """
    whole = received(new, data)
    assert _comparable(new().receive_data(data + NEXT_FRAME)) == _comparable(whole)
    assert _comparable(_trickle(new(), data + NEXT_FRAME)) == _comparable(whole)
    return whole


def refused(new: Callable[[], Receiver], data: bytes) -> ProtocolError:
    """Return the error that ``data`` ends in, the same one however it is split."""
    error = _error_of(lambda: new().receive_data(data))
    for way in (
        lambda: _trickle(new(), data),
        lambda: new().receive_data(data + NEXT_FRAME),
        lambda: _trickle(new(), data + NEXT_FRAME),
    ):
        again = _error_of(way)
        assert (type(again), str(again)) == (type(error), str(error))
    return error


def _trickle(receiver: Receiver, data: bytes) -> list[Any]:
    return [out for byte in data for out in receiver.receive_data(bytes([byte]))]


def _error_of(feed: Callable[[], object]) -> ProtocolError:
    try:
        outcome = feed()
    except ProtocolError as error:
        return error
    raise AssertionError(f"was taken as {outcome!r}")


def _comparable(received: list[Any]) -> list[Any]:
    """Exceptions compare by identity; here their kind and text is what counts."""
    return [
        (type(item), str(item)) if isinstance(item, Exception) else item
        for item in received
    ]
