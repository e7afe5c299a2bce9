"""The output files of real jobs: private, passed on when empty, never shared."""

import os
import socket
import stat
import sys
from pathlib import Path

from helpers import waiting
from helpers.worker_harness import WorkerHarness
from queuectl_protocol.vocabulary import Reason
from queuectld.workers.shared import messages, outputs


def test_a_stdout_that_was_handed_to_another_is_not_the_next_run_s(
    worker: WorkerHarness, tmp_path: Path
) -> None:
    """What another process writes to a job's file later is in no other job's output."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "server"))
        server.settimeout(waiting.DEADLINE)
        hand_over = (
            "import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); "
            "s.connect('server'); socket.send_fds(s, [b'x'], [1])"
        )
        argv = (sys.executable, "-c", hand_over)
        first = worker.job(argv, cwd=str(tmp_path))
        worker.send(first)
        assert worker.finished().stdout_bytes == 0
        _, (handed,), _, _ = socket.recv_fds(server, 1, 1)
    second, third = worker.job("true"), worker.job("true")
    try:
        worker.send(second)
        assert worker.finished().reason is Reason.EXIT
        os.write(handed, b"late")
        assert worker.output(second) == worker.output(second, "stderr") == ""
        worker.send(third)
        assert worker.finished().stdout_bytes == 0
        assert os.fstat(handed).st_nlink == 0
    finally:
        os.close(handed)


def test_empty_files_go_from_run_to_run(worker: WorkerHarness) -> None:
    """The empty files of a job become the next one's; output stays where it is."""
    jobs = [worker.job(line) for line in ("true", "echo out", "echo err >&2")]
    files = []
    for job in jobs:
        worker.send(job)
        worker.finished()
        where = (str(worker.output_dir), job.seq, job.run, job.lease)
        files.append([Path(name).stat().st_ino for name in outputs.paths(*where)])
    assert files[0] == files[1], "both were empty"
    assert files[1][0] != files[2][0], "this one is not"
    assert files[1][1] == files[2][1]
    worker.send(messages.Ack(jobs[-1].lease))
    worker.output_of("echo")
    wanted = ["out\n", "err\n", "\n"]

    def left() -> list[str]:
        try:
            return [file.read_text() for file in sorted(worker.output_dir.rglob("*.*"))]
        except FileNotFoundError:
            return []

    # The last acknowledgement was sent, and may not have been read.
    waiting.until(lambda: left() == wanted, "what is empty is gone")


def test_output_files_are_private(worker: WorkerHarness) -> None:
    """Files are 0600 in directories 0700, whatever the job's umask."""
    job = worker.job("echo x", umask=0)
    worker.send(job)
    worker.finished()
    shard = worker.output_dir / str(job.seq // 1000)
    assert stat.S_IMODE(shard.stat().st_mode) == 0o700
    modes = {stat.S_IMODE(file.stat().st_mode) for file in shard.iterdir()}
    assert modes == {0o600}
    assert stat.S_IMODE(worker.record_path.stat().st_mode) == 0o600


def test_empty_files_stay_until_the_result_is_taken(worker: WorkerHarness) -> None:
    """A job has both files; the empty ones are removed after the acknowledgement."""
    job = worker.start("echo x")
    worker.finished()
    shard = worker.output_dir / str(job.seq // 1000)
    stem = f"{job.seq}.1.{job.lease}"
    assert {file.name for file in shard.iterdir()} == {f"{stem}.out", f"{stem}.err"}
    worker.send(messages.Ack(job.lease))
    waiting.until(
        lambda: [file.name for file in shard.iterdir()] == [f"{stem}.out"],
        "the empty file to go",
    )


def test_outputs_are_appended_to(worker: WorkerHarness) -> None:
    """Processes of a job that write at once do not overwrite each other."""
    text = worker.output_of("(echo a; echo b) & wait; echo c; : > /dev/stdout; echo d")
    assert text == "d\n"  # truncated by the job itself, and nothing left in between


def test_a_stale_output_file(worker: WorkerHarness) -> None:
    """A file of that name, from before a backup was restored, is replaced."""
    job = worker.job("echo new")
    name = outputs.path(
        str(worker.output_dir), job.seq, 1, job.lease, outputs.Stream.STDOUT
    )
    Path(name).parent.mkdir()
    Path(name).write_text("old")
    worker.send(job)
    worker.finished()
    assert worker.output(job) == "new\n"


def test_a_planted_link_is_not_followed(worker: WorkerHarness, tmp_path: Path) -> None:
    """Output is never written through a symbolic link."""
    job = worker.job("echo new")
    name = outputs.path(
        str(worker.output_dir), job.seq, 1, job.lease, outputs.Stream.STDOUT
    )
    victim = tmp_path / "victim"
    victim.write_text("precious")
    Path(name).parent.mkdir()
    Path(name).symlink_to(victim)
    worker.send(job)
    worker.finished()
    assert victim.read_text() == "precious"
    assert worker.output(job) == "new\n"
