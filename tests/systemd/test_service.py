"""The system's queue under a real systemd, with the units as they are installed."""

import re

from helpers.systemdbox_installed import CONFIG, MEMBER, SERVICE, SOCKET, STRANGER
from helpers.systemdbox_queue import LISTENS, Service
from helpers.waiting import until

# -- start ----------------------------------------------------------------------------


def test_a_start_lasts_until_the_socket_answers(service: Service) -> None:
    """The service is activating until the daemon says READY, and start waits for it."""
    gate = service.gate("start")
    service.drop_in(
        "[Service]\nExecStart=\n"
        f"ExecStart=sh -c 'read line <{gate.path}; exec queuectld"
        f" --config {CONFIG}'\n"
    )
    service.box.systemctl("start", "--no-block", SERVICE)
    gate.reached()
    assert service.state == "activating"
    gate.open()
    service.box.systemctl("start", SERVICE)
    assert service.state == "active"
    assert service.box.show(SERVICE, "StatusText")
    assert "daemon_ready" in service.journal()


def test_a_client_starts_the_service_by_its_socket(service: Service) -> None:
    """With the socket alone listening, a command is served, and then the next."""
    service.box.systemctl("start", SOCKET)
    assert service.state == "inactive"
    assert service.ok("enqueue", "true") == "1"
    assert service.state == "active"
    service.box.systemctl("stop", SERVICE)
    assert service.state == "inactive"
    assert service.show("1")["state"] == "pending"


def test_without_the_socket_a_client_is_told_that_no_daemon_runs(
    service: Service,
) -> None:
    """A stopped socket leaves nothing behind that a client could wait at."""
    service.start()
    service.box.systemctl("stop", SOCKET)
    done = service.queuectl("status")
    assert done == (3, "", done.err)
    assert "no daemon answers at /run/queuectl/queuectl.sock" in done.err


def test_enabling_the_service_enables_its_socket(service: Service) -> None:
    """What the guide says starts both now and at the next boot."""
    service.box.systemctl("enable", "--now", SERVICE)
    assert service.box.systemctl("is-enabled", SERVICE, SOCKET) == "enabled\n" * 2
    assert service.box.systemctl("is-active", SERVICE, SOCKET) == "active\n" * 2


# -- who may use it -------------------------------------------------------------------


def test_a_member_of_the_group_has_jobs_run_as_the_services_user(
    service: Service,
) -> None:
    """What an ordinary user enqueues runs as the user queuectl, and its end is told."""
    service.start(workers=1)
    service.ok("enqueue", "--id", "who", "id --user --name")
    service.ok("wait", "who")
    assert service.ok("logs", "who") == "queuectl"
    assert service.show("who")["submitter"]


def test_a_stranger_is_kept_out_and_told_so(service: Service) -> None:
    """The socket's mode keeps out who is not in the group; a line says what to do."""
    service.start()
    said = service.refused("enqueue", "true", user=STRANGER)
    assert said.startswith("you may not use the socket /run/queuectl/queuectl.sock;")
    assert service.ok("list", "--json") == "[]"


def test_a_member_without_a_role_is_told_where_roles_are(service: Service) -> None:
    """As installed nobody has a role: the refusal names the table, and is logged."""
    service.box.ok("sed", "-i", "/^\\[roles\\]$/,$d", CONFIG)
    service.start()
    said = service.refused("status", user=MEMBER)
    assert "[roles] of queuectld.toml" in said
    assert "client_refused" in service.journal("--priority=warning")


# -- the journal ----------------------------------------------------------------------


def test_the_journal_finds_a_job_by_its_id(service: Service) -> None:
    """Records have fields: a job's life, and no other's, with the right priorities."""
    service.configure('log_level = "debug"\n')
    service.start(workers=1)
    service.ok("enqueue", "--id", "other", "true")
    service.ok("enqueue", "--id", "mine", "--max-retries", "0", "exit 7")
    assert service.queuectl("wait", "mine").code == 7
    life = service.journal("JOB_ID=mine").splitlines()
    events = [line.split()[1] for line in life]
    assert events == ["job_enqueued", "attempt_started", "job_dead"]
    assert "exit_code=7" in life[-1]
    assert service.journal("EVENT=job_dead", "--priority=warning") == f"{life[-1]}\n"


# -- the daemon dies ------------------------------------------------------------------


def test_a_killed_daemon_comes_back_and_records_the_job_that_went_on(
    service: Service,
) -> None:
    """After kill -9 systemd starts the next daemon, which has the one attempt's end."""
    first = service.start(workers=2)
    ends_before, ends_after = (
        service.waiting_job("before"),
        service.waiting_job("after"),
    )
    service.box.systemctl("kill", "--signal=KILL", "--kill-whom=main", SERVICE)
    ends_before.open("3")
    until(lambda: service.box.show(SERVICE, "NRestarts") == "1", "it is restarted")
    until(lambda: service.state == "active", "the next daemon is ready")
    assert service.main_pid not in (0, first)
    assert service.show("after")["state"] == "processing"
    ends_after.open("0")
    assert service.queuectl("wait", "before", "after").code == 3
    assert service.attempts("before") == [("exit", 3)]
    assert service.attempts("after") == [("exit", 0)]


def test_a_daemon_that_hangs_is_replaced_and_its_job_goes_on(service: Service) -> None:
    """Without a sign of life in WatchdogSec= systemd aborts it and starts the next."""
    service.prepare_to_hang("WatchdogSec=1")
    first = service.start(workers=1)
    gate = service.waiting_job("calm")
    service.hang()
    until(lambda: service.box.show(SERVICE, "NRestarts") == "1", "it is restarted")
    until(lambda: service.state == "active", "the next daemon is ready")
    assert service.main_pid not in (0, first)
    assert "Watchdog timeout" in service.journal()
    gate.open()
    service.ok("wait", "calm")
    assert service.attempts("calm") == [("exit", 0)]


# -- restart, stop, reload ------------------------------------------------------------


def test_running_jobs_survive_a_restart(service: Service) -> None:
    """The next daemon has each job's one attempt; nothing was asked to end."""
    first = service.start(workers=3)
    names = ("a", "b", "c")
    gates = [service.waiting_job(name) for name in names]
    service.box.systemctl("restart", SERVICE)
    assert service.main_pid not in (0, first)
    for gate in gates:
        gate.open()
    service.ok("wait", *names)
    assert [service.attempts(name) for name in names] == [[("exit", 0)]] * 3


def test_restarts_under_load_lose_and_repeat_nothing(service: Service) -> None:
    """Of many short jobs and three restarts each job has run, and once."""
    service.start(workers=4)
    ran = "/tmp/ran"
    service.box.ok("install", "--mode=666", "/dev/null", ran)
    line = f"sleep 0.01; echo $QUEUECTL_JOB_ID >>{ran}"
    script = f"yes '{line}' | head --lines=300 | queuectl enqueue --file - --lines"
    service.box.ok("sh", "-c", script, user=MEMBER, QUEUECTL_SOCKET=LISTENS)
    for _ in range(3):
        service.box.systemctl("restart", SERVICE)
    until(lambda: service.counts()["completed"] == 300, "all have completed")
    # A claim that a restart took back is a run on record, and nothing has run.
    written = service.box.ok("cat", ran).split()
    assert sorted(map(int, written)) == list(range(1, 301))


def test_a_stop_leaves_no_process(service: Service) -> None:
    """Jobs that do not end in time are interrupted, what they started with them."""
    service.configure('shutdown_grace = "0s"')
    service.start(workers=2)
    service.waiting_job("interrupted")
    service.ok("enqueue", "--id", "family", "setsid sleep 600 & sleep 600")
    until(lambda: service.show("family")["state"] == "processing", "it runs")
    assert len(service.box.processes(SERVICE)) >= 5
    service.box.systemctl("stop", SERVICE)
    assert (service.state, service.box.processes(SERVICE)) == ("inactive", [])
    assert service.box.show(SERVICE, "Result") == "success"
    assert service.show("interrupted")["state"] == "pending"


def test_a_daemon_that_does_not_stop_in_time_is_killed_with_its_jobs(
    service: Service,
) -> None:
    """ExecStopPost= ends what a daemon leaves that was killed by the stop timeout."""
    service.prepare_to_hang("TimeoutStopSec=5")
    service.start(workers=1)
    service.waiting_job("left")
    service.hang()
    service.box.systemctl("stop", SERVICE)
    assert service.box.show(SERVICE, "Result") == "timeout"
    assert service.box.processes(SERVICE) == []


def test_a_reload_applies_the_file_and_keeps_the_daemon(service: Service) -> None:
    """The manager hears RELOADING, then READY; the new level is in force."""
    daemon = service.start()
    service.configure('log_level = "error"')
    service.box.systemctl("log-level", "debug")  # it then logs what it is told
    service.box.systemctl("reload", SERVICE)
    told = r"(?s)Got notification message.*RELOADING=1.*Got notification.*READY=1"
    until(lambda: re.search(told, service.journal()), "it has been reloaded")
    service.box.systemctl("log-level", "info")
    until(lambda: service.state == "active", "systemd has it as active")
    assert service.main_pid == daemon
    before = service.journal()
    service.ok("worker", "start")
    assert "worker_started" not in service.journal().removeprefix(before)


def test_a_reload_of_a_file_with_a_mistake_changes_nothing(service: Service) -> None:
    """The reload fails, the daemon goes on, and the journal has the mistake."""
    daemon = service.start()
    service.configure("max_pages = 5")
    assert service.box.run("systemctl", "reload", SERVICE).code == 1
    until(lambda: "max_pages" in service.journal(), "it is refused")
    assert service.main_pid == daemon
    assert service.queuectl("status").code == 0


# -- it cannot start ------------------------------------------------------------------


def test_a_mistake_in_the_configuration_is_not_tried_again(service: Service) -> None:
    """The service fails at once; the journal has the file, the line and a hint."""
    service.configure("max_pages = 5")
    assert service.box.run("systemctl", "start", SERVICE).code == 1
    assert service.state == "failed"
    assert service.box.show(SERVICE, "NRestarts") == "0"
    errors = service.journal("--priority=err")
    assert "queuectld.toml:1: there is no option 'max_pages'" in errors


def test_a_daemon_that_cannot_start_is_tried_until_it_can(service: Service) -> None:
    """Each time the journal has the reason, as an error; mended, it comes by itself."""
    service.drop_in("[Service]\nRestartSec=10ms\n")
    service.start()
    service.box.systemctl("stop", SERVICE)
    database = service.box.file("/var/lib/queuectl/queuectl.db")
    database.rename(kept := database.with_name("kept"))
    database.write_bytes(b"no database" * 99)
    service.box.run("systemctl", "start", SERVICE)
    until(lambda: int(service.box.show(SERVICE, "NRestarts")) > 6, "it is tried again")
    errors = service.journal("--priority=err")
    assert "queuectld: " in errors
    assert "queuectl.db" in errors
    kept.rename(database)
    until(lambda: service.state == "active", "it has started")


def test_a_client_does_not_wait_for_a_service_that_cannot_start(
    service: Service,
) -> None:
    """It is told; once the mistake is mended the next one is served, without a word."""
    service.configure("max_pages = 5")
    service.box.systemctl("start", SOCKET)
    for _ in range(8):
        done = service.queuectl("status")
        assert done == (3, "", done.err)
        assert "the daemon cannot start; its log says why" in done.err
    assert service.box.show(SOCKET, "ActiveState") == "active"
    service.box.ok("sed", "-i", "/max_pages/d", CONFIG)
    assert service.ok("list", "--json") == "[]"
