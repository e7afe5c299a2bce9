"""Which processes are a job's: those that hid from its worker, and no copy's."""

import subprocess

from helpers import processes, waiting
from helpers.home import BIN, Home, a_home


def test_a_process_that_shook_off_all_traces_ends_with_its_worker(home: Home) -> None:
    """Without the mark, the session and the output, it is the daemon's child then."""
    home.serve()
    home.ask("workers.start")
    hide = f"exec >/dev/null 2>&1; echo \\$\\$ >hidden; exec tail -f {home.root}/lock"
    job = home.enqueue(
        f'(env -i "$(command -v setsid)" /bin/sh -c "{hide}" &); read _ <gate',
        max_retries=0,
    )
    home.gate()
    hidden = int(home.appears("hidden"))
    worker = home.worker_of(job)["pid"]
    waiting.until(lambda: hidden in processes.children(worker), "its parent has ended")
    home.kill(worker)
    assert home.ended(job)["reason"] == "lost"
    assert processes.find(hidden, str(home.root)) is None


def test_the_daemon_of_a_copy_spares_the_processes_of_the_original(home: Home) -> None:
    """A backup that is tried out has the same jobs, and took none of them over."""
    home.serve()
    home.ask("workers.start")
    gate = home.gate()
    job = home.enqueue("echo >running; read _ <gate")
    home.appears("running")
    with a_home() as copy:
        home.ask("backup", path=str(copy.root / "queuectl.db"))
        copy.edit("UPDATE meta SET value = '0' WHERE key = 'workers_wanted'")
        copy.serve()
        # To its daemon the attempt is lost: nothing that it can find is left of it.
        assert copy.until_state(job, "failed")["reason"] == "lost"
        assert "leftovers" not in copy.log()
        assert home.worker_of(job)["state"] == "busy"
    gate.open()
    assert home.ended(job)["state"] == "completed"
    assert home.reasons(job) == ["exit"]


def test_a_child_from_before_the_daemon_is_nobodys_leftover(home: Home) -> None:
    """An entry script may start a helper of its own and then become the daemon."""
    script = f"sleep 1000 & echo $! >helper; exec {BIN / 'queuectld'}"
    home.adopt(
        subprocess.Popen(["/bin/sh", "-c", script], cwd=home.work, env=home.environ)
    )
    helper = int(home.appears("helper"))
    waiting.until(home.answers, "the daemon answers")
    home.ask("workers.start")
    home.gate()
    job = home.enqueue("echo >running; read _ <gate", max_retries=0)
    home.appears("running")
    home.kill(home.worker_of(job)["pid"])
    assert home.ended(job)["reason"] == "lost"
    assert processes.find(helper, str(home.root)) is not None
    home.kill(helper)
