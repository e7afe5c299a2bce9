"""A gibibyte of output through ``logs --follow``, beside ``tail -f`` of the file."""

from collections import defaultdict
from pathlib import Path

from benchmarks import floors
from benchmarks.options import Options
from benchmarks.report import Figure, Series, Table, ratio_at_least
from benchmarks.served import BIN, served
from helpers import waiting

SIZE = 1 << 30


def run(options: Options) -> list[Table]:
    """Measure a job that has written it and still runs."""
    size = options.jobs(SIZE)
    found: dict[str, list[float]] = defaultdict(list)
    with served() as daemon:
        daemon.ctl("worker", "start")
        command = f"head -c {size} /dev/zero; touch {daemon.home}/written; sleep 3600"
        fields = {"command": command, "output_limit": 0}
        job = daemon.client.call("enqueue", {"job": fields})["job"]["id"]
        waiting.until(Path(daemon.home, "written").exists, "it has written", 60)
        (file,) = Path(daemon.home, "output", "0").glob("*.out")
        argv = [str(BIN / "queuectl"), "logs", "--follow", job]
        for _ in range(options.rounds):
            found["tail"].append(floors.tail_rate(file, size))
            follow = floors.read_rate(argv, size, **daemon.environment)
            found["follow"].append(follow)
        daemon.client.call("cancel", {"id": job})
    tail = Series("tail -f", tuple(found["tail"]))
    figure = Figure(
        "logs --follow", "MiB/s", tuple(found["follow"]), tail, ratio_at_least(0.5)
    )
    return [Table("follow", f"{size / 2**20:,.0f} MiB of output", (figure,))]
