"""What every worker of one daemon is told: its store, its directories, its limits."""

from dataclasses import dataclass

from queuectld.core.limits import NO_MEANS, Means
from queuectld.workers.shared import messages, records


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """What is the same for all workers of a daemon.

    Attributes:
        store_id: the store's uuid and the identity of its directory: the first half of
            the marker that each process of a job carries.
        output_dir: directory of the jobs' output files.
        spool_dir: directory of the results that no daemon has taken yet.
        records_dir: directory of the records of living workers.
        socket: path of the daemon's public socket.
        descriptors: soft limit of open files for jobs; None: the daemon's own.
        cgroup: directory below which each job gets a cgroup; None: there is none.
        means: the limits that can be enforced.
        as_submitter: a job runs as the account that enqueued it.
    """

    store_id: str
    output_dir: str
    spool_dir: str
    records_dir: str
    socket: str
    descriptors: int | None = None
    cgroup: str | None = None
    means: Means = NO_MEANS
    as_submitter: bool = False

    def record_of(self, worker: int) -> str:
        """Return the path of that worker's record."""
        return records.file_of(self.records_dir, worker)

    def hello(self, worker: int, started_at: int) -> messages.Hello:
        """Return the first message to that worker, started at this time."""
        return messages.Hello(
            worker=worker,
            store=self.store_id,
            output_dir=self.output_dir,
            spool_dir=self.spool_dir,
            record=self.record_of(worker),
            socket=self.socket,
            descriptors=self.descriptors,
            cgroup=self.cgroup,
            means=self.means,
            started_at=started_at,
        )
