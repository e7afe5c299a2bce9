"""Jobs that run as who enqueued them: real accounts, and a real daemon as root."""

import os
import signal
from dataclasses import replace

import pytest

from helpers.access import ROOT
from helpers.accounts import (
    ALICE,
    BOB,
    CAROL,
    LENT,
    NAMES,
    STAFF,
    Machine,
    a_machine,
    account,
    dropped,
    needs_accounts,
)
from helpers.users import User, acting_as

pytestmark = needs_accounts

IDS = "id -u; id -g; id -G"


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


def test_the_greeting_tells_whom_jobs_run_as(machine: Machine) -> None:
    """For each client it is the client."""
    for user, role in ((ALICE, "submit"), (ROOT, "admin")):
        with acting_as(user), machine.served.connect() as client:
            greeting = client.greeting()
        assert greeting["uid"] == user.uid
        assert greeting["you"] == {"uid": user.uid, "role": role}


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
