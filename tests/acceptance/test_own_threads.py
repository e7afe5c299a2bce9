"""What takes long has threads of its own, and holds up nothing else."""

from helpers import hindered
from helpers.home import ALONE, Home

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
