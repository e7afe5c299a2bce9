"""Output files and results as the daemon handles them."""

from pathlib import Path

import pytest

from queuectl_protocol.vocabulary import Reason
from queuectld.core.job import AttemptEnd
from queuectld.workers.shared import outputs, records, spool
from queuectld.workers.shared.records import RecordFile, WorkerRecord
from queuectld.workers.shared.spool import SpooledResult, SpoolError

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


def test_a_directory_may_go_just_after_it_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As that of the last job there, which is deleted: the run begins all the same."""
    make, made = outputs._make_directory, []

    def make_and_lose(name: str) -> None:
        make(name)
        made.append(name)
        if len(made) < 3:
            Path(name).rmdir()

    monkeypatch.setattr(outputs, "_make_directory", make_and_lose)
    written(tmp_path, "x")
    assert len(made) == 3
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


# -- files passed on -------------------------------------------------------------------

NEXT = (1000, 1, 78)
"""The next run of the worker: another job, in another directory."""


def passed_on(where: Path, *spare: str | None) -> list[str]:
    """Create the files of the next run with spare ones; return what is there then."""
    (where / "1").mkdir(exist_ok=True)
    outputs.create(str(where), *NEXT, spare).close()
    return present(where)


def inodes(where: Path, *run: int) -> list[int]:
    return [Path(name).stat().st_ino for name in outputs.paths(str(where), *run)]


def test_empty_files_become_the_next_run_s(tmp_path: Path) -> None:
    """The very same files, under the next run's names."""
    spare = written(tmp_path)
    before = inodes(tmp_path, SEQ, RUN, LEASE)
    assert passed_on(tmp_path, *spare) == ["1/1000.1.78.err", "1/1000.1.78.out"]
    assert inodes(tmp_path, *NEXT) == before


def test_a_file_that_is_to_be_kept_is_kept(tmp_path: Path) -> None:
    """Only what was offered is used; the other is created."""
    spare = written(tmp_path, stderr="x")
    assert passed_on(tmp_path, spare[0], None) == [
        "1/1000.1.78.err",
        "1/1000.1.78.out",
        "2/2500.3.77.err",
    ]
    assert Path(spare[1]).read_text() == "x"


def test_a_file_that_somebody_writes_to_is_not_passed_on(tmp_path: Path) -> None:
    """A job handed its stdout to a server: what that writes is in nobody's output."""
    spare = written(tmp_path)
    with Path(spare[0]).open("a") as handed_on:
        before = inodes(tmp_path, SEQ, RUN, LEASE)
        passed_on(tmp_path, *spare)
        handed_on.write("late")
    after = inodes(tmp_path, *NEXT)
    assert (after[0] == before[0], after[1] == before[1]) == (False, True)
    assert outputs.sizes(str(tmp_path), *NEXT) == (0, 0)
    assert not Path(spare[0]).exists()


def test_a_file_that_was_written_to_after_all_is_not_passed_on(tmp_path: Path) -> None:
    """By whom it was handed to, after the run's end; that has ended as well."""
    spare = written(tmp_path)
    Path(spare[1]).write_text("late")
    passed_on(tmp_path, *spare)
    assert outputs.sizes(str(tmp_path), *NEXT) == (0, 0)
    assert Path(spare[1]).read_text() == "late"


def test_a_file_whose_mode_was_changed_is_not_passed_on(tmp_path: Path) -> None:
    """A job can chmod its stdout; what the next one writes is for nobody else."""
    spare = written(tmp_path)
    Path(spare[0]).chmod(0o666)
    passed_on(tmp_path, *spare)
    modes = [Path(name).stat().st_mode for name in outputs.paths(str(tmp_path), *NEXT)]
    assert [oct(mode & 0o777) for mode in modes] == ["0o600", "0o600"]
    assert not Path(spare[0]).exists()


def test_a_spare_file_that_is_gone_is_no_error(tmp_path: Path) -> None:
    """Nor is a directory that is not there yet."""
    outputs.create(str(tmp_path), *NEXT, ("/nowhere/out", None)).close()
    assert present(tmp_path) == ["1/1000.1.78.err", "1/1000.1.78.out"]
