"""Workers that an earlier daemon started: what their records tell a later one."""

from queuectld.core.job import Job
from queuectld.linux import procfs
from queuectld.workers.daemon_side.handle import RunningAttempt, WorkerHandle
from queuectld.workers.shared.records import WorkerRecord


def handle_of(
    record: WorkerRecord, pidfd: int, attempt: RunningAttempt | None, now: int
) -> WorkerHandle:
    """Return the handle of a worker that another daemon started and that still lives.

    Args:
        record: what the worker wrote of itself.
        pidfd: of its process; the handle owns it from here on.
        attempt: what it runs.
        now: milliseconds since 1970.
    """
    started_at = record.started_at
    if started_at is None:  # the daemon that started it did not tell it
        started_at = now - round(procfs.seconds_since(record.ticks) * 1000)
    worker = WorkerHandle(record.worker, record.pid, pidfd, None, None, started_at)
    worker.ready = True
    worker.attempt = attempt
    return worker


def time_left(job: Job, record: WorkerRecord) -> float:
    """Return the seconds until the timeout of a job that an adopted worker runs.

    They count from the start of the job's process, which the kernel keeps in a time
    that no clock step moves. A job without a process yet starts now.
    """
    elapsed = 0.0
    if record.lease == job.lease and record.job_ticks is not None:
        elapsed = procfs.seconds_since(record.job_ticks)
    return max(0.001, job.timeout - elapsed)
