"""The two formats that different versions of queuectld share: record and result."""

import json

import pytest

from queuectl_protocol.vocabulary import Reason
from queuectld.core.job import AttemptEnd
from queuectld.workers.shared import records, spool
from queuectld.workers.shared.records import WorkerRecord
from queuectld.workers.shared.spool import SpooledResult, SpoolError

UUID = "3a0bb5de-d20f-49f3-ae37-52f0b2b13f7b"
IDLE = WorkerRecord(store=UUID, worker=1, boot_id=UUID, pid=77, ticks=5)
BIG = 2**63 - 1
BUSY = IDLE._replace(lease=9, seq=8, run=7, job_pid=78, job_ticks=6)
RESULT = SpooledResult(
    store=UUID,
    worker=1,
    seq=8,
    run=7,
    end=AttemptEnd(9, 1, 2, Reason.SIGNAL, None, 9, "why", 1, 2, 3, 4, 5),
)


@pytest.mark.parametrize("record", [IDLE, BUSY])
def test_record_there_and_back(record: WorkerRecord) -> None:
    """A record is read as it was written."""
    assert records.decode(records.encode(record)) == record


def test_record_has_a_fixed_size() -> None:
    """Even the longest record fits, so rewriting never needs more space."""
    longest = WorkerRecord(UUID, BIG, UUID, *[BIG] * 8)
    assert len(records.encode(longest)) == len(records.encode(IDLE)) == records.SIZE


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * records.SIZE,
        records.encode(BUSY)[:60],
        b"[]",
        b'"text"',
        records.encode(BUSY).replace(b'"version": 1', b'"version": 2'),
        records.encode(BUSY).replace(b'"pid": 77', b'"pid": null'),
        records.encode(BUSY).replace(b'"pid": 77', b'"pid": true'),
        records.encode(BUSY).replace(b'"lease": 9', b'"lease": "9"'),
    ],
)
def test_record_that_is_none(data: bytes) -> None:
    """A record that is torn, foreign or newer is no record."""
    assert records.decode(data) is None


def test_the_longest_result_fits_behind_a_record() -> None:
    """A result with the longest message fits behind a record."""
    end = AttemptEnd(BIG, BIG, BIG, Reason.OUTPUT_LIMIT, BIG, BIG, "\u4e00" * 1000)
    full = end._replace(**dict.fromkeys(AttemptEnd._fields[7:], BIG))
    longest = SpooledResult(f"{UUID}.{UUID}", BIG, BIG, BIG, full)
    assert len(spool.encode(longest)) <= records.ROOM - records.SIZE


def test_result_there_and_back() -> None:
    """A result is read as it was written."""
    assert spool.decode(spool.encode(RESULT)) == RESULT


def test_result_from_a_later_minor_version() -> None:
    """A key that is added later does no harm."""
    body = json.loads(spool.encode(RESULT)) | {"mood": "good"}
    assert spool.decode(json.dumps(body).encode()) == RESULT


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"reason": "boredom"},
        {"lease": None},
        {"seq": "8"},
        {"run": 1.5},
    ],
)
def test_result_that_is_none(change: dict[str, object]) -> None:
    """A result that cannot be understood raises an error."""
    body = json.loads(spool.encode(RESULT)) | change
    with pytest.raises(SpoolError):
        spool.decode(json.dumps(body).encode())


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"{}", b"\xff"])
def test_bytes_that_are_no_result(data: bytes) -> None:
    """Torn and foreign files raise the one error that callers expect."""
    with pytest.raises(SpoolError):
        spool.decode(data)
