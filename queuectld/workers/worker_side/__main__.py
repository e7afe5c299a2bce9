"""The worker program: ``python -P -m queuectld.workers.worker_side NUMBER``.

Owns how a worker process begins: what it inherits from the daemon, the first message
on the channel (file 3), the exit status. ``worker`` does the rest. Every worker pays in
memory for what is imported here: no store, no broker, no logging, no asyncio.
"""

import gc
import os
import select
import sys

from queuectl_protocol.errors import ProtocolError
from queuectld.clock import SystemClock
from queuectld.linux import syscalls
from queuectld.workers.shared import messages
from queuectld.workers.worker_side import spawn
from queuectld.workers.worker_side.channel import Channel, write_to_stderr
from queuectld.workers.worker_side.signals import SignalFile
from queuectld.workers.worker_side.worker import Worker

_USAGE = 2

_FIRST_FOREIGN = messages.FD + 1
_FILES_MAX = 1 << 20


def main() -> int:
    """Run one worker; return its exit status: 0 unless a result was lost."""
    if len(sys.argv) != 2 or not sys.argv[1].isdecimal():
        sys.stderr.write("usage: python -m queuectld.workers.worker_side NUMBER\n")
        return _USAGE
    _reset_inherited()
    syscalls.become_subreaper()
    try:
        # First of all: if file 3 were missing, the next open would return that number.
        channel = Channel(messages.FD)
    except OSError:
        write_to_stderr("this program is started by queuectld, which talks to it")
        return 1
    signal_file = SignalFile()
    try:
        received = _first_messages(channel, signal_file)
        if not received:
            return 0
        hello, *rest = received
        worker = Worker(_checked(hello), channel, signal_file, SystemClock())
    except (OSError, ProtocolError) as error:
        write_to_stderr(f"worker {sys.argv[1]} cannot begin: {error}")
        channel.send(messages.Trouble(None, f"cannot begin: {error}"))
        return 1
    # What exists now lives until the end: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    syscalls.trim_memory()
    return worker.run(rest)


def _reset_inherited() -> None:
    """Drop the parent's files, directory and umask, so that no job inherits them."""
    os.closerange(_FIRST_FOREIGN, _FILES_MAX)
    for number in range(messages.FD):
        _open_if_missing(number)
    os.chdir("/")
    os.umask(spawn.OWN_UMASK)


def _open_if_missing(number: int) -> None:
    """Open a standard file that is closed: another file would get its number."""
    try:
        os.fstat(number)
    except OSError:
        # The lowest free number is the missing one.
        os.open(os.devnull, os.O_RDWR)


def _first_messages(
    channel: Channel, signal_file: SignalFile
) -> list[messages.Message]:
    """Wait for the first messages; none if the daemon is gone or a signal came."""
    poll = select.poll()
    poll.register(channel.fd, select.POLLIN)
    poll.register(signal_file.fd, select.POLLIN)
    received: list[messages.Message] = []
    while channel.open and not received:
        ready = [fd for fd, _ in poll.poll()]
        if signal_file.fd in ready:
            return []
        received = channel.receive()
    return received


def _checked(hello: messages.Message) -> messages.Hello:
    if not isinstance(hello, messages.Hello):
        raise messages.ChannelError("the first message is hello")
    if hello.version != messages.VERSION:
        raise messages.ChannelError(
            f"this worker speaks version {messages.VERSION} of the channel and the "
            f"daemon version {hello.version}: restart the daemon (queuectl daemon "
            "restart)"
        )
    return hello


if __name__ == "__main__":
    sys.exit(main())
