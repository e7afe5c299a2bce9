"""What a daemon needs while clients misuse it: memory, files, latency."""

import time
from pathlib import Path

from helpers.rawclient import RawClient

MIB = 1024**2


class Watch:
    """The resources of one process from now on.

    Attributes:
        before: MiB resident when the watch began.
        slowest: seconds that an undisturbed client waited, at worst.
    """

    def __init__(self, pid: int) -> None:
        self._proc = Path(f"/proc/{pid}")
        (self._proc / "clear_refs").write_text("5")  # the peak begins anew: proc(5)
        self.before = self._status("VmRSS")
        self.slowest = 0.0
        self._files = self.files()

    def files(self) -> int:
        """Return how many descriptors are open."""
        return len(list((self._proc / "fd").iterdir()))

    def ping(self, client: RawClient) -> None:
        """Let somebody else ask something, and note how long that takes."""
        begun = time.monotonic()
        client.call("ping")
        self.slowest = max(self.slowest, time.monotonic() - begun)

    def grown(self) -> float:
        """Return MiB by which the process was larger, at its largest."""
        return self._status("VmHWM") - self.before

    def released(self) -> bool:
        """Whether it has no more descriptors open than at the beginning."""
        return self.files() <= self._files

    def report(self, what: str) -> None:
        """Print the figures, for those who run pytest with -s or -rP."""
        now = self._status("VmRSS")
        print(
            f"{what}: {self.before:.0f} MiB before, {self.before + self.grown():.0f} "
            f"at most, {now:.0f} after; others waited {self.slowest * 1000:.0f} ms "
            "at most"
        )

    def _status(self, key: str) -> float:
        lines = (self._proc / "status").read_text().splitlines()
        (size,) = (line.split()[1] for line in lines if line.startswith(f"{key}:"))
        return int(size) / 1024


def connections(client: RawClient) -> int:
    """Return how many clients there are."""
    count: int = client.call("daemon.status")["connections"]
    return count
