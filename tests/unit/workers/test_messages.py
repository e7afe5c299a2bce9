"""The messages between the daemon and a worker."""

from typing import get_args

import pytest

from helpers import feeding
from queuectl_protocol import packing
from queuectl_protocol.errors import FrameTooLargeError, ProtocolError
from queuectl_protocol.frames import HEADER, encode_frame
from queuectl_protocol.vocabulary import Reason
from queuectld.core.job import AttemptEnd
from queuectld.workers.shared import messages

EVERY: tuple[messages.Message, ...] = (
    messages.Hello(3, "uuid", "/o", "/s", "/r/3.json", "/run/q.sock"),
    messages.RunJob(
        1, 2, 3, "x", "echo hi", "/tmp", 0o22, {"A": "b"}, 1.5, 5.0, 1 << 30
    ),
    messages.RunJob(1, 2, 3, "x", ("echo", "\udcff"), None, None, None, 0, 0, 0),
    messages.End(1, Reason.CANCELLED, 0.5),
    messages.Ack(1),
    messages.Stop(),
    messages.Ready(77),
    messages.Finished(AttemptEnd(1, 5, 6, Reason.EXIT, 0, None, "m", 1, 2, 3, 4, 5)),
    messages.Finished(AttemptEnd(1, None, 6, Reason.INTERRUPTED)),
    messages.Trouble(None, "no space"),
)


def test_every_message_is_tried_here() -> None:
    """The list above leaves out no kind of message."""
    assert {type(one) for one in EVERY} == set(get_args(messages.Message))


def test_there_and_back() -> None:
    """Every message arrives as it was sent, however the bytes are split."""
    data = b"".join(map(messages.encode, EVERY))
    assert feeding.received_to_the_end(messages.Decoder, data) == list(EVERY)


def test_unknown_keys_are_ignored() -> None:
    """A key that a later version adds does no harm."""
    body = packing.pack({"type": "ack", "lease": 4, "mood": "good"})
    assert messages.decode(body) == messages.Ack(4)


@pytest.mark.parametrize(
    "body",
    [
        {"type": "dance"},
        {"lease": 4},
        {"type": "ack"},
        {"type": "end", "lease": 4, "reason": "boredom", "grace": 0},
        {"type": "run", "command": 7},
        [],
        7,
        None,
    ],
)
def test_what_is_no_message(body: object) -> None:
    """A frame that holds none of these messages is refused."""
    with pytest.raises(ProtocolError):
        messages.decode(packing.pack(body))


def test_a_lost_place_in_the_stream() -> None:
    """A length that no message has is refused: the stream is no stream of frames."""
    with pytest.raises(FrameTooLargeError):
        messages.Decoder().receive_data(HEADER.pack(messages.MAX_FRAME + 1))
    with pytest.raises(ProtocolError):
        messages.Decoder().receive_data(encode_frame(b"\xc1"))
