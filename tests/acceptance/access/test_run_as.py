"""Jobs that run as who enqueued them: real accounts, and a real daemon as root."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace

import pytest

from helpers import processes
from helpers.access import ROOT
from helpers.accounts import (
    ALICE,
    BOB,
    CAROL,
    LENT,
    NAMES,
    STAFF,
    WORKERS,
    Machine,
    a_machine,
    account,
    dropped,
    needs_accounts,
)
from helpers.users import User, acting_as
from helpers.waiting import until
from queuectl_protocol.errors import ErrorCode

pytestmark = needs_accounts

IDS = "id -u; id -g; id -G"


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """A daemon as root with two workers, for alice, bob and carol."""
    with a_machine() as made:
        yield made


# -- who a job is ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "groups"), [(ALICE, f"{ALICE.gid} {STAFF}"), (BOB, f"{BOB.gid}")]
)
def test_a_job_is_its_submitter(machine: Machine, user: User, groups: str) -> None:
    """Uid, gid and groups, all three of each, are those of who enqueued it."""
    assert machine.said(user, IDS).splitlines() == [
        str(user.uid),
        str(user.gid),
        groups,
    ]
    status = machine.said(user, "grep -E '^(Uid|Gid):' /proc/self/status").split()
    assert status == ["Uid:", *[str(user.uid)] * 4, "Gid:", *[str(user.gid)] * 4]


def test_jobs_of_a_batch_are_their_submitters(machine: Machine) -> None:
    """enqueue_many remembers the groups as enqueue does."""
    with acting_as(ALICE), machine.served.connect() as client:
        ids = client.call("enqueue_many", jobs=[{"command": "id -G"}] * 2)["ids"]
    for job_id in ids:
        assert machine.ended(job_id)["state"] == "completed"
        assert machine.output(job_id) == f"{ALICE.gid} {STAFF}\n"


def test_a_job_of_root_runs_as_root(machine: Machine) -> None:
    """Root enqueues as root, as everybody enqueues as himself."""
    assert machine.said(ROOT, "id -u; id -g") == "0\n0\n"


def test_an_argv_runs_as_its_submitter(machine: Machine) -> None:
    """A command without a shell is looked up and started as the account, too."""
    with acting_as(BOB), machine.served.connect() as client:
        job = {"command": ["id", "-u"]}
        job_id = client.call("enqueue", job=job)["job"]["id"]
    assert machine.ended(job_id)["state"] == "completed"
    assert machine.output(job_id) == f"{BOB.uid}\n"


def test_a_retry_by_root_is_still_the_submitters(machine: Machine) -> None:
    """Whoever queues a job again, it runs as who enqueued it."""
    job = machine.run(ALICE, "id -u")
    machine.served.call("retry", id=job["id"])
    assert machine.ended(job["id"])["state"] == "completed"
    assert machine.output(job["id"]) == f"{ALICE.uid}\n"


def test_a_minimal_environment_is_the_accounts(machine: Machine) -> None:
    """HOME and the names are the submitter's; one that was given is left alone."""
    told = machine.said(ALICE, 'echo "$HOME $USER $LOGNAME $SHELL"')
    assert told == f"{machine.home(ALICE)} alice alice /bin/sh\n"
    # The same worker or the other: what was sent to it last makes no difference.
    for user in (BOB, ALICE, BOB, ALICE):
        assert machine.said(user, 'echo "$USER"') == f"{NAMES[user.uid]}\n"
    given = machine.said(ALICE, 'echo "$A:$USER:$HOME"', env={"A": "1"})
    assert given == "1::\n"


# -- what a job may not ---------------------------------------------------------------


def test_a_job_reads_what_its_user_may_read(machine: Machine) -> None:
    """Its own files; not somebody else's, not root's, and nothing of the daemon's."""
    files = {}
    for user in (ALICE, BOB, ROOT):
        file = machine.folder / f"of-{user.uid}"
        file.write_text("private\n")
        file.chmod(0o600)
        os.chown(file, user.uid, user.gid)
        files[user] = file
    assert machine.said(ALICE, f"cat {files[ALICE]}") == "private\n"
    closed = [files[BOB], files[ROOT], machine.served.home / "queuectl.db"]
    for path in closed:
        job = machine.run(ALICE, f"cat {path}")
        assert (job["state"], job["exit_code"]) == ("dead", 1)
        assert "Permission denied" in machine.output(job["id"], "stderr")
    job = machine.run(ALICE, f"ls {machine.served.home / 'output'}")
    assert "Permission denied" in machine.output(job["id"], "stderr")


def test_a_job_has_no_capabilities(machine: Machine) -> None:
    """None that it could use, and none that a program could give it."""
    told = machine.said(ALICE, "grep -E '^Cap(Inh|Prm|Eff|Amb)' /proc/self/status")
    values = [line.split()[1] for line in told.splitlines()]
    assert values == ["0" * 16] * 4


def test_a_job_has_no_descriptor_of_the_daemon(machine: Machine) -> None:
    """Three of its own, and the one by which ls looks."""
    assert machine.said(ALICE, "exec ls /proc/self/fd").split() == ["0", "1", "2", "3"]


def test_what_a_setgid_program_lent_is_not_the_jobs(machine: Machine) -> None:
    """Its group is the one it connects with, and none of the account's."""
    borrower = replace(ALICE, gid=LENT, groups=(*ALICE.groups, LENT))
    assert machine.said(borrower, IDS).splitlines() == [
        str(ALICE.uid),
        str(ALICE.gid),
        f"{ALICE.gid} {STAFF}",
    ]


def test_groups_that_were_given_up_are_not_given_back(machine: Machine) -> None:
    """Who enqueues without the groups of the account has jobs without them."""
    assert machine.said(dropped(ALICE), "id -G") == f"{ALICE.gid}\n"
    done = machine.typed(dropped(ALICE), "run", "id -G")
    assert (done.returncode, done.stdout) == (0, f"{ALICE.gid}\n"), done.stderr


def test_groups_that_were_taken_away_since_are_gone(machine: Machine) -> None:
    """What counts is the list of groups when the job starts."""
    with machine.without("group", "alice"):
        assert machine.said(ALICE, "id -G") == f"{ALICE.gid}\n"
    assert machine.said(ALICE, "id -G") == f"{ALICE.gid} {STAFF}\n"


def test_the_group_that_somebody_changed_to_is_the_jobs(machine: Machine) -> None:
    """As with newgrp: the gid is that at enqueue, if the account is in the group."""
    changed = replace(ALICE, gid=STAFF)
    assert machine.said(changed, "id -g") == f"{STAFF}\n"


def test_an_account_that_was_removed_runs_nothing(machine: Machine) -> None:
    """Its jobs end dead after their retries, and say why."""
    with machine.without("passwd", account(machine, CAROL)):
        job = machine.run(CAROL, "true", max_retries=1, backoff_max=0)
    assert (job["state"], job["runs"], job["reason"]) == ("dead", 2, "spawn_error")
    assert job["message"].startswith(
        f"the submitter, uid {CAROL.uid}, has no account on this machine"
    )
    assert machine.said(CAROL, "id -u") == f"{CAROL.uid}\n"


# -- where a job runs, and what it leaves ---------------------------------------------


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


def test_the_greeting_tells_whom_jobs_run_as(machine: Machine) -> None:
    """For each client it is the client."""
    for user, role in ((ALICE, "submit"), (ROOT, "admin")):
        with acting_as(user), machine.served.connect() as client:
            greeting = client.greeting()
        assert greeting["uid"] == user.uid
        assert greeting["you"] == {"uid": user.uid, "role": role}


# -- output ---------------------------------------------------------------------------


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


# -- its end --------------------------------------------------------------------------


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


# -- jobs that enqueue jobs -----------------------------------------------------------


def test_a_job_enqueues_a_job_as_itself(machine: Machine) -> None:
    """It finds the daemon by QUEUECTL_SOCKET, and is there who its submitter is."""
    environ = {**machine.environ, "QUEUECTL_SOCKET": "/nowhere"}
    command = f"{machine.python} -m queuectl enqueue --id inner 'id -u; id -G'"
    machine.said(ALICE, command, env=environ)
    inner = machine.ended("inner")
    assert (inner["state"], inner["submitter"]) == ("completed", ALICE.uid)
    assert machine.output("inner") == f"{ALICE.uid}\n{ALICE.gid} {STAFF}\n"


# -- the daemon -----------------------------------------------------------------------


def test_a_killed_daemon_changes_nobody() -> None:
    """What runs goes on, and what waits starts later as who enqueued it."""
    with a_machine() as machine:
        gate = machine.home(ALICE) / "gate"
        os.mkfifo(gate)
        os.chown(gate, ALICE.uid, ALICE.gid)
        waiting = [machine.enqueue(ALICE, f"read line < {gate}; {IDS}")]
        with gate.open("wb"):  # it opens when the job reads
            waiting.append(machine.enqueue(ALICE, IDS, delay=3600))
            assert machine.served.stop(signal.SIGKILL) == -signal.SIGKILL
            machine.restart()
            machine.served.call("cancel", id=waiting[1])
            machine.served.call("retry", id=waiting[1])
        for job_id in waiting:
            assert machine.ended(job_id)["state"] == "completed"
            groups = f"{ALICE.gid} {STAFF}"
            assert machine.output(job_id) == f"{ALICE.uid}\n{ALICE.gid}\n{groups}\n"


def test_a_job_from_before_the_option_went_does_not_become_root() -> None:
    """What was enqueued to run as somebody does so, whatever is configured since."""
    with a_machine() as machine:
        waits = [machine.enqueue(ALICE, IDS, delay=3600) for _ in range(2)]
        assert machine.served.stop(signal.SIGTERM) == 0
        config = machine.folder / "queuectld.toml"
        config.write_text(config.read_text().replace('run_as = "submitter"', ""))
        machine.restart()
        for job_id in waits:
            machine.served.call("cancel", id=job_id)
            machine.served.call("retry", id=job_id)
            assert machine.ended(job_id)["state"] == "completed"
            groups = f"{ALICE.gid} {STAFF}"
            assert machine.output(job_id) == f"{ALICE.uid}\n{ALICE.gid}\n{groups}\n"


def test_doctor_says_what_submit_comes_to(machine: Machine) -> None:
    """No warning of root, and no word that submit were as much as admin."""
    checks = {each["name"]: each for each in machine.served.call("doctor")["checks"]}
    detail = checks["trust"]["detail"]
    assert detail.startswith("each job runs as its submitter")
    assert "submit equals admin" not in detail
    assert "submit: alice, bob, carol" in detail


def test_only_root_can_run_jobs_as_others(machine: Machine) -> None:
    """Anybody else's daemon does not start, and says what to do."""
    options = ("--run-as", "submitter", "--config", str(machine.home(ALICE) / "none"))
    done = machine.typed(ALICE, *options, module="queuectld")
    assert done.returncode == 2
    assert "queuectld: --run-as: only root " in done.stderr
    assert "Traceback" not in done.stderr
