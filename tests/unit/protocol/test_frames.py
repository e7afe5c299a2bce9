"""Frames: every vector, however the network split it."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import feeding, vectors
from queuectl_protocol.errors import FrameTooLargeError
from queuectl_protocol.frames import FrameDecoder, encode_frame

ALL = vectors.load("frames")
GOOD = [vector for vector in ALL if "error" not in vector]
TOO_LARGE = [vector for vector in ALL if "error" in vector]


@pytest.mark.parametrize("vector", GOOD, ids=vectors.name_of)
def test_frames_come_out_however_they_were_split(vector: dict[str, Any]) -> None:
    """Whole, byte by byte, cut in two and with trailing data give the same frames."""
    data = bytes.fromhex(vector["hex"])
    feed = feeding.received if vector["pending"] else feeding.received_to_the_end
    frames = feed(lambda: FrameDecoder(vector["max_frame"]), data)
    assert [frame.hex() for frame in frames] == vector["frames"]


@pytest.mark.parametrize("vector", GOOD, ids=vectors.name_of)
def test_an_incomplete_frame_is_held(vector: dict[str, Any]) -> None:
    """What belongs to no complete frame stays, and is counted."""
    decoder = FrameDecoder(vector["max_frame"])
    decoder.receive_data(bytes.fromhex(vector["hex"]))
    assert decoder.pending == vector["pending"]


@pytest.mark.parametrize("vector", GOOD, ids=vectors.name_of)
def test_frames_are_encoded_as_the_vectors_say(vector: dict[str, Any]) -> None:
    """A payload's frame is its length in four bytes, then the payload."""
    encoded = b"".join(encode_frame(bytes.fromhex(f)) for f in vector["frames"])
    complete = len(vector["hex"]) - 2 * vector["pending"]
    assert encoded.hex() == vector["hex"][:complete]


@pytest.mark.parametrize("vector", TOO_LARGE, ids=vectors.name_of)
def test_a_frame_over_the_limit_is_refused(vector: dict[str, Any]) -> None:
    """The length alone is enough to refuse a frame, however it arrives."""
    data = bytes.fromhex(vector["hex"])
    error = feeding.refused(lambda: FrameDecoder(vector["max_frame"]), data)
    assert isinstance(error, FrameTooLargeError)
    assert (error.length, error.limit) == (vector["length"], vector["max_frame"])


@pytest.mark.parametrize("vector", TOO_LARGE, ids=vectors.name_of)
def test_a_frame_over_the_limit_is_refused_at_its_fourth_byte(
    vector: dict[str, Any],
) -> None:
    """Not one byte of a payload that is too large has to be sent or held."""
    decoder = FrameDecoder(vector["max_frame"])
    before = b"".join(encode_frame(bytes.fromhex(f)) for f in vector["frames"])
    header = bytes.fromhex(vector["hex"])[len(before) : len(before) + 4]
    assert [f.hex() for f in decoder.receive_data(before)] == vector["frames"]
    assert decoder.receive_data(header[:3]) == []
    with pytest.raises(FrameTooLargeError):
        decoder.receive_data(header[3:])


@given(st.lists(st.binary(max_size=64)), st.lists(st.integers(0, 200)))
def test_any_frames_survive_any_split(payloads: list[bytes], cuts: list[int]) -> None:
    """What was encoded comes out again, for any payloads and any cuts."""
    data = b"".join(map(encode_frame, payloads))
    decoder = FrameDecoder()
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    parts = [data[a:b] for a, b in pairwise(edges)]
    frames = [frame for part in parts for frame in decoder.receive_data(part)]
    assert frames == payloads
    assert decoder.pending == 0
