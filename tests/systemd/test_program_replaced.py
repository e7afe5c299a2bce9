"""The program is replaced by another version while jobs run."""

import json
from collections.abc import Callable, Iterator

import pytest

from helpers.systemdbox import Box
from helpers.systemdbox_installed import CONFIG, MEMBER, SERVICE
from helpers.systemdbox_queue import GATES, Gate, Service

NEW = "10.0.0"
PROGRAM = "/opt/queuectl"
ELSEWHERE = "/opt/queuectl-10"

KEEP = f"cp --archive {PROGRAM} {PROGRAM}.kept"
RESTORE = f"""
rm -rf {PROGRAM} {ELSEWHERE}
mv {PROGRAM}.kept {PROGRAM}
ln -sf {PROGRAM}/bin/queuectl {PROGRAM}/bin/queuectld /usr/local/bin
"""
IN_PLACE = f"""
cp --archive {PROGRAM}.kept {PROGRAM}.new
sed -i 's/^__version__ = .*/__version__ = "{NEW}"/' \
    {PROGRAM}.new/lib/*/site-packages/queuectl_protocol/version.py
rm -rf {PROGRAM}
mv {PROGRAM}.new {PROGRAM}
"""
# Nothing is left where the programs that run would look for a part of themselves.
MOVED = f"""{IN_PLACE}
mv {PROGRAM} {ELSEWHERE}
sed -i '1s:{PROGRAM}/:{ELSEWHERE}/:' {ELSEWHERE}/bin/queuectl {ELSEWHERE}/bin/queuectld
ln -sf {ELSEWHERE}/bin/queuectl {ELSEWHERE}/bin/queuectld /usr/local/bin
"""

Upgrade = Callable[[str], None]


@pytest.fixture
def upgrade(box: Box) -> Iterator[Upgrade]:
    """Replace the program; put the old one back at the end."""
    box.ok("sh", "-ec", KEEP)

    def replace(script: str) -> None:
        box.ok("sh", "-ec", script)

    yield replace
    box.ok("sh", "-ec", RESTORE)


def by_systemd(service: Service) -> None:
    service.box.systemctl("restart", SERVICE)


def by_its_admin(service: Service) -> None:
    said = service.queuectl("daemon", "restart")
    assert said.code == 0, said
    assert said.out == f"queuectld is running, pid {service.main_pid}\n"


@pytest.mark.parametrize(
    ("restart", "script"),
    [(by_systemd, MOVED), (by_its_admin, IN_PLACE)],
    ids=["systemctl, elsewhere", "queuectl, in place"],
)
def test_running_jobs_survive_an_upgrade(
    service: Service,
    upgrade: Upgrade,
    restart: Callable[[Service], None],
    script: str,
) -> None:
    """Their processes go on; each end is recorded once, by whichever version runs."""
    service.box.ok("sh", "-c", f"echo 'admin = [\"{MEMBER}\"]' >>{CONFIG}")
    old = service.start(workers=2)
    ends_before, ends_after = service.waiting_job("old"), service.waiting_job("new")
    upgrade(script)
    ends_before.open("3")
    assert service.queuectl("wait", "old").code == 3
    assert version(service) != NEW
    ends_last = service.waiting_job("last")
    spared = set(service.box.processes(SERVICE)) - {old}

    restart(service)
    assert service.main_pid not in (0, old)
    assert version(service) == NEW
    assert spared <= set(service.box.processes(SERVICE))
    ends_after.open("4")
    ends_last.open("0")
    assert service.queuectl("wait", "new", "last").code == 4
    names = ("old", "new", "last")
    ends = [[("exit", code)] for code in (3, 4, 0)]
    assert [service.attempts(name) for name in names] == ends
    service.ok("enqueue", "--wait", "true")


def version(service: Service) -> str:
    told: str = json.loads(service.ok("daemon", "status", "--json"))["version"]
    return told


def test_running_jobs_survive_an_upgrade_without_a_service(
    service: Service, upgrade: Upgrade
) -> None:
    """A daemon that runs in the background is replaced by one of the new version."""
    box = service.box
    home = box.ok("mktemp", "--directory", user=MEMBER).strip()

    def mine(*arguments: str) -> str:
        return box.ok("queuectl", *arguments, user=MEMBER, QUEUECTL_HOME=home)

    mine("worker", "start")
    gate: Gate = service.gate("mine")
    command = f"echo $PPID $$; read line <{GATES}/mine; echo $line"
    mine("enqueue", "--id", "mine", command)
    gate.reached()
    upgrade(MOVED)
    mine("daemon", "restart")
    assert json.loads(mine("daemon", "status", "--json"))["version"] == NEW
    worker, job = mine("logs", "mine").split()
    box.ok("kill", "-0", worker, job)
    gate.open("on")
    mine("wait", "mine")
    assert mine("logs", "mine", "--attempt", "1") == f"{worker} {job}\non\n"
    mine("daemon", "stop")
