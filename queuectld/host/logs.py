"""The daemon's log: one line for each record: a stable event name and key=value fields.

    2026-11-24T06:30:00.123Z INFO worker_started worker=3 pid=123

No value can end its line or reach a terminal as a control character. Callers leave
secrets out.
"""

import json
import logging
import math
import os
import re
import sys
import threading
import traceback
from collections.abc import Mapping
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from queuectl_protocol.units import format_time

FILE_SIZE = 10 * 1024 * 1024
FILES = 3
"""The log file and its two predecessors, of FILE_SIZE bytes each at most."""

VALUE_MAX = 8_000
"""Characters of one value, before escapes: journald cuts lines at 48 KiB (LineMax=)."""

NAME = "queuectld"
_PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))

_RESERVED = frozenset({"time", "level", "logger", "event"})
_SPECIAL = re.compile(r'[\s"=\\]')
_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}


class EventLogger:
    """Logs the events of one part of the daemon.

    Event names are stable: people search the log for them. Everything that varies goes
    into fields. A value that is no number, boolean, list or None is logged as its
    ``str``.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def enabled(self, level: int) -> bool:
        """Return whether events of this level are logged, so that fields are needed."""
        return self._logger.isEnabledFor(level)

    def debug(self, event: str, /, **fields: Any) -> None:
        """Log something that helps to find a fault."""
        self._log(logging.DEBUG, event, fields)

    def info(self, event: str, /, **fields: Any) -> None:
        """Log something that an operator wants to see of a healthy daemon."""
        self._log(logging.INFO, event, fields)

    def warning(self, event: str, /, **fields: Any) -> None:
        """Log something that went wrong and was corrected."""
        self._log(logging.WARNING, event, fields)

    def error(self, event: str, /, **fields: Any) -> None:
        """Log something that went wrong and needs a person."""
        self._log(logging.ERROR, event, fields)

    def exception(self, event: str, error: BaseException, /, **fields: Any) -> None:
        """Log an unexpected exception, its traceback in one field."""
        self._log(logging.ERROR, event, fields | _account(error))

    def log(self, level: int, event: str, /, **fields: Any) -> None:
        """Log an event with one of the levels of ``logging``."""
        self._log(level, event, fields)

    def _log(self, level: int, event: str, fields: dict[str, Any]) -> None:
        self._logger.log(level, "%s", event, extra={"fields": fields})


def get(name: str) -> EventLogger:
    """Return the logger of a part, such as ``scheduler``."""
    return EventLogger(logging.getLogger(f"{NAME}.{name}"))


def start(
    *,
    level: str,
    log_format: str,
    file: Path | None = None,
    journal: logging.Handler | None = None,
) -> None:
    """Send all records of the process to one place, instead of the place before.

    Args:
        level: ``debug``, ``info``, ``warning`` or ``error``.
        log_format: ``text`` or ``json``.
        file: where to write, rotated; None for stderr. Opened at the first record, so
            that a daemon that may not start does not touch the file of another.
        journal: takes the records if stderr leads to systemd's journal, which adds
            times itself.
    """
    stop()
    handler = _LogFile(file) if file else journal or logging.StreamHandler()
    handler.set_name(NAME)
    handler.setFormatter(LineFormatter(journal=handler is journal))
    logging.getLogger().addHandler(handler)
    adjust(level=level, log_format=log_format)
    # A full disk or a closed stderr must not end the daemon, nor print a traceback.
    logging.raiseExceptions = False


def adjust(*, level: str, log_format: str) -> None:
    """Change what is logged and how, from the next record on."""
    kind = JsonFormatter if log_format == "json" else TextFormatter
    for handler in _handlers():
        journal = getattr(handler.formatter, "journal", False)
        handler.setFormatter(kind(journal=journal))
    logging.getLogger().setLevel(level.upper())


def stop() -> None:
    """Undo ``start``."""
    for handler in _handlers():
        logging.getLogger().removeHandler(handler)
        handler.close()


def _handlers() -> list[logging.Handler]:
    handlers = logging.getLogger().handlers
    return [handler for handler in handlers if handler.get_name() == NAME]


def catch_stray_errors() -> None:
    """Log the errors that cannot be caught, which Python would print to stderr."""
    events = get("python")

    def in_thread(args: threading.ExceptHookArgs) -> None:
        thread = args.thread.name if args.thread else None
        if args.exc_value is not None:
            events.exception("thread_failed", args.exc_value, thread=thread)

    def unraisable(args: Any) -> None:
        if args.exc_value is not None:
            events.exception("error_ignored", args.exc_value, source=args.object)

    threading.excepthook = in_thread
    sys.unraisablehook = unraisable


class LineFormatter(logging.Formatter):
    """Turns a record into one line.

    Attributes:
        journal: begin with a priority instead of the time.
    """

    def __init__(self, *, journal: bool = False) -> None:
        super().__init__()
        self.journal = journal

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line, without its end."""
        line = self.line(record, *parts(record))
        return f"<{priority(record.levelno)}>{line}" if self.journal else line

    def line(
        self, record: logging.LogRecord, event: str, fields: Mapping[str, Any]
    ) -> str:
        """Return the line of an event, without its priority."""
        raise NotImplementedError


class TextFormatter(LineFormatter):
    """A line for people: time, level, event, fields."""

    def line(
        self, record: logging.LogRecord, event: str, fields: Mapping[str, Any]
    ) -> str:
        """Return the line, without the time if it goes to the journal."""
        words = [] if self.journal else [_time(record)]
        words += [record.levelname, word(event)]
        words += [f"{key}={word(plain(value))}" for key, value in fields.items()]
        return " ".join(words)


class JsonFormatter(LineFormatter):
    """A line for collectors: a flat JSON object.

    Its first keys are time, level, logger and event; a field with one of these names
    gets an underscore at its end.
    """

    def line(
        self, record: logging.LogRecord, event: str, fields: Mapping[str, Any]
    ) -> str:
        """Return the object."""
        told: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": event,
        }
        for key, value in fields.items():
            told[f"{key}_" if key in _RESERVED else key] = plain(value)
        # DEL is the one control character that JSON does not escape.
        return json.dumps(told).replace("\x7f", "\\u007f")


class _LogFile(RotatingFileHandler):
    """The rotated log file; only its owner can read it."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            path,
            maxBytes=FILE_SIZE,
            backupCount=FILES - 1,
            encoding="utf-8",
            delay=True,
        )

    def _open(self) -> TextIOWrapper:
        return open(self.baseFilename, "a", encoding="utf-8", opener=_open_private)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def priority(level: int) -> int:
    """Return a level's priority in the journal, see sd-daemon(3)."""
    return next((number for least, number in _PRIORITIES if level >= least), 7)


def parts(record: logging.LogRecord) -> tuple[str, Mapping[str, Any]]:
    """Return event and fields; the event of a library's record is its logger's name."""
    fields = getattr(record, "fields", None)
    if fields is not None:
        return record.getMessage(), fields
    error = record.exc_info[1] if record.exc_info else None
    account = _account(error) if error else {}
    return record.name, {"message": record.getMessage()} | account


def _account(error: BaseException) -> dict[str, Any]:
    return {
        "error": f"{type(error).__name__}: {error}",
        "traceback": "".join(traceback.format_exception(error)),
    }


def _time(record: logging.LogRecord) -> str:
    return format_time(int(record.created * 1000))


def plain(value: Any) -> Any:
    """Return the value in JSON's types, cut to VALUE_MAX characters."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    text = str(value)
    if len(text) <= VALUE_MAX:
        return text
    half = VALUE_MAX // 2
    return f"{text[:half]}…{text[-half:]}"


def word(value: Any) -> str:
    """Return a plain value as one word, in quotes if it needs them."""
    if isinstance(value, list):
        return ",".join(word(item) for item in value)
    text = value if isinstance(value, str) else json.dumps(value)
    if text and text.isprintable() and not _SPECIAL.search(text):
        return text
    return '"' + "".join(_ESCAPES.get(char) or _escape(char) for char in text) + '"'


def visible(text: str, *, keep: str) -> str:
    """Return a text with unprintable characters escaped, except some to keep."""
    if text.isprintable():
        return text
    return "".join(char if char in keep else _escape(char) for char in text)


def _escape(char: str) -> str:
    if char.isprintable():
        return char
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
