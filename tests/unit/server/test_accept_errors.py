"""The log record about clients that cannot be accepted for lack of descriptors."""

import errno
import logging
from typing import Any, cast

import pytest

from queuectld.server.connection.accept_errors import TOLD_EVERY, AcceptErrorReporter

FAILED = {
    "message": "socket.accept() out of system resource",
    "exception": OSError(errno.EMFILE, "Too many open files"),
}


class Loop:
    """A loop that keeps what its default handler gets."""

    def __init__(self) -> None:
        self.passed_on: list[dict[str, Any]] = []

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """Keep the context."""
        self.passed_on.append(context)


def test_it_is_told_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """The loop reports it every second, which would fill the log."""
    now = 1000.0
    report, loop = AcceptErrorReporter(lambda: now), Loop()
    with caplog.at_level(logging.ERROR):
        for _ in range(120):
            report(cast("Any", loop), FAILED)
            now += TOLD_EVERY / 60
    assert [record.message for record in caplog.records] == ["clients_not_accepted"] * 2
    assert loop.passed_on == []


def test_other_errors_are_not_touched() -> None:
    """They go to the loop's default handler."""
    loop, other = Loop(), {"message": "Task exception was never retrieved"}
    AcceptErrorReporter(lambda: 0.0)(cast("Any", loop), other)
    assert loop.passed_on == [other]
