"""From a file to batches."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from queuectl.cli.input import job_file
from queuectl.cli.input.job_file import Batch, JobFile


@contextmanager
def _file(content: bytes) -> Iterator[int]:
    fd = os.memfd_create("jobs")
    try:
        os.write(fd, content)
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)


def _batches(file: JobFile) -> list[Batch]:
    found: list[Batch] = []
    while not file.ended:
        if batch := file.take():
            found.append(batch)
        elif not file.ended:
            file.read()
    return found


def test_a_batch_has_a_thousand_jobs() -> None:
    """Lines become batches of 1,000, and a last one of what is left."""
    content = b"".join(b'{"command": "%d"}\n' % i for i in range(2_500))
    with _file(content) as fd:
        batches = _batches(JobFile(fd))
    assert [len(batch.jobs) for batch in batches] == [1000, 1000, 500]
    assert [batch.last for batch in batches] == [1000, 2000, 2500]
    assert batches[-1].jobs[-1] == {"command": "2499"}
    assert batches[-1].position == len(content)


@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n", b"\r\n"])
def test_blank_lines_are_counted_and_skipped(end: bytes) -> None:
    """A job keeps the number of its line, whatever is blank before it."""
    with _file(b"\n  \necho a\r\n\necho b" + end) as fd:
        (batch,) = _batches(JobFile(fd, job_file.shell_line))
    assert batch.jobs == [{"command": "echo a"}, {"command": "echo b"}]
    assert batch.numbers == [3, 5]


def test_an_empty_file_has_no_batch() -> None:
    """Nothing in, nothing out."""
    with _file(b"") as fd:
        assert _batches(JobFile(fd)) == []


def test_a_bad_line_ends_the_source() -> None:
    """Batches before the bad line come out; its own does not; its number is known."""
    content = [b'{"command": "x"}\n'] * 2_500
    content[1_700] = b"{\n"
    with _file(b"".join(content)) as fd:
        file = JobFile(fd)
        assert len(_batches(file)) == 1
    assert file.mistake is not None
    assert file.mistake.line == 1_701
    assert "bad JSON" in str(file.mistake)


def test_long_lines_make_smaller_batches() -> None:
    """A batch stays well inside one frame."""
    line = b"x" * 100_000 + b"\n"
    with _file(line * 50) as fd:
        batches = _batches(JobFile(fd, job_file.shell_line))
    assert [len(batch.jobs) for batch in batches] == [21, 21, 8]


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_an_endless_line_is_refused(end: bytes) -> None:
    """A line that never ends is given up, and not read into memory."""
    with _file(b"x" * (job_file.MAX_LINE + 10_000_000) + end) as fd:
        file = JobFile(fd, job_file.shell_line)
        assert _batches(file) == []
        assert os.lseek(fd, 0, os.SEEK_CUR) <= job_file.MAX_LINE + 1_000_000
    assert file.mistake is not None
    assert file.mistake.line == 1


def test_bytes_that_are_not_utf_8_are_kept() -> None:
    """A shell command is bytes; they come back out as they went in."""
    with _file(b"cat \xff\n") as fd:
        (batch,) = _batches(JobFile(fd, job_file.shell_line))
    assert batch.jobs == [{"command": "cat \udcff"}]


def test_what_has_come_can_be_taken_early() -> None:
    """When the input pauses, the lines so far are a batch of their own."""
    here, there = os.pipe()
    file = JobFile(here, job_file.shell_line)
    os.write(there, b"echo a\necho")
    file.read()
    assert file.take() is None
    assert file.partial
    batch = file.take(partial=True)
    assert batch is not None
    assert batch.jobs == [{"command": "echo a"}]
    os.write(there, b" b\n")
    os.close(there)
    (rest,) = _batches(file)
    os.close(here)
    assert rest.jobs == [{"command": "echo b"}]
    assert rest.numbers == [2]
