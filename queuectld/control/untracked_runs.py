"""What runs though the store knows nothing of it: found when a daemon starts.

As a rule that is workers that lost their daemon and are about to end. But the database
may be an older copy that was put in its place while workers of the newer one went on:
then what they run waits in it, or was never there, and would run a second time beside
them.
"""

import contextlib
import os
import signal
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from queuectld.linux import pidfd
from queuectld.linux.procfs import ProcessId
from queuectld.workers.daemon_side.leftovers import KILL_WITHIN, Traces
from queuectld.workers.daemon_side.worker_config import WorkerConfig
from queuectld.workers.shared import marker, outputs, records
from queuectld.workers.shared.records import WorkerRecord


class Living(NamedTuple):
    """A worker that lives and runs nothing that the store knows of."""

    record: WorkerRecord
    pidfd: int


def find(
    config: WorkerConfig,
    idle: Iterable[Living],
    dead: Iterable[WorkerRecord],
    running: Collection[int | None],
) -> Iterator[Traces]:
    """Kill such workers; yield by what the runs can be known that are to be ended.

    Args:
        config: of this store; runs of others are let be.
        idle: the workers. Their records are removed, and their files closed.
        dead: the records of workers that are dead.
        running: leases that the store knows of.
    """
    killed = [_kill(worker) for worker in idle]
    # Read again: one may have begun a run since.
    files = [config.record_of(each.worker) for each in killed]
    last = [record for record in map(records.read, files) if record]
    left = {record.lease: record for record in (*dead, *last) if record.lease}
    for lease in (marker.leases(config.store_id) | left.keys()).difference(running):
        yield _traces(config, lease, left.get(lease))
    for file in files:
        records.remove(file)


def leader(lease: int, record: WorkerRecord | None) -> ProcessId | None:
    """Return the job's main process, if the worker's record is of this very run."""
    if record is None or record.lease != lease:
        return None
    if record.job_pid is None or record.job_ticks is None:
        return None
    return ProcessId(record.job_pid, record.job_ticks)


def _kill(worker: Living) -> WorkerRecord:
    with contextlib.suppress(ProcessLookupError):  # it has just ended
        signal.pidfd_send_signal(worker.pidfd, signal.SIGKILL)
    pidfd.ended(worker.pidfd, within=KILL_WITHIN)
    os.close(worker.pidfd)
    return worker.record


def _traces(config: WorkerConfig, lease: int, record: WorkerRecord | None) -> Traces:
    if record is None or record.seq is None or record.run is None:
        return Traces(store=config.store_id, lease=lease)
    return Traces(
        store=config.store_id,
        lease=lease,
        leader=leader(lease, record),
        outputs=outputs.paths(config.output_dir, record.seq, record.run, lease),
    )
