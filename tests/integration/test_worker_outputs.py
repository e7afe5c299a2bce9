"""Output files and results as the daemon handles them."""

from pathlib import Path

import pytest

from queuectl_protocol.vocabulary import Reason
from queuectld.core.job import AttemptEnd
from queuectld.workers import outputs, records, spool
from queuectld.workers.records import RecordFile, WorkerRecord
from queuectld.workers.spool import SpooledResult, SpoolError

SEQ, RUN, LEASE = 2500, 3, 77
RESULT = SpooledResult("s", 1, SEQ, RUN, AttemptEnd(LEASE, 1, 2, Reason.EXIT, 0))


def written(where: Path, stdout: str = "", stderr: str = "") -> list[str]:
    """Create the files of a run with this content; return their names."""
    files = outputs.create(str(where), SEQ, RUN, LEASE)
    files.close()
    both = outputs.paths(str(where), SEQ, RUN, LEASE)
    for name, text in zip(both, (stdout, stderr), strict=True):
        Path(name).write_text(text)
    return list(both)


def present(where: Path) -> list[str]:
    return sorted(str(file.relative_to(where)) for file in where.rglob("*.*"))


def test_names(tmp_path: Path) -> None:
    """Files are in directories of 1,000 jobs, named for people and for ever."""
    written(tmp_path, "x")
    assert present(tmp_path) == ["2/2500.3.77.err", "2/2500.3.77.out"]


def test_sizes(tmp_path: Path) -> None:
    """A run that never began has no sizes; one that wrote nothing has two zeros."""
    assert outputs.sizes(str(tmp_path), SEQ, RUN, LEASE) is None
    written(tmp_path)
    assert outputs.sizes(str(tmp_path), SEQ, RUN, LEASE) == (0, 0)
    written(tmp_path, "abc", "d")
    assert outputs.sizes(str(tmp_path), SEQ, RUN, LEASE) == (3, 1)


def test_half_a_creation_is_none(tmp_path: Path) -> None:
    """If one file cannot be created, the other does not claim that the run began."""
    obstacle = Path(outputs.paths(str(tmp_path), SEQ, RUN, LEASE)[1])
    obstacle.mkdir(parents=True)
    with pytest.raises(OSError):  # noqa: PT011  # which one is the kernel's choice
        outputs.create(str(tmp_path), SEQ, RUN, LEASE)
    obstacle.rmdir()
    assert outputs.sizes(str(tmp_path), SEQ, RUN, LEASE) is None


def test_remove_empty(tmp_path: Path) -> None:
    """Only what holds nothing goes, and doing it again is no error."""
    written(tmp_path, stderr="x")
    for _ in range(2):
        outputs.remove_empty(str(tmp_path), SEQ, RUN, LEASE)
        assert present(tmp_path) == ["2/2500.3.77.err"]


def test_remove(tmp_path: Path) -> None:
    """The last run of a directory takes that along; others are left alone."""
    written(tmp_path, "x")
    neighbour = tmp_path / "2" / "2501.1.1.out"
    neighbour.write_text("y")
    outputs.remove(str(tmp_path), SEQ, RUN, LEASE)
    assert present(tmp_path) == ["2/2501.1.1.out"]
    outputs.remove(str(tmp_path), 2501, 1, 1)
    assert list(tmp_path.iterdir()) == []
    outputs.remove(str(tmp_path), 2501, 1, 1)


def test_spool(tmp_path: Path) -> None:
    """A result is found by its lease until it is removed."""
    where = str(tmp_path)
    assert spool.read(where, LEASE) is None
    spool.write(where, RESULT)
    assert spool.read(where, LEASE) == RESULT
    assert spool.leases(where) == [LEASE]
    assert present(tmp_path) == ["77.json"]
    spool.remove(where, LEASE)
    assert spool.read(where, LEASE) is None
    spool.remove(where, LEASE)


def test_spool_with_other_things_in_it(tmp_path: Path) -> None:
    """Drafts and foreign files are no results, and a draft goes with its result."""
    for name in ("5.json.tmp", "note.txt", "6", "x.json"):
        (tmp_path / name).write_text("")
    assert spool.leases(str(tmp_path)) == []
    spool.remove(str(tmp_path), 5)
    assert not (tmp_path / "5.json.tmp").exists()


def test_torn_result(tmp_path: Path) -> None:
    """A file that cannot be understood is told and stays."""
    (tmp_path / "5.json").write_text('{"version": 1, "le')
    with pytest.raises(SpoolError):
        spool.read(str(tmp_path), 5)
    assert (tmp_path / "5.json").exists()


def test_records(tmp_path: Path) -> None:
    """Records are found in their directory; what is none is passed over."""
    record = WorkerRecord("s", 3, "b", 1, 2)
    file = RecordFile(records.file_of(str(tmp_path), 3))
    (tmp_path / "4.json").write_text("torn")
    (tmp_path / "README").write_text("")
    assert records.read_all(str(tmp_path)) == []
    file.write(record)
    assert records.read_all(str(tmp_path)) == [record]
    file.remove()
    file.remove()
    assert records.read_all(str(tmp_path)) == []
