"""The process table: parsing, and the tree in it."""

import pytest

from queuectld.linux import procfs
from queuectld.linux.procfs import Process, ProcessId

TAIL = (
    b" S 1 42 40 0 -1 4194560 1 0 0 0 3 4 0 0 20 0 2 0 987654 1048576 100 "
    b"18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0"
)


def entry(pid: int, parent: int, state: str = "S", threads: int = 1) -> Process:
    return Process(
        pid=pid,
        name="x",
        state=state,
        parent=parent,
        group=pid,
        session=pid,
        threads=threads,
        ticks=pid,
    )


def table(*entries: Process) -> dict[int, Process]:
    return {one.pid: one for one in entries}


@pytest.mark.parametrize(
    "name", [b"sh", b"a b", b"a) R 9 9 9", b"((", b")", b"", b"x\ny", b"\xff\xfe"]
)
def test_any_name(name: bytes) -> None:
    """A name may hold spaces, parentheses and any bytes; only the last ) ends it."""
    found = procfs.parse_stat(b"77 (" + name + b")" + TAIL)
    assert found == Process(
        pid=77,
        name=name.decode(errors="surrogateescape"),
        state="S",
        parent=1,
        group=42,
        session=40,
        threads=2,
        ticks=987654,
    )
    assert found.id == ProcessId(77, 987654)


@pytest.mark.parametrize(
    ("state", "threads", "alive"),
    [("S", 1, True), ("D", 1, True), ("Z", 1, False), ("X", 1, False), ("Z", 3, True)],
)
def test_alive(state: str, threads: int, *, alive: bool) -> None:
    """A zombie is dead, unless it is only the first thread that ended."""
    assert entry(2, 1, state, threads).alive is alive


def test_descendants_come_after_their_parents() -> None:
    """The tree below a process is listed from the top, whatever the pids are."""
    tree = table(entry(9, 5), entry(3, 9), entry(4, 3), entry(8, 1), entry(2, 9))
    assert [p.pid for p in procfs.descendants(5, tree)] == [9, 3, 2, 4]


def test_descendants_of_a_table_with_a_loop() -> None:
    """A table read while pids were reused can hold a loop; it ends all the same."""
    tree = table(entry(2, 3), entry(3, 2), entry(4, 3))
    assert {p.pid for p in procfs.descendants(2, tree)} == {2, 3, 4}


def test_no_descendants() -> None:
    """A process without children has none below it."""
    assert procfs.descendants(7, table(entry(7, 1), entry(8, 1))) == []
