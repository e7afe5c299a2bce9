"""The result of a worker's last job, kept until the daemon has committed it.

The daemon's acknowledgement, or its next job, says that it is committed. A worker that
leaves before that puts the result where the next daemon finds it.
"""

from queuectld.core.job import AttemptEnd
from queuectld.workers.shared import messages, outputs, spool
from queuectld.workers.shared.records import RecordFile
from queuectld.workers.worker_side import descendants, signals
from queuectld.workers.worker_side.channel import write_to_stderr

RETRY_INTERVAL = 1.0
"""Seconds until a file that could not be written is tried again."""

Spare = tuple[str | None, str | None]
"""Output files, stdout first, that are empty and that no committed result needs."""

NO_SPARE: Spare = (None, None)


class UncommittedResult:
    """The result that the daemon has not acknowledged yet, if there is one.

    Attributes:
        job: the job whose result it is; None: there is no result.
    """

    def __init__(self, hello: messages.Hello, record: RecordFile) -> None:
        self._hello = hello
        self._record = record
        self.job: messages.RunJob | None = None
        self._end: AttemptEnd | None = None

    def hold(self, job: messages.RunJob, end: AttemptEnd) -> None:
        """Keep the result of this job."""
        self.job, self._end = job, end

    def acknowledge(self) -> None:
        """Forget the result, which is committed, and remove its empty output files."""
        outputs.discard(self._forget())

    def spare(self) -> Spare:
        """Forget the result, which is committed; return files for the next job."""
        if self.job is None or self.job.user is None:
            return self._forget()
        # Files that an account has owned are never another job's: its processes can
        # have them open, and no file lease keeps out a process that only reads.
        outputs.discard(self._forget())
        return NO_SPARE

    def keep(self, signal_file: signals.SignalFile) -> bool:
        """Write the result to the spool, or behind the record; return whether it is.

        If neither has room, try again until one has, or until the next signal that
        asks this worker to exit.
        """
        assert self.job is not None
        assert self._end is not None
        hello, job = self._hello, self.job
        result = spool.SpooledResult(
            hello.store, hello.worker, job.seq, job.run, self._end
        )
        complained = asked_to_exit = False
        while True:
            try:
                spool.write(hello.spool_dir, result)
            except OSError as error:
                # Without the directory there is nobody who could ask for a result.
                gone = isinstance(error, FileNotFoundError)
                if not gone and self._record.keep(spool.encode(result)):
                    return True
                if not complained:
                    write_to_stderr(f"cannot keep the result of {job.id}: {error}")
                complained = True
                if gone or asked_to_exit:
                    return False
            else:
                return True
            asked_to_exit = _asked_to_exit(signal_file.wait(RETRY_INTERVAL))

    def _forget(self) -> Spare:
        job, end = self.job, self._end
        if job is None or end is None:
            return NO_SPARE
        self.job = self._end = None
        stdout, stderr = outputs.paths(
            self._hello.output_dir, job.seq, job.run, job.lease
        )
        return (
            stdout if end.stdout_bytes == 0 else None,
            stderr if end.stderr_bytes == 0 else None,
        )


def _asked_to_exit(received: list[signals.Received]) -> bool:
    numbers = {one.number for one in received}
    if signals.CHILD_ENDED in numbers:
        descendants.reap(None)
    return bool(numbers - {signals.CHILD_ENDED})
