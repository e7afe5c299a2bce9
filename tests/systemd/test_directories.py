"""Which directories the service has, and whose they are."""

import json
import shutil
from pathlib import Path

import pytest

from helpers.systemdbox_installed import (
    CONFIG,
    MEMBER,
    SERVICE,
    SOCKET,
    STRANGER,
    UNITS,
)
from helpers.systemdbox_queue import LISTENS, Service
from helpers.waiting import until

BEFORE = """[Service]
ExecStartPre=
RuntimeDirectory=
RuntimeDirectory=queuectl
RuntimeDirectoryMode=0755
Environment=QUEUECTLD_RUNTIME_DIR=/run/queuectl
"""
"""As the units were that had the socket in the daemon's own directory."""


def owner(service: Service, path: str) -> str:
    return service.box.ok("stat", "--format=%U:%G %a", path).strip()


def use_example(service: Service, name: str) -> None:
    """Put an example of a drop-in in force, as the guide says."""
    folder = service.box.file(f"/etc/systemd/system/{SERVICE}.d")
    folder.mkdir(exist_ok=True)
    example = UNITS / f"{SERVICE}.d/{name}.conf.example"
    shutil.copy(example, folder / f"{name}.conf")
    service.box.systemctl("daemon-reload")


def test_the_socket_is_its_groups_whoever_the_daemon_is(service: Service) -> None:
    """A member is served before and after a switch by restart to a daemon of root."""
    service.start()
    assert owner(service, LISTENS) == "root:queuectl 660"
    assert owner(service, str(Path(LISTENS).parent)) == "root:root 755"
    use_example(service, "submitter")
    service.restart()
    assert owner(service, LISTENS) == "root:queuectl 660"
    assert owner(service, "/run/queuectld") == "root:root 700"
    assert service.ok("list", "--json") == "[]"
    service.box.ok("rm", f"/etc/systemd/system/{SERVICE}.d/submitter.conf")
    service.drop_in("")
    service.restart()
    assert owner(service, "/run/queuectld") == "queuectl:queuectl 700"
    assert service.ok("list", "--json") == "[]"


def test_a_group_that_the_administrator_names_keeps_the_socket(
    service: Service,
) -> None:
    """SocketGroup= of a drop-in is in force however the service is started."""
    box = service.box
    box.ok("sh", "-c", f"echo 'read = [\"{STRANGER}\"]' >>{CONFIG}")
    folder = box.file(f"/etc/systemd/system/{SOCKET}.d")
    folder.mkdir()
    try:
        (folder / "group.conf").write_text(f"[Socket]\nSocketGroup={STRANGER}\n")
        box.systemctl("daemon-reload")
        for _ in range(2):
            service.start()
            assert owner(service, LISTENS) == f"root:{STRANGER} 660"
            assert service.ok("list", "--json", user=STRANGER) == "[]"
            box.systemctl("stop", SERVICE, SOCKET)
    finally:
        shutil.rmtree(folder)


def test_a_group_can_be_changed_while_jobs_run(service: Service) -> None:
    """A restart of the socket puts it in force, and spares jobs as another does."""
    service.start(workers=1)
    gate = service.waiting_job("calm")
    folder = service.box.file(f"/etc/systemd/system/{SOCKET}.d")
    folder.mkdir()
    try:
        (folder / "group.conf").write_text("[Socket]\nSocketGroup=users\n")
        service.box.systemctl("daemon-reload")
        service.box.systemctl("restart", SOCKET)
        assert owner(service, LISTENS) == "root:users 660"
        gate.open("0")
        service.ok("wait", "calm", user="root")
        (attempt,) = json.loads(service.ok("show", "calm", "--json", user="root"))[
            "attempts"
        ]
        assert (attempt["reason"], attempt["exit_code"]) == ("exit", 0)
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("example", ["", "strict"])
def test_jobs_survive_the_restart_that_moves_the_daemons_directory(
    service: Service, example: str
) -> None:
    """An upgrade from units that had one directory for all: records go along."""
    if example:
        use_example(service, example)
    service.drop_in(BEFORE)
    service.start(workers=2)
    gates = [service.waiting_job("early"), service.waiting_job("late")]
    assert owner(service, "/run/queuectl") == "queuectl:queuectl 755"
    assert service.box.file("/run/queuectl/workers").is_dir()
    service.drop_in("")
    service.restart()
    records = service.box.file("/run/queuectld/workers")
    until(lambda: len(list(records.iterdir())) == 2, "both are on record")
    for gate in gates:
        gate.open("0")
    service.ok("wait", "early", "late")
    assert service.attempts("early") == service.attempts("late") == [("exit", 0)]
    service.restart()
    service.ok("enqueue", "--wait", "true")
    assert "error" not in service.journal("--priority=err").lower()


def test_a_job_is_told_the_socket_that_clients_use(service: Service) -> None:
    """QUEUECTL_SOCKET of a job is where the socket unit listens."""
    service.start(workers=1)
    assert service.ok("run", "echo $QUEUECTL_SOCKET", user=MEMBER) == LISTENS
