"""A real worker runs real commands: what a job gets, and what is reported of it."""

import os
import resource
import signal
import sys
from pathlib import Path

import pytest

from helpers import waiting, worker_harness
from helpers.worker_harness import ENV, WorkerHarness
from queuectl_protocol.vocabulary import Reason
from queuectld.linux import procfs
from queuectld.workers.shared import messages, outputs


def test_output_and_exit_code(worker: WorkerHarness) -> None:
    """The two streams are in two files, and the exit code is reported."""
    job = worker.start("echo out; echo err >&2; exit 3")
    end = worker.finished()
    assert (end.reason, end.exit_code, end.signal) == (Reason.EXIT, 3, None)
    assert worker.output(job) == "out\n"
    assert worker.output(job, "stderr") == "err\n"
    assert (end.stdout_bytes, end.stderr_bytes) == (4, 4)


def test_one_job_after_another(worker: WorkerHarness) -> None:
    """A job acknowledges the result before it: no further message is needed."""
    jobs = [worker.job(f"echo {number}") for number in range(20)]
    for job in jobs:
        worker.send(job)
        assert worker.finished().lease == job.lease
    assert [worker.output(job) for job in jobs] == [f"{n}\n" for n in range(20)]


def test_argument_vector(worker: WorkerHarness) -> None:
    """Arguments reach the program exactly as they were given, without a shell."""
    odd = ("a b", "", "$HOME", "'\"", "*", "caf\udcc3\udca9", "--", "\n")
    text = worker.output_of(("printf", "[%s]", *odd))
    assert text == "[a b][][$HOME]['\"][*][café][--][\n]"


@pytest.mark.parametrize("line", ["-x", "+x", "- x"])
def test_shell_line_that_looks_like_an_option(worker: WorkerHarness, line: str) -> None:
    """A command line is never taken for an option of the shell."""
    job = worker.start(line)
    end = worker.finished()
    assert (end.reason, end.exit_code) == (Reason.EXIT, 127)
    assert "not found" in worker.output(job, "stderr")


def test_what_a_job_is_told(worker: WorkerHarness) -> None:
    """A job's environment is the given one and the variables of queuectl."""
    job = worker.job("env", env={**ENV, "ODD": "a=b\nc", "RAW": "\udcff"})
    worker.send(job)
    worker.finished()
    where = str(worker.output_dir)
    name = outputs.path(where, job.seq, 1, job.lease, outputs.Stream.STDOUT)
    told = Path(name).read_bytes()
    for variable in (
        b"ODD=a=b\nc\n",
        b"RAW=\xff\n",
        f"QUEUECTL_LEASE={worker.store}:{job.lease}\n".encode(),
        f"QUEUECTL_JOB_ID={job.id}\n".encode(),
        b"QUEUECTL_ATTEMPT=1\n",
        b"QUEUECTL_SOCKET=/run/queuectl.sock\n",
    ):
        assert variable in told
    # PWD comes from the shell.
    names = {line.split(b"=")[0] for line in told.splitlines() if b"=" in line}
    ours = {b"QUEUECTL_LEASE", b"QUEUECTL_JOB_ID", b"QUEUECTL_ATTEMPT"}
    assert names == ours | {b"PATH", b"ODD", b"RAW", b"PWD", b"QUEUECTL_SOCKET"}


def test_environment_is_sent_once(worker: WorkerHarness) -> None:
    """A job that comes without an environment has that of the job before it."""
    worker.output_of("true", env={**ENV, "COLOUR": "red"})
    assert worker.output_of("echo $COLOUR", env=None) == "red\n"
    assert worker.output_of("echo $COLOUR", env=ENV) == "\n"


def test_session_and_stdin(worker: WorkerHarness) -> None:
    """A job leads a session of its own, and its stdin is empty."""
    job = worker.start("cat; exec sleep 60")
    record = worker.record()
    assert record is not None
    assert record.job_pid is not None
    main = procfs.process(record.job_pid)
    own = procfs.process(worker.pid)
    assert main is not None
    assert own is not None
    assert main.session == main.group == main.pid != own.session
    worker.send(messages.End(job.lease, Reason.CANCELLED, 0))
    worker.finished()


def test_nothing_is_inherited_by_accident(worker: WorkerHarness) -> None:
    """A job inherits no open file and no blocked or ignored signal of the worker."""
    text = worker.output_of(
        "ls /proc/self/fd; grep -E '^Sig(Blk|Ign)' /proc/self/status"
    )
    files, masks = text.split("SigBlk:")
    assert files.split() == ["0", "1", "2", "3"]  # 3 is ls's own
    blocked, ignored = masks.split("SigIgn:")
    assert int(blocked, 16) == 0
    # glibc's posix_spawn ignores its two internal signals, 32 and 33, in the child.
    assert int(ignored, 16) & ~(0b11 << 31) == 0


def test_cwd_and_umask(worker: WorkerHarness, tmp_path: Path) -> None:
    """Directory and umask are those of this job alone."""
    assert worker.output_of("pwd; umask", cwd=str(tmp_path), umask=0o027) == (
        f"{tmp_path}\n0027\n"
    )
    assert worker.output_of("pwd; umask") == "/\n0022\n"
    assert worker.output_of("umask", umask=0o777) == "0777\n"
    assert Path(f"/proc/{worker.pid}/cwd").readlink() == Path("/")


def test_program_is_searched_in_the_jobs_path(
    worker: WorkerHarness, tmp_path: Path
) -> None:
    """PATH is the job's, entries count from its cwd, an empty one is the cwd."""
    for place in ("bin", "."):
        (tmp_path / place).mkdir(exist_ok=True)
        tool = tmp_path / place / "tool"
        tool.write_text(f"#!/bin/sh\necho {place}\n")
        tool.chmod(0o755)
    cwd = str(tmp_path)
    for path, found in (
        ("bin", "bin"),
        ("nowhere:", "."),
        (":bin", "."),
        ("bin:", "bin"),
    ):
        assert worker.output_of(("tool",), cwd=cwd, env={"PATH": path}) == f"{found}\n"
    assert worker.output_of(("./tool",), cwd=cwd) == ".\n"
    assert worker.output_of(("echo", "x"), env={}) == "x\n"


def test_search_goes_on_past_what_cannot_run(
    worker: WorkerHarness, tmp_path: Path
) -> None:
    """A directory or a file without x in PATH does not hide the program behind it."""
    (tmp_path / "a" / "tool").mkdir(parents=True)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "tool").write_text("no program")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "tool").symlink_to("/bin/echo")
    path = f"{tmp_path}/missing:{tmp_path}/a:{tmp_path}/b:{tmp_path}/c"
    assert worker.output_of(("tool", "found"), env={"PATH": path}) == "found\n"


SPAWN_ERRORS: dict[str, tuple[tuple[str, ...], dict[str, object], str]] = {
    "unknown": (("no-such-tool",), {}, "no-such-tool: command not found"),
    "missing": (("/no/such/tool",), {}, "/no/such/tool: no such file"),
    "a line": (("make test",), {}, "without -- this is a shell line"),
    "a line with a path": (("./my prog",), {}, "without -- this is a shell line"),
    "not executable": (("{home}/text",), {}, "permission denied"),
    "not executable in PATH": (
        ("text",),
        {"env": {"PATH": "{home}"}},
        "permission den",
    ),
    "directory": (("{home}",), {}, "permission denied"),
    "no program": (("{home}/garbage",), {}, "neither a program"),
    "no interpreter": (("{home}/orphan",), {}, "interpreter"),
    "through a file": (("{home}/text/tool",), {}, "Not a directory"),
    "too long": (("true", *["x" * 100_000] * 100), {}, "larger than the kernel takes"),
    "long argument": (("true", "x" * 200_000), {}, "larger than the kernel takes"),
    "NUL": (("true", "a\0b"), {}, "null"),
    "odd variable": (("true",), {"env": {"A=B": "c"}}, "environment variable"),
    "cwd gone": (("true",), {"cwd": "/no/such/place"}, "/no/such/place: No such file"),
    "cwd a file": (("true",), {"cwd": "{home}/text"}, "Not a directory"),
}


@pytest.mark.parametrize("case", SPAWN_ERRORS)
def test_what_cannot_start(worker: WorkerHarness, tmp_path: Path, case: str) -> None:
    """A command that cannot start is a failed attempt; the worker goes on."""
    (tmp_path / "text").write_text("not executable")
    (tmp_path / "garbage").write_bytes(b"\x01\x02\x03\x04 no program")
    (tmp_path / "garbage").chmod(0o755)
    (tmp_path / "orphan").write_text("#!/no/such/interpreter\n")
    (tmp_path / "orphan").chmod(0o755)
    words, fields, sentence = SPAWN_ERRORS[case]
    here = str(tmp_path)
    say = {
        key: {k: v.replace("{home}", here) for k, v in value.items()}
        if isinstance(value, dict)
        else str(value).replace("{home}", here)
        for key, value in fields.items()
    }
    end = worker.run(tuple(word.replace("{home}", here) for word in words), **say)
    assert end.reason is Reason.SPAWN_ERROR
    assert (end.exit_code, end.signal, end.stdout_bytes) == (None, None, 0)
    assert end.started_at is not None
    assert sentence in (end.message or "")
    assert worker.output_of("pwd; umask", env=ENV) == "/\n0022\n"
    assert not worker.zombies()


def test_end_by_a_signal(worker: WorkerHarness) -> None:
    """A main process that a signal ended is reported with that signal."""
    end = worker.run("kill -USR1 $$")
    assert (end.reason, end.signal) == (Reason.SIGNAL, signal.SIGUSR1)
    end = worker.run("kill -KILL $$")
    assert (end.reason, end.signal, end.exit_code) == (Reason.SIGNAL, 9, None)
    assert "outside" in (end.message or "")


def test_resource_usage(worker: WorkerHarness) -> None:
    """CPU time counts the main process and what it waited for; memory is in bytes."""
    spend = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"
    end = worker.run(f"({spend}); exit 0")
    assert end.user_ms is not None
    assert end.user_ms > 0
    assert end.system_ms is not None
    assert end.started_at is not None
    assert end.finished_at - end.started_at >= end.user_ms // 2


def test_memory_is_the_jobs_own(worker: WorkerHarness) -> None:
    """Not that of the worker, in which it began; a child's counts if it was waited for.

    What is no more than that is not told, however much was used before.
    """
    take = f"{sys.executable} -c 'bytearray(%d << 20)'"
    assert worker.run("true").max_rss is None
    for command in (f"exec {take % 100}", f"{take % 60}; :"):
        found = worker.run(command).max_rss
        assert found is not None
        assert 60 << 20 < found < 400 << 20
    assert worker.run("true").max_rss is None


def test_record_follows_the_worker(worker: WorkerHarness) -> None:
    """The record names the worker, and its job while it runs."""
    idle = worker.record()
    assert idle is not None
    assert (idle.store, idle.worker, idle.pid) == (worker.store, 1, worker.pid)
    assert idle.boot_id == procfs.boot_id()
    assert idle.ticks == procfs.start_ticks(worker.pid)
    assert (idle.lease, idle.job_pid) == (None, None)
    job = worker.start("exec sleep 60", run=4)
    busy = worker.record()
    assert busy is not None
    assert (busy.lease, busy.seq, busy.run) == (job.lease, job.seq, 4)
    assert busy.job_pid is not None
    assert busy.job_ticks == procfs.start_ticks(busy.job_pid)
    worker.send(messages.End(job.lease, Reason.CANCELLED, 0))
    worker.finished()
    worker.send(messages.Ack(job.lease))
    waiting.until(lambda: worker.record() == idle, "the record to be idle again")


def test_start_ticks_are_the_kernels(worker: WorkerHarness) -> None:
    """The start ticks that the clock tells are those in /proc."""
    for _ in range(30):
        job = worker.job("exec sleep 60")
        worker.send(job)
        record = worker.started(job)
        assert record.job_pid is not None
        assert record.job_ticks == procfs.start_ticks(record.job_pid)
        worker.send(messages.End(job.lease, Reason.CANCELLED, 0))
        worker.finished()


def test_idle_means_idle(worker: WorkerHarness) -> None:
    """An idle worker waits in one poll without a timeout, also after a job."""
    worker.run("true")
    if os.uname().machine != "x86_64":
        pytest.skip("system call numbers are known here for x86_64")
    where = Path(f"/proc/{worker.pid}/syscall")
    forever = "0xffffffff"

    def waits() -> bool:
        words = where.read_text().split()
        return words[0] == "7" and words[3].startswith(forever)

    waiting.until(waits, "poll(2) without a timeout")


def test_a_small_worker(worker: WorkerHarness) -> None:
    """A worker takes less than 15 MB."""
    worker.run("true")
    status = Path(f"/proc/{worker.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS")]
    assert int(line.split()[1]) < 15_000


def test_jobs_get_the_limit_of_descriptors_that_the_daemon_began_with(
    tmp_path: Path,
) -> None:
    """A job has the soft limit of descriptors that the hello says."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with worker_harness.worker(tmp_path, descriptors=333) as worker:
        text = worker.output_of("ulimit -Sn; ulimit -Hn")
    assert text.split() == ["333", "unlimited" if hard < 0 else str(hard)]
