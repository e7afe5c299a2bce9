"""The daemon's log: one line a record, a stable event name, fields of key=value.

    2026-11-24T06:30:00.123Z INFO worker_started worker=3 pid=123

Nothing that a record carries can end its line or reach a terminal as a control
character. What must not be logged is for the caller to leave out.
"""

import json
import logging
import math
import os
import sys
import threading
import traceback
from collections.abc import Iterable, Mapping
from enum import StrEnum
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, TextIO

from queuectl_protocol.units import format_time

ROOT = "queuectld"

FILE_SIZE = 10 * 1024 * 1024
FILES = 3
"""A log file and its two predecessors, of FILE_SIZE bytes each at most."""

VALUE_MAX = 8_000
"""Characters of one value. journald cuts lines after 48 KiB (LineMax=)."""

_PRIORITIES = (
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
    (logging.DEBUG, 7),
)
"""Level -> syslog's priority, most serious first. See sd-daemon(3)."""

_RESERVED = frozenset({"time", "level", "logger", "event"})


class Form(StrEnum):
    """How a record is written."""

    TEXT = "text"
    JSON = "json"


class EventLogger:
    """Logs events of one part of the daemon.

    An event's name is a promise to who searches the log; what varies goes into
    fields. Values may be anything: what is no number, boolean or None is logged as
    its ``str``.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def debug(self, event: str, /, **fields: Any) -> None:
        """Log what only a developer asks for."""
        self._log(logging.DEBUG, event, fields)

    def info(self, event: str, /, **fields: Any) -> None:
        """Log what an operator wants to see of a healthy daemon."""
        self._log(logging.INFO, event, fields)

    def warning(self, event: str, /, **fields: Any) -> None:
        """Log what went wrong and was made good."""
        self._log(logging.WARNING, event, fields)

    def error(self, event: str, /, **fields: Any) -> None:
        """Log what went wrong and needs somebody."""
        self._log(logging.ERROR, event, fields)

    def exception(self, event: str, error: BaseException, /, **fields: Any) -> None:
        """Log an exception that should not have come, with its traceback."""
        self._log(logging.ERROR, event, fields | _told(error))

    def _log(self, level: int, event: str, fields: Mapping[str, Any]) -> None:
        # As args a mapping would be taken for %-arguments, hence extra.
        self._logger.log(level, "%s", event, extra={"fields": fields})
