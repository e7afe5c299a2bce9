"""Output files, results and records, as daemon and workers handle them."""

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
    """Create the files of an attempt with this content; return their names."""
    files = outputs.create(str(where), SEQ, RUN, LEASE)
    files.close()
    both = outputs.paths(str(where), SEQ, RUN, LEASE)
    for name, text in zip(both, (stdout, stderr), strict=True):
        Path(name).write_text(text)
    return list(both)


def present(where: Path) -> list[str]:
    return sorted(str(file.relative_to(where)) for file in where.rglob("*.*"))


def test_names(tmp_path: Path) -> None:
    """Files are in directories of 1,000 jobs; their names have job, run and lease."""
    written(tmp_path, "x")
    assert present(tmp_path) == ["2/2500.3.77.err", "2/2500.3.77.out"]


def test_a_directory_may_go_just_after_it_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory that is removed while a file is created in it is made again."""
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
    """An attempt that never started has no sizes; one without output has two zeros."""
    assert outputs.sizes(str(tmp_path), SEQ, RUN, LEASE) is None
    written(tmp_path)
    assert outputs.sizes(str(tmp_path), SEQ, RUN, LEASE) == (0, 0)
    written(tmp_path, "abc", "d")
    assert outputs.sizes(str(tmp_path), SEQ, RUN, LEASE) == (3, 1)


def test_half_a_creation_is_none(tmp_path: Path) -> None:
    """If one file cannot be created, the other is removed."""
    obstacle = Path(outputs.paths(str(tmp_path), SEQ, RUN, LEASE)[1])
    obstacle.mkdir(parents=True)
    with pytest.raises(OSError):  # noqa: PT011  # which one is the kernel's choice
        outputs.create(str(tmp_path), SEQ, RUN, LEASE)
    obstacle.rmdir()
    assert outputs.sizes(str(tmp_path), SEQ, RUN, LEASE) is None


def test_remove_empty(tmp_path: Path) -> None:
    """Only empty files are removed, and to do it again is no error."""
    written(tmp_path, stderr="x")
    for _ in range(2):
        outputs.remove_empty(str(tmp_path), SEQ, RUN, LEASE)
        assert present(tmp_path) == ["2/2500.3.77.err"]


def test_remove(tmp_path: Path) -> None:
    """The directory is removed with the last files in it, and not before."""
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
    """Drafts and foreign files are no results; a draft is removed with its result."""
    for name in ("5.json.tmp", "note.txt", "6", "x.json"):
        (tmp_path / name).write_text("")
    assert spool.leases(str(tmp_path)) == []
    spool.remove(str(tmp_path), 5)
    assert not (tmp_path / "5.json.tmp").exists()


def test_torn_result(tmp_path: Path) -> None:
    """A file that cannot be understood raises an error and stays."""
    (tmp_path / "5.json").write_text('{"version": 1, "le')
    with pytest.raises(SpoolError):
        spool.read(str(tmp_path), 5)
    assert (tmp_path / "5.json").exists()


def test_records(tmp_path: Path) -> None:
    """All records of a directory are read; other files are skipped."""
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
"""The worker's next attempt: of another job, in another directory."""


def passed_on(where: Path, *spare: str | None) -> list[str]:
    """Create the next attempt's files with spare ones; return all files."""
    (where / "1").mkdir(exist_ok=True)
    outputs.create(str(where), *NEXT, spare).close()
    return present(where)


def inodes(where: Path, *run: int) -> list[int]:
    return [Path(name).stat().st_ino for name in outputs.paths(str(where), *run)]


def test_empty_files_become_the_next_run_s(tmp_path: Path) -> None:
    """Empty files are renamed for the next attempt."""
    spare = written(tmp_path)
    before = inodes(tmp_path, SEQ, RUN, LEASE)
    assert passed_on(tmp_path, *spare) == ["1/1000.1.78.err", "1/1000.1.78.out"]
    assert inodes(tmp_path, *NEXT) == before


def test_a_file_that_is_to_be_kept_is_kept(tmp_path: Path) -> None:
    """One spare file is used, and the other file is created."""
    spare = written(tmp_path, stderr="x")
    assert passed_on(tmp_path, spare[0], None) == [
        "1/1000.1.78.err",
        "1/1000.1.78.out",
        "2/2500.3.77.err",
    ]
    assert Path(spare[1]).read_text() == "x"


def test_a_file_that_somebody_writes_to_is_not_passed_on(tmp_path: Path) -> None:
    """A file that another process has open for writing is not used again."""
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
    """A file that was written to after the job's end keeps its content."""
    spare = written(tmp_path)
    Path(spare[1]).write_text("late")
    passed_on(tmp_path, *spare)
    assert outputs.sizes(str(tmp_path), *NEXT) == (0, 0)
    assert Path(spare[1]).read_text() == "late"


def test_a_file_whose_mode_was_changed_is_not_passed_on(tmp_path: Path) -> None:
    """A file whose mode the job changed is not used again."""
    spare = written(tmp_path)
    Path(spare[0]).chmod(0o666)
    passed_on(tmp_path, *spare)
    modes = [Path(name).stat().st_mode for name in outputs.paths(str(tmp_path), *NEXT)]
    assert [oct(mode & 0o777) for mode in modes] == ["0o600", "0o600"]
    assert not Path(spare[0]).exists()


def test_a_spare_file_that_is_gone_is_no_error(tmp_path: Path) -> None:
    """A spare file that is missing is replaced by a new one."""
    outputs.create(str(tmp_path), *NEXT, ("/nowhere/out", None)).close()
    assert present(tmp_path) == ["1/1000.1.78.err", "1/1000.1.78.out"]
