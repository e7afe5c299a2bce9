"""What jobs of the service may do, as installed and with each example of a drop-in.

``helpers/probe.py`` is run by the account queuectl by itself, and by a job: what the
one can and the other cannot is what the unit takes.
"""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers import probe
from helpers.systemdbox import Box
from helpers.systemdbox_installed import CONFIG, MEMBER, SERVICE, SOCKET, UNITS
from helpers.systemdbox_queue import Service
from helpers.waiting import until

PROGRAM = "/srv/probe.py"
PYTHON = "/opt/queuectl/bin/python"
ACCOUNT = "queuectl"

_PREPARE = f"""
mkdir -p /usr/lib/modules
mkdir --mode=1777 /srv/shared /home/shared /usr/local/shared
cp /usr/bin/id {probe.SETUID} && chmod 4755 {probe.SETUID}
cp /usr/bin/id {probe.SETGID} && chmod 2755 {probe.SETGID}
mknod --mode=666 {probe.DEVICE} c 10 229  # FUSE's, as most kernels have it
"""
_CLEAN = f"""
rm -rf {probe.SETUID} {probe.SETGID} {probe.DEVICE} {PROGRAM}
rm -rf /srv/shared /home/shared /usr/local/shared
"""

PRIVILEGES = {"setuid program", "setgid program"}
SHIPPED = {*PRIVILEGES, "write /usr/local/shared", "packets inside"}
"""What the unit takes from a job: see systemd/README.md for why each."""
WRONG = ("clock_settime", "settimeofday", "swapon", "iopl")
INSIDE = {name for name in probe.ACTS if name.endswith(" inside")}
STRICT = (
    {*SHIPPED, *INSIDE, "user namespace"}
    | {"write /srv/shared", "write /home/shared", "list /home", "open device"}
    | {"list /usr/lib/modules", "open /proc/1/status", "make setuid", "make setgid"}
    | {"map W+X", "make code executable", "32-bit call", "personality", "be traced"}
    | {"reset on fork", "read adjtimex", "read LDT", "sysfs call", "connect TCP"}
    | {"socket inet6", "socket netlink", "socket alg", "socket vsock"}
)


@pytest.fixture(scope="module")
def probing(box: Box) -> Iterator[None]:
    """The probe, and what it looks at, in the box."""
    shutil.copy(Path(probe.__file__), box.file(PROGRAM))
    box.ok("sh", "-ec", _PREPARE)
    yield
    box.ok("sh", "-ec", _CLEAN)


@pytest.fixture(scope="module")
def account(box: Box, request: pytest.FixtureRequest) -> dict[str, str]:
    """What the service's account can do without the service."""
    request.getfixturevalue("probing")
    home = box.ok("sh", "-c", f"echo ~{ACCOUNT}").strip()
    box.ok("install", "--directory", f"--owner={ACCOUNT}", home)
    found: dict[str, str] = json.loads(box.ok(PYTHON, PROGRAM, user=ACCOUNT))
    box.ok("rm", "-rf", home)
    return found


def copy_example(service: Service, name: str) -> None:
    """Do with an example what it says."""
    folder = service.box.file(f"/etc/systemd/system/{SERVICE}.d")
    folder.mkdir(exist_ok=True)
    shutil.copy(UNITS / f"{SERVICE}.d/{name}.conf.example", folder / f"{name}.conf")
    service.box.systemctl("daemon-reload")


def probed(service: Service) -> dict[str, str]:
    """Return what a job can do."""
    found: dict[str, str] = json.loads(service.ok("run", "--", PYTHON, PROGRAM))
    return found


def allowed(tried: dict[str, str]) -> set[str]:
    return {name for name, said in tried.items() if said == "ok"}


def status_of(service: Service, user: str = MEMBER) -> dict[str, str]:
    """Return what the kernel says of a job's process."""
    said = service.ok("run", "cat /proc/self/status", user=user)
    pairs = (line.partition(":") for line in said.splitlines())
    return {name: value.strip() for name, _, value in pairs}


# -- as installed ----------------------------------------------------------------------


def test_a_job_can_do_what_its_account_can(
    service: Service, account: dict[str, str]
) -> None:
    """All but to gain privileges, and two things that README names."""
    ordinary = {"write home", "write /tmp", "connect TCP", "fork", "map W+X"}
    assert ordinary | PRIVILEGES <= allowed(account)
    service.start(workers=1)
    job = allowed(probed(service))
    assert allowed(account) - job == SHIPPED & allowed(account)
    assert job - allowed(account) == set()


def test_what_no_job_can_use_is_refused_before_the_kernel_looks(
    service: Service, account: dict[str, str]
) -> None:
    """The filter answers, with EPERM, where the kernel would find a mistake."""
    service.start(workers=1)
    job = probed(service)
    calls = [name for name in WRONG if account[f"wrong {name}"] != "ENOSYS"]
    assert {account[f"wrong {name}"] for name in calls} <= {"EINVAL", "EFAULT"}
    assert {job[f"wrong {name}"] for name in calls} <= {"EPERM"}
    assert job["socket packet"] == "EAFNOSUPPORT"


def test_a_job_has_no_capability_and_gets_none(service: Service) -> None:
    """Not even as what a program with file capabilities could get at most."""
    service.start(workers=1)
    status = status_of(service)
    sets = [status[f"Cap{name}"] for name in ("Inh", "Prm", "Eff", "Bnd", "Amb")]
    assert {int(each, 16) for each in sets} == {0}
    assert status["NoNewPrivs"] == "1"


@pytest.mark.usefixtures("probing")
@pytest.mark.skipif(
    not any(map(shutil.which, ("dbus-daemon", "dbus-broker"))),
    reason="needs D-Bus, by which loginctl is told",
)
def test_a_users_own_queue_takes_nothing_at_all(service: Service) -> None:
    """Jobs there are the user's own: setuid programs work; a reload does."""
    box = service.box
    uid = box.ok("id", "--user", MEMBER).strip()
    mine = {"XDG_RUNTIME_DIR": f"/run/user/{uid}", "HOME": f"/home/{MEMBER}"}

    def as_member(*argv: str) -> str:
        return box.ok(*argv, user=MEMBER, **mine)

    box.ok("loginctl", "enable-linger", MEMBER)
    manager = f"user@{uid}.service"
    until(lambda: box.show(manager, "ActiveState") == "active", "the user's systemd")
    as_member("systemctl", "--user", "start", SOCKET)
    by_itself = json.loads(as_member(PYTHON, PROGRAM))
    as_member("queuectl", "worker", "start")
    assert json.loads(as_member("queuectl", "run", "--", PYTHON, PROGRAM)) == by_itself
    as_member("systemctl", "--user", "reload", SERVICE)
    box.ok("loginctl", "disable-linger", MEMBER)
    until(lambda: box.show(manager, "ActiveState") == "inactive", "it has ended")


# -- with an example -------------------------------------------------------------------


def test_privileges_conf_gives_setuid_programs_back(
    service: Service, account: dict[str, str]
) -> None:
    """And with them all that implies their refusal; /usr is read-only still."""
    copy_example(service, "privileges")
    service.start(workers=1)
    job = allowed(probed(service))
    assert allowed(account) - job == {"write /usr/local/shared"}
    assert status_of(service)["NoNewPrivs"] == "0"


def test_strict_conf_takes_what_it_says_and_the_daemon_is_well(
    service: Service, account: dict[str, str]
) -> None:
    """Watchdog, journal, reload and a job with its files; nothing else is left."""
    copy_example(service, "strict")
    service.drop_in("[Service]\nWatchdogSec=500ms\n")
    service.configure('log_level = "debug"')
    daemon = service.start(workers=1)
    first = service.box.show(SERVICE, "WatchdogTimestampMonotonic")
    until(
        lambda: service.box.show(SERVICE, "WatchdogTimestampMonotonic") != first,
        "it tells that it is alive",
    )
    job = allowed(probed(service))
    assert allowed(account) - job == STRICT & allowed(account)
    assert job - allowed(account) == set()
    assert service.ok("run", "echo known >/tmp/file && cat /tmp/file") == "known"
    assert "attempt_started" in service.journal()
    service.box.systemctl("reload", SERVICE)
    assert service.main_pid == daemon
    assert service.box.show(SERVICE, "NRestarts") == "0"


@pytest.mark.usefixtures("probing")
def test_a_directory_can_be_opened_to_strict_jobs(service: Service) -> None:
    """By the line that the example has for it."""
    copy_example(service, "strict")
    service.drop_in("[Service]\nReadWritePaths=/srv/shared\n")
    service.start(workers=1)
    service.ok("run", "echo x >/srv/shared/file")
    assert service.queuectl("run", "echo x >/srv/gates/file").code != 0


def test_strict_jobs_keep_their_temporary_files_over_a_restart(
    service: Service,
) -> None:
    """Those of PrivateTmp= would be deleted under a job that goes on."""
    copy_example(service, "strict")
    service.start(workers=1)
    gate = service.gate("held")
    command = f"echo kept >/tmp/file; read line <{gate.path}; cat /tmp/file"
    service.ok("enqueue", "--id", "long", "--max-retries", "0", command)
    gate.reached()
    service.box.systemctl("restart", SERVICE)
    gate.open()
    service.ok("wait", "long")
    assert service.ok("logs", "long") == "kept"


@pytest.mark.usefixtures("probing")
def test_submitter_conf_has_each_job_run_as_who_enqueued_it(service: Service) -> None:
    """Without a capability; a job of root has those of the daemon, and no others."""
    copy_example(service, "submitter")
    service.start(workers=1)
    theirs, roots = status_of(service), status_of(service, user="root")
    assert service.ok("run", "id --user --name") == MEMBER
    assert int(theirs["CapEff"], 16) == 0
    assert service.ok("run", f"{probe.SETUID} --user") != "0"
    assert roots["CapEff"] == roots["CapBnd"] == theirs["CapBnd"]
    sys_admin = 1 << 21
    assert not int(roots["CapEff"], 16) & sys_admin
    service.drop_in(uncommented("submitter"))
    service.box.systemctl("restart", SERVICE)
    assert service.ok("run", f"{probe.SETUID} --user") == "0"


@pytest.mark.usefixtures("probing")
def test_under_submitter_conf_the_next_daemon_can_end_somebodys_job(
    service: Service,
) -> None:
    """What the drop-in leaves it is enough to take a job over, and to kill it."""
    copy_example(service, "submitter")
    first = service.start(workers=1)
    service.waiting_job("long", first="trap '' TERM; ")
    service.ok("config", "set", "kill_grace", "0", user="root")
    service.box.systemctl("kill", "--signal=KILL", "--kill-whom=main", SERVICE)
    until(lambda: service.main_pid not in {0, first}, "it is restarted")
    until(lambda: service.state == "active", "the next daemon is ready")
    service.ok("cancel", "long")
    until(lambda: service.show("long")["state"] == "cancelled", "it is cancelled")


def uncommented(name: str) -> str:
    """Return what an example has in comments, as somebody takes it out of them."""
    text = (UNITS / f"{SERVICE}.d/{name}.conf.example").read_text()
    lines = re.findall(r"(?m)^#(\w+=.*)", text)
    return "\n".join(["[Service]", *lines])


# -- reload ----------------------------------------------------------------------------


def test_a_reload_lasts_until_it_is_done(service: Service) -> None:
    """A right that was taken away is gone when systemctl returns, every time."""
    service.start()
    granted = service.box.file(CONFIG).read_text()
    for _ in range(5):
        service.box.file(CONFIG).write_text(granted.replace("@queuectl", "bob"))
        service.box.systemctl("reload", SERVICE)
        assert service.queuectl("status").code == 1
        service.box.file(CONFIG).write_text(granted)
        service.box.systemctl("reload", SERVICE)
        assert service.queuectl("status").code == 0


def test_a_reload_of_a_file_with_a_mistake_fails(service: Service) -> None:
    """Whoever typed it sees that; the daemon is not even told."""
    daemon = service.start()
    service.configure("max_pages = 5")
    assert service.box.run("systemctl", "reload", SERVICE).code == 1
    assert "no option 'max_pages'" in service.journal("--priority=err")
    assert "reload_refused" not in service.journal()
    assert (service.main_pid, service.state) == (daemon, "active")
