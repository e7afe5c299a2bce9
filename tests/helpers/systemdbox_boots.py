"""A machine with the system's queue that is switched off and on again."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from helpers import databases
from helpers.systemdbox import Boxing
from helpers.systemdbox_installed import SERVICE, admit, an_installation
from helpers.systemdbox_queue import GATES, Service

_TARGET = "multi-user.target"
_STATE = "/var/lib/queuectl"
_JOURNAL = "/etc/systemd/journald.conf.d/kept.conf"


@dataclass(slots=True)
class Machine:
    """What keeps its files, and starts what is enabled, whenever it is booted.

    Attributes:
        service: the system's queue; that of the last boot while the machine is off.
    """

    _boxing: Boxing
    service: Service

    def boot(self) -> None:
        """Boot it again. Nothing has asked for the queue yet."""
        self.service.close()
        # A place in the journal, which is kept too, lasts for all boots.
        self.service = Service(self._boxing.boot(_TARGET), self.service.since)

    def jobs_on_disk(self) -> dict[str, tuple[object, ...]]:
        """Return state and counted attempts of each job, while it is off."""
        with TemporaryDirectory() as folder:
            for file in self._boxing.disk(_STATE).glob("queuectl.db*"):
                shutil.copy(file, folder)
            found = databases.ask(
                Path(folder, "queuectl.db"), "SELECT name, state, attempts FROM jobs"
            )
        return {str(name): tuple(rest) for name, *rest in found}

    def attempts(self, job: str) -> list[dict[str, Any]]:
        """Return all that is known of a job's attempts."""
        shown = json.loads(self.service.ok("show", job, "--json"))
        attempts: list[dict[str, Any]] = shown["attempts"]
        return attempts


@contextmanager
def a_computer(configuration: str) -> Iterator[Machine]:
    """Boot a machine with the queue enabled and running, and a journal that is kept."""
    with an_installation() as boxing:
        boxing.layer.write(_JOURNAL, "[Journal]\nStorage=persistent\n")
        box = boxing.boot(_TARGET)
        admit(box)
        box.ok("mkdir", GATES)
        made = Machine(boxing, Service(box, box.mark()))
        made.service.configure(configuration)
        box.systemctl("enable", "--now", SERVICE)
        try:
            yield made
        finally:
            made.service.close()
