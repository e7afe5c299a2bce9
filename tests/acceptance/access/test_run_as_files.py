"""Jobs that run as their submitters: directories, files, output and processes."""

import os

from helpers import processes
from helpers.accounts import (
    ALICE,
    BOB,
    WORKERS,
    Machine,
    needs_accounts,
)
from helpers.users import acting_as
from helpers.waiting import until
from queuectl_protocol.errors import ErrorCode

pytestmark = needs_accounts


def test_a_directory_is_entered_as_the_submitter(machine: Machine) -> None:
    """One's own, closed to all others, is; that of another is no place to start in."""
    home = str(machine.home(ALICE))
    assert machine.said(ALICE, "pwd", cwd=home) == f"{home}\n"
    job = machine.run(BOB, "pwd", cwd=home)
    assert (job["state"], job["reason"]) == ("dead", "spawn_error")
    assert home in job["message"]
    assert "ermission denied" in job["message"]


def test_a_program_is_found_as_the_submitter(machine: Machine) -> None:
    """One that the user may not execute is not started by a daemon that may."""
    program = machine.home(ALICE) / "program"
    program.write_text("#!/bin/sh\nid -u\n")
    program.chmod(0o755)
    for user, state in ((ALICE, "completed"), (BOB, "dead")):
        with acting_as(user), machine.served.connect() as client:
            job = {"command": [str(program)], "max_retries": 0}
            job_id = client.call("enqueue", job=job)["job"]["id"]
        assert machine.ended(job_id)["state"] == state


def test_a_file_is_the_submitters_with_the_umask_given(machine: Machine) -> None:
    """Owner and group are the account's, the mode is 0666 without the umask."""
    home = machine.home(ALICE)
    machine.said(ALICE, "touch made", cwd=str(home), umask="0027")
    found = (home / "made").stat()
    assert (found.st_uid, found.st_gid) == (ALICE.uid, ALICE.gid)
    assert found.st_mode & 0o777 == 0o640


def test_the_command_line_hands_on_directory_umask_and_environment(
    machine: Machine,
) -> None:
    """The job runs as who types, so it inherits, though the daemon is root's."""
    done = machine.typed(ALICE, "run", 'pwd; umask; echo "$PYTHONDONTWRITEBYTECODE"')
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{machine.home(ALICE)}\n0027\n1\n"


def test_output_is_told_to_its_owner_alone(machine: Machine) -> None:
    """The files lie where no submitter can go: the daemon reads them out."""
    job = machine.run(ALICE, "echo secret")
    own = machine.typed(ALICE, "logs", job["id"])
    assert (own.returncode, own.stdout) == (0, "secret\n"), own.stderr
    other = machine.typed(BOB, "logs", job["id"])
    assert (other.returncode, other.stdout) == (1, "")
    assert "operate" in other.stderr


def test_a_job_can_open_its_output_by_name(machine: Machine) -> None:
    """As scripts do with /dev/stderr: the files belong to the account."""
    command = "echo out > /dev/stdout; echo err > /dev/stderr"
    job = machine.run(ALICE, command)
    assert job["state"] == "completed"
    assert machine.output(job["id"]) == "out\n"
    assert machine.output(job["id"], "stderr") == "err\n"


def test_nobody_reads_on_in_the_output_of_the_next_user(machine: Machine) -> None:
    """A descriptor of one's own empty output leads to nothing that others write."""
    home = machine.home(ALICE)
    pids = [home / f"pid-{number}" for number in range(WORKERS)]
    gates = [home / f"gate-{number}" for number in range(WORKERS)]
    for gate in gates:
        os.mkfifo(gate)
        os.chown(gate, ALICE.uid, ALICE.gid)
    held = [
        machine.enqueue(ALICE, f"echo $$ >{pid}; read _ <{gate}; true")
        for pid, gate in zip(pids, gates, strict=True)
    ]
    for pid in pids:
        until(lambda pid=pid: pid.exists() and pid.read_text().strip(), "the job runs")
    with acting_as(ALICE):
        kept = [
            os.open(f"/proc/{pid.read_text().strip()}/fd/{stream}", os.O_RDONLY)
            for pid in pids
            for stream in (1, 2)
        ]
    # These wait, so that each worker gets one together with the end of its last.
    others = [machine.enqueue(BOB, "echo secret; echo secret >&2") for _ in held]
    for gate in gates:
        gate.open("wb").close()
    for job_id in (*held, *others):
        assert machine.ended(job_id)["state"] == "completed"
    assert [machine.output(job_id) for job_id in others] == ["secret\n"] * WORKERS
    assert [os.pread(fd, 100, 0) for fd in kept] == [b""] * len(kept)
    for fd in kept:
        os.close(fd)


def test_a_kept_descriptor_adds_nothing_to_an_ended_job(machine: Machine) -> None:
    """It can be written to for ever, and cut: neither passes for the job's output."""
    home = machine.home(ALICE)
    pid, gate = home / "kept-pid", home / "kept-gate"
    os.mkfifo(gate)
    os.chown(gate, ALICE.uid, ALICE.gid)
    job_id = machine.enqueue(ALICE, f"echo $$ >{pid}; read _ <{gate}; echo ok")
    until(lambda: pid.exists() and pid.read_text().strip(), "the job runs")
    with acting_as(ALICE):
        kept = os.open(f"/proc/{pid.read_text().strip()}/fd/1", os.O_RDWR | os.O_APPEND)
    try:
        gate.open("wb").close()
        assert machine.ended(job_id)["state"] == "completed"
        os.write(kept, b"x" * 100_000)
        assert machine.output(job_id) == "ok\n"
        followed = machine.typed(ALICE, "logs", "--follow", job_id)
        assert (followed.returncode, followed.stdout) == (0, "ok\n")
        listed = machine.typed(ALICE, "list", "--output", "--limit", "1")
        assert "xxx" not in listed.stdout
        os.ftruncate(kept, 0)
        read = machine.typed(ALICE, "logs", job_id)
        assert (read.returncode, read.stdout) == (1, "")
        assert "it had 3 bytes, and its file has 0 now" in read.stderr
    finally:
        os.close(kept)


def _tree(machine: Machine, mark: str) -> str:
    """Return a command of several processes, one that left the session among them."""
    ready = machine.home(ALICE) / f"ready-{mark}"
    return (
        f"setsid sleep 1000.{mark} & sleep 1000.{mark} & "
        f"touch {ready}; exec sleep 1000.{mark}"
    )


def test_a_cancelled_job_is_ended_with_all_its_processes(machine: Machine) -> None:
    """By its submitter, and by nobody else with the role submit."""
    job_id = machine.enqueue(ALICE, _tree(machine, "71"))
    ready = machine.home(ALICE) / "ready-71"
    until(ready.exists, "the job has started its processes")
    until(lambda: len(processes.marked("1000.71")) >= 3, "they run")
    with acting_as(BOB), machine.served.connect() as client:
        assert client.refused("cancel", id=job_id).code == ErrorCode.FORBIDDEN
    with acting_as(ALICE), machine.served.connect() as client:
        client.call("cancel", id=job_id)
    assert machine.ended(job_id)["state"] == "cancelled"
    assert processes.marked("1000.71") == []


def test_a_job_that_runs_too_long_is_ended_with_all_its_processes(
    machine: Machine,
) -> None:
    """The timeout is the worker's, which is root."""
    job = machine.run(ALICE, _tree(machine, "72"), timeout=1)
    assert (job["state"], job["reason"]) == ("dead", "timeout")
    assert processes.marked("1000.72") == []
