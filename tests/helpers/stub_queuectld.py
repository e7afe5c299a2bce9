"""A program that behaves as ``queuectld --detach``, for tests of the autostart.

Its home tells what it did: a line in ``starts`` for each start, its pid in ``pid``. A
file ``broken`` there makes it fail with that text.
"""

import fcntl
import os
import signal
import sys
import threading
from pathlib import Path

from helpers.stub_daemon import StubDaemon, answering, returning

ALREADY_RUNNING = 4


def main() -> None:
    """Start, and return when the daemon in the background is ready."""
    home = Path(os.environ["QUEUECTL_HOME"])
    with (home / "starts").open("a") as starts:
        starts.write(f"{os.environ.get('QUEUECTL_LEASE')}\n")
    if (broken := home / "broken").exists():
        sys.exit(broken.read_text())
    ready, tell = os.pipe()
    if os.fork():
        os.close(tell)
        said = os.read(ready, 1)
        sys.exit(said[0] if said else 1)
    os.setsid()
    serve(home, tell)


def serve(home: Path, tell: int) -> None:
    """Hold the lock, answer on the socket, end with SIGTERM."""
    lock = os.open(home / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("another queuectld holds the state directory", file=sys.stderr)
        os.write(tell, bytes([ALREADY_RUNNING]))
        return
    (home / "pid").write_text(str(os.getpid()))
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    with StubDaemon(home / "queuectl.sock", answering({"ping": returning({})})):
        os.write(tell, b"\0")
        ended.wait()


if __name__ == "__main__":
    main()
