"""The worker program: ``python -P -m queuectld.workers.worker_side NUMBER``.

Owns how a worker process begins: what it takes over from its parent, the greeting on
the link (file 3), the exit status. ``worker`` has the rest. What is imported here
must stay small, because every worker pays for it in memory: no store, no broker, no
logging, no asyncio.
"""

import gc
import os
import select
import sys

from queuectl_protocol.errors import ProtocolError
from queuectld.clock import SystemClock
from queuectld.linux import syscalls
from queuectld.workers.shared import messages
from queuectld.workers.worker_side import channel, signals, spawn
from queuectld.workers.worker_side.worker import Worker

_USAGE = 2

_FIRST_FOREIGN = messages.FD + 1
_FILES_MAX = 1 << 20


def main() -> int:
    """Run one worker; return its exit status: 0 unless a result was lost."""
    if len(sys.argv) != 2 or not sys.argv[1].isdecimal():
        sys.stderr.write("usage: python -m queuectld.workers.worker_side NUMBER\n")
        return _USAGE
    _take_over()
    syscalls.become_subreaper()
    try:
        # First: without a link, its number would be the next file's.
        link = channel.Channel(messages.FD)
    except OSError:
        channel.write_to_stderr(
            "this program is started by queuectld, which talks to it"
        )
        return 1
    signal_file = signals.SignalFile()
    try:
        received = _greeting(link, signal_file)
        if not received:
            return 0
        hello, *rest = received
        worker = Worker(_checked(hello), link, signal_file, SystemClock())
    except (OSError, ProtocolError) as error:
        channel.write_to_stderr(f"worker {sys.argv[1]} cannot begin: {error}")
        link.send(messages.Trouble(None, f"cannot begin: {error}"))
        return 1
    # What lives now lives until the end: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    syscalls.trim_memory()
    return worker.run(rest)


def _take_over() -> None:
    """Leave nothing of the parent to the jobs: files, directory, umask."""
    os.closerange(_FIRST_FOREIGN, _FILES_MAX)
    for number in range(messages.FD):
        _fill(number)
    os.chdir("/")
    os.umask(spawn.OWN_UMASK)


def _fill(number: int) -> None:
    """Open a standard file that is missing, or one of ours would take its place."""
    try:
        os.fstat(number)
    except OSError:
        # The lowest free number is the missing one.
        os.open(os.devnull, os.O_RDWR)


def _greeting(
    link: channel.Channel, signal_file: signals.SignalFile
) -> list[messages.Message]:
    """Wait for the first messages; none if the worker is not wanted after all."""
    poll = select.poll()
    poll.register(link.fd, select.POLLIN)
    poll.register(signal_file.fd, select.POLLIN)
    received: list[messages.Message] = []
    while link.open and not received:
        ready = [fd for fd, _ in poll.poll()]
        if signal_file.fd in ready:
            return []
        received = link.receive()
    return received


def _checked(hello: messages.Message) -> messages.Hello:
    if not isinstance(hello, messages.Hello):
        raise messages.WireError("the first message is hello")
    if hello.version != messages.VERSION:
        raise messages.WireError(
            f"this worker speaks version {messages.VERSION} of the link and the daemon "
            f"version {hello.version}: restart the daemon (queuectl daemon restart)"
        )
    return hello


if __name__ == "__main__":
    sys.exit(main())
