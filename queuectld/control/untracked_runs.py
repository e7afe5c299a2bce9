"""Finds, when a daemon starts, what runs although the store does not know it.

Usually these are workers that lost their daemon and are about to end. But the database
may be an older copy, put in place while workers of the newer one went on. Then a job
that they run may wait in the copy, and must not run a second time beside them.
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


class LivingWorker(NamedTuple):
    """A worker that lives and runs nothing that the store knows."""

    record: WorkerRecord
    pidfd: int


def find(
    config: WorkerConfig,
    unknown: Iterable[LivingWorker],
    dead: Iterable[WorkerRecord],
    running: Collection[int | None],
) -> Iterator[Traces]:
    """Kill the workers; yield what identifies the runs that the caller must kill.

    Blocks; use a thread. The records of the workers are removed at the end.

    Args:
        config: of this store; runs of other stores are left alone.
        unknown: workers that run nothing that the store knows. Their pidfds are closed.
        dead: the records of dead workers.
        running: leases that the store knows.
    """
    killed = [_kill(worker) for worker in unknown]
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


def _kill(worker: LivingWorker) -> WorkerRecord:
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
