"""What takes long has threads of its own, and holds up nothing else."""

import signal

from helpers import hindered, waiting
from helpers.home import ALONE, Home
from helpers.rawclient import PATIENCE

EXAMINERS = 12
"""More than any pool of threads has on a machine with few processors."""

HOLD_ONCE = (
    f"{ALONE} [ $QUEUECTL_ATTEMPT -gt 1 ] || "
    "{ setsid sleep 600 & echo >running; sleep 600; }"
)


def test_looks_at_the_whole_database_hold_up_nobody(home: Home) -> None:
    """Output is read, followed and pruned, copies are made, lost attempts settled."""
    hindered.serve(home)
    home.ask("workers.start", count=2)
    done = home.enqueue("echo out")
    home.ended(done)
    job = home.enqueue(HOLD_ONCE)
    home.appears("running")
    with hindered.held(home, "examine") as hold, home.connect() as others:
        looks = [others.send("doctor", deep=True) for _ in range(EXAMINERS)]
        assert home.output(done) == "out\n"
        assert home.ctl("logs", "--follow", done) == "out"
        home.ctl("backup", str(home.work / "copy"))
        home.kill(home.worker_of(job)["pid"])
        assert home.ended(job)["state"] == "completed"
        assert home.ask("prune", states=["completed"], older_than=0) == {"pruned": 2}
        hold.reached()
        hold.release()
        for look in looks:
            assert others.result(look)["checks"][-1]["level"] == "ok"


def slow_names(home: Home) -> None:
    """Give a role to a user, and have the daemon read of it."""
    (home.root / "queuectld.toml").write_text('[roles]\nread = ["root"]\n')
    home.send(home.daemon, signal.SIGHUP)


def test_a_slow_directory_service_holds_up_the_reload_alone(home: Home) -> None:
    """Jobs run and clients are served; further reloads are one, when it answers."""
    hindered.serve(home)
    home.ask("workers.start")
    with hindered.held(home, "name") as hold:
        slow_names(home)
        hold.reached()
        assert home.ended(home.enqueue("true"))["state"] == "completed"
        (home.root / "queuectld.toml").write_text("max_page = 77\n")
        for _ in range(3):
            home.send(home.daemon, signal.SIGHUP)
            home.ask("ping")
        assert "option_changed" not in home.log()
        hold.release()
        waiting.until(lambda: "max_page" in home.log(), "it reads the last one")
    waiting.until(
        lambda: home.log().count("option_changed") == 3, "roles came and went"
    )


def test_a_directory_service_that_hangs_keeps_no_daemon_from_its_end(
    home: Home,
) -> None:
    """It reads the configuration, asks who it is itself, and ends all the same."""
    daemon = hindered.serve(home, constants={"server.health.doctor.NAMED_WITHIN": 0.1})
    with hindered.held(home, "name") as hold:
        slow_names(home)
        checks = {check["name"]: check for check in home.ask("doctor")["checks"]}
        assert "jobs run as uid " in checks["trust"]["detail"]
        hold.reached()
        home.send(daemon.pid, signal.SIGTERM)
        assert daemon.wait(PATIENCE) == 0, home.log()
