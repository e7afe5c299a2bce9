"""Frames: a length, then that many bytes, whatever they mean.

The length is an unsigned 32-bit big-endian number. It is checked before the frame's
bytes are kept, so a peer can make this side hold at most one frame.
"""

import struct

from queuectl_protocol.errors import FrameTooLargeError
from queuectl_protocol.limits import MAX_FRAME

HEADER = struct.Struct(">I")


def encode_frame(payload: bytes) -> bytes:
    """Return ``payload`` with its length before it."""
    return HEADER.pack(len(payload)) + payload


class FrameDecoder:
    """Divides a stream of bytes, which arrives in pieces of any size, into frames."""

    def __init__(self, max_frame: int = MAX_FRAME) -> None:
        self._max_frame = max_frame
        self._buffer = bytearray()

    def receive_data(self, data: bytes) -> list[bytes]:
        """Take bytes from the peer; return the payloads that are complete, in order.

        Raises:
            FrameTooLargeError: a frame announces more than ``max_frame`` bytes.
                Frames before it in the same data are lost with the connection.
        """
        buffer = self._buffer
        buffer += data
        frames: list[bytes] = []
        start = 0
        while len(buffer) - start >= HEADER.size:
            (length,) = HEADER.unpack_from(buffer, start)
            if length > self._max_frame:
                raise FrameTooLargeError(length, self._max_frame)
            end = start + HEADER.size + length
            if len(buffer) < end:
                break
            frames.append(bytes(buffer[start + HEADER.size : end]))
            start = end
        if start:
            del buffer[:start]
        return frames

    @property
    def pending(self) -> int:
        """The number of bytes held of a frame that is not complete yet."""
        return len(self._buffer)
