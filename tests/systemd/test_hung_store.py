"""A thread of the store hangs for good, while the event loop is well."""

import pytest

from helpers.systemdbox_installed import SERVICE
from helpers.systemdbox_queue import Service
from helpers.waiting import until


@pytest.mark.parametrize("thread", ["store-writer", "store-reader"])
def test_a_daemon_whose_store_hangs_is_replaced_and_its_job_goes_on(
    service: Service, thread: str
) -> None:
    """No sign of life is given for it; the next daemon records the one attempt."""
    service.prepare_to_hang("WatchdogSec=1", thread)
    first = service.start(workers=1)
    gate = service.waiting_job("calm")
    service.hang()
    until(lambda: service.box.show(SERVICE, "NRestarts") == "1", "it is restarted")
    until(lambda: service.state == "active", "the next daemon is ready")
    assert service.main_pid not in (0, first)
    assert "Watchdog timeout" in service.journal()
    gate.open("3")
    assert service.queuectl("wait", "calm").code == 3
    assert service.attempts("calm") == [("exit", 3)]
