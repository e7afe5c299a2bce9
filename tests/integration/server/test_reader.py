"""Reading pieces and last lines of output files."""

import fcntl
import os
import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuectld.server.output import reader
from queuectld.server.output.reader import Piece, UnreadableOutputError

TEXTS = st.lists(st.sampled_from([b"", b"a", b"\n", b"line\n", b"\n\n", b"x" * 20]))


def _naive(content: bytes, lines: int) -> bytes:
    return b"".join(content.splitlines(keepends=True)[-lines:]) if lines else b""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "7.1.1.out"


@given(parts=TEXTS, lines=st.integers(0, 12), block=st.integers(1, 16))
def test_the_last_lines_are_found_whatever_the_blocks(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes], lines: int, block: int
) -> None:
    """The result equals that of splitting the whole file, for any block size."""
    path = tmp_path_factory.getbasetemp() / "tail.out"
    path.write_bytes(content := b"".join(parts))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "_BLOCK", block)
        start = reader.tail_start(str(path), lines)
    assert content[start:] == _naive(content, lines)


def test_last_lines_are_looked_for_within_bounds(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a file with one long line, the end is returned."""
    monkeypatch.setattr(reader, "TAIL_MAX", 1000)
    path.write_bytes(b"x" * 5000 + b"\n" + b"y" * 998 + b"\n")
    assert reader.tail_start(str(path), 1) == 5001
    assert reader.tail_start(str(path), 2) == 5000


def test_a_piece_tells_where_the_next_one_begins(path: Path) -> None:
    """Reading on from next gives the whole file, and then nothing."""
    path.write_bytes(b"0123456789")
    piece = reader.read(str(path), offset=0, tail=None, limit=7)
    assert (piece.data, piece.offset, piece.next, piece.size) == (b"0123456", 0, 7, 10)
    assert reader.read(str(path), offset=7, tail=None, limit=7).data == b"789"
    assert reader.read(str(path), offset=10, tail=None, limit=7) == Piece(b"", 10, 10)
    assert reader.read(str(path), offset=99, tail=None, limit=7) == Piece(b"", 99, 10)


def test_a_missing_file_reads_as_an_empty_one(path: Path) -> None:
    """An attempt that wrote nothing has no file, and no error."""
    assert reader.read(str(path), offset=0, tail=None, limit=7) == Piece(b"", 0, 0)
    assert reader.read(str(path), offset=0, tail=5, limit=7) == Piece(b"", 0, 0)
    assert reader.tail_start(str(path), 5) == 0


def test_a_symbolic_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    """Only files that a worker created are output."""
    path.symlink_to(tmp_path / "secret")
    (tmp_path / "secret").write_text("secret")
    with pytest.raises(UnreadableOutputError, match=os.strerror(40)):
        reader.read(str(path), offset=0, tail=None, limit=7)


def test_a_file_that_was_passed_on_reads_as_an_empty_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was reused for another run between its opening and the reading."""
    path.touch()
    open_output = reader.open_output

    def passed_on(name: str) -> int | None:
        fd = open_output(name)
        path.rename(other := path.with_name("8.1.2.out"))
        other.write_text("a stranger's\n")
        return fd

    monkeypatch.setattr(reader, "open_output", passed_on)
    assert reader.read(str(path), offset=0, tail=None, limit=9) == Piece(b"", 0, 0)


def test_a_lease_holds_up_nobody(path: Path) -> None:
    """A user who owns a file could hold a lease on it to make readers wait."""
    path.write_bytes(b"text")
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)
    fd = os.open(path, os.O_WRONLY)
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        with pytest.raises(UnreadableOutputError, match="temporarily unavailable"):
            reader.open_output(str(path))
    finally:
        os.close(fd)
        signal.signal(signal.SIGIO, before)
    assert reader.read(str(path), offset=0, tail=None, limit=9).data == b"text"


def test_reading_ends_where_the_record_does(tmp_path: Path) -> None:
    """Later bytes are in no piece and no last line; without a record, all count."""
    path = tmp_path / "out"
    path.write_bytes(b"a\nb\nlater\n")
    piece = reader.read(str(path), offset=2, tail=None, limit=9, written=4)
    assert piece == Piece(b"b\n", 2, 4)
    piece = reader.read(str(path), offset=0, tail=1, limit=9, written=4)
    assert piece == Piece(b"b\n", 2, 4)
    assert reader.tail_start(str(path), 1, written=4) == 2
    assert reader.tail_start(str(path), 1) == 4
    piece = reader.read(str(path), offset=4, tail=None, limit=9, written=None)
    assert piece == Piece(b"later\n", 4, 10)


@pytest.mark.parametrize(
    ("written", "lost"), [(None, False), (0, False), (3, False), (4, False), (5, True)]
)
def test_a_loss_is_less_than_the_record(
    tmp_path: Path, written: int | None, *, lost: bool
) -> None:
    """More than recorded is no loss, and without a record there is none."""
    path = tmp_path / "out"
    path.write_bytes(b"four")
    assert reader.loss(str(path), written) == (reader.Loss(5, 4) if lost else None)
