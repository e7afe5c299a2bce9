"""The example for authors of other clients, as they would run it."""

import subprocess
import sys

from helpers.daemon import ROOT, Daemon, a_daemon

EXAMPLE = ROOT / "protocol" / "examples" / "raw_client.py"


def run_example(daemon: Daemon, command: str) -> subprocess.CompletedProcess[str]:
    """Run the example as a stranger: from nowhere, with nothing in its environment."""
    return subprocess.run(
        [sys.executable, "-I", EXAMPLE, daemon.socket, command],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_example_enqueues_a_job_and_waits_for_it() -> None:
    """It prints the job's id, state and exit code; a worker ran the job."""
    with a_daemon() as daemon:
        daemon.call("workers.start")
        done = run_example(daemon, "echo hi; exit 0")
        assert (done.stdout, done.stderr) == ("1 completed 0\n", "")
        output = daemon.call("logs.read", id="1", stream="stdout")
        assert output["data"] == b"hi\n"


def test_the_example_says_what_the_daemon_refuses() -> None:
    """An error of the daemon ends it with the daemon's own sentence."""
    with a_daemon() as daemon:
        refused = run_example(daemon, "")
        assert refused.returncode == 1
        assert refused.stderr == "command is empty\n"
