"""From a map off the wire to a ``Submission``: every field named, typed and in range.

``FIELDS`` is the list of what a submitter may say; ``describe`` and PROTOCOL.md tell
the same list.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from queuectl_protocol.limits import MAX_ARGV, MAX_COMMAND, MAX_ID, MAX_LABEL
from queuectl_protocol.rlimits import INFINITY, MAX_RLIMIT, RLIMITS
from queuectl_protocol.units import parse_time
from queuectld.core import settings
from queuectld.core.errors import InvalidJobError, InvalidSettingError
from queuectld.core.job import Command, Submission

MAX_ENV = 2 * 1024 * 1024
"""Bytes of names and values of one environment: more than exec takes by default."""

MAX_CWD = 4096
"""Bytes: the kernel's PATH_MAX."""

PRIORITY_RANGE = 1_000_000
"""Priorities go from minus this to plus this."""

_NO_SHELL = (
    "shell is for a command that is one line: a list of words is executed as it is"
)

_UMASK = re.compile("[0-7]{1,4}")
_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@+-]*")
_MS_MAX = 253_402_300_799_000  # 9999-12-31T23:59:59Z, the last that RFC 3339 writes

_KINDS: Mapping[type, str] = MappingProxyType(
    {
        type(None): "null",
        bool: "a boolean",
        int: "a number",
        float: "a number",
        str: "a string",
        bytes: "binary",
        list: "a list",
        dict: "a map",
    }
)


@dataclass(frozen=True, slots=True)
class Field:
    """A field that a submitter may give.

    Attributes:
        type: for ``describe``.
        read: returns the checked value, or raises ValueError that completes
            "<field> ...".
        compared: it is part of what a job is. Where two submissions with one id both
            say it, it has to be the same, or they are not one job: see ``IDENTITY``.
    """

    type: str
    doc: str
    read: Callable[[Any], Any]
    compared: bool = True


def parse(
    fields: Mapping[str, Any],
    *,
    submitter: int | None,
    now: int,
    defaults: Mapping[str, Any] = MappingProxyType({}),
    groups: tuple[int, ...] | None = None,
) -> Submission:
    """Return the submission that ``fields`` asks for.

    Args:
        fields: the job as it came: ``command`` and any others of ``FIELDS``.
        submitter: uid of who asks.
        now: the present, for ``delay``.
        defaults: what ``check`` returned for the fields that all jobs of a batch have
            unless they say otherwise: an environment is then checked once.
        groups: of who asks, its gid first; None where that does not matter.

    Raises:
        InvalidJobError: names the first field that is unknown or wrong.
    """
    own = check(fields)
    values = {**defaults, **own}
    if "command" not in values:
        raise InvalidJobError("command", "a job needs the field command")
    if "shell" in values and not isinstance(values["command"], str):
        if "shell" in own:
            raise InvalidJobError("shell", _NO_SHELL)
        del values["shell"]  # what a batch has in common is for its command lines
    if "delay" in values:
        if "run_at" in values:
            raise InvalidJobError("delay", "give delay or run_at, not both")
        values["run_at"] = now + round(values.pop("delay") * 1000)
    return Submission(**values, submitter=submitter, groups=groups)


def weight(submission: Submission) -> int:
    """Return about how many bytes a job takes in the store, its environment apart."""
    command = submission.command
    size = len(command) if isinstance(command, str) else sum(map(len, command))
    texts = (submission.cwd, submission.label, submission.shell)
    return size + sum(len(text) for text in texts if text)


def check(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields' values as a ``Submission`` has them; null means "not said".

    Raises:
        InvalidJobError: names the first field that is unknown or wrong.
    """
    values: dict[str, Any] = {}
    for name, value in fields.items():
        if name not in FIELDS:
            raise InvalidJobError(str(name), _unknown(name))
        if value is None and name != "command":
            continue
        values[name] = _read(name, value)
    return values


def _read(name: str, value: Any) -> Any:
    try:
        return FIELDS[name].read(value)
    except InvalidSettingError as error:
        raise InvalidJobError(name, str(error)) from None
    except ValueError as error:
        raise InvalidJobError(name, f"{name} {error}") from None


def _unknown(name: object) -> str:
    if name in _DAEMON_SETS:
        return f"{name} is set by the daemon; leave it out"
    return f"there is no field {name!r}; a job has: {', '.join(FIELDS)}"


def _text(value: Any, *, most: int, empty: bool = False) -> str:
    if not isinstance(value, str):
        raise ValueError(f"is a string, not {_kind(value)}")
    if not value and not empty:
        raise ValueError("is empty")
    if "\0" in value:
        raise ValueError("holds a NUL character")
    size = _size(value)
    if size > most:
        raise ValueError(f"has {size} bytes, and the limit is {most}")
    return value


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogateescape"))


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "a timestamp")


def _utf8(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("is not valid UTF-8") from None
    return value


def _command(value: Any) -> Command:
    if isinstance(value, str):
        return _text(value, most=MAX_COMMAND)
    if not isinstance(value, list):
        raise ValueError(
            f"is a string (a shell command line) or a list of words, not {_kind(value)}"
        )
    if not value:
        raise ValueError("is an empty list")
    if len(value) > MAX_ARGV:
        raise ValueError(f"has {len(value)} words, and the limit is {MAX_ARGV} bytes")
    words = tuple(_text(word, most=MAX_COMMAND, empty=True) for word in value)
    if not words[0]:
        raise ValueError("begins with an empty word where the program's name belongs")
    size = sum(map(_size, words)) + len(words)
    if size > MAX_ARGV:
        raise ValueError(f"has {size} bytes in all, and the limit is {MAX_ARGV}")
    return words


def _id(value: Any) -> str:
    text = _text(value, most=MAX_ID)
    if text.isdigit():
        raise ValueError("of digits alone is reserved for generated ids")
    if not _ID.fullmatch(text):
        raise ValueError("has letters, digits and _.:@+- only, and none of .:@+- first")
    return text


def _queue(value: Any) -> str:
    if _text(value, most=MAX_ID) != "default":
        raise ValueError("is 'default', the only queue there is")
    return "default"


def _priority(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("is a whole number")
    if abs(value) > PRIORITY_RANGE:
        raise ValueError(f"is from -{PRIORITY_RANGE} to {PRIORITY_RANGE}")
    return value


def _run_at(value: Any) -> int:
    if not isinstance(value, str):
        raise ValueError("is an RFC 3339 time such as 2026-12-01T10:00:00Z")
    return parse_time(value)


def _delay(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("is a number of seconds")
    if not 0 <= value <= _MS_MAX / 2000:
        raise ValueError("is a number of seconds from 0 on")
    return float(value)


def _cwd(value: Any) -> str:
    text = _text(value, most=MAX_CWD)
    if not text.startswith("/"):
        raise ValueError("is an absolute path")
    return text


def _shell(value: Any) -> str:
    return settings.absolute_path(value, most=settings.MAX_SHELL)


def _foreground(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"is true or false, not {_kind(value)}")
    return value


def _umask(value: Any) -> int:
    # A number is refused: nobody could tell whether 22 was meant in octal.
    if not isinstance(value, str) or not _UMASK.fullmatch(value):
        raise ValueError('is an octal string from "0000" to "0777"')
    mask = int(value, 8)
    if mask > 0o777:
        raise ValueError('is an octal string from "0000" to "0777"')
    return mask


def _env(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ValueError(f"is a map of strings, not {_kind(value)}")
    size = 0
    for name, content in value.items():
        if not isinstance(name, str) or not isinstance(content, str):
            raise ValueError("is a map of strings")
        if not name or "=" in name or "\0" in name:
            raise ValueError("has a name that is empty or holds = or NUL")
        if "\0" in content:
            # The value itself may be a secret: never quote it.
            raise ValueError(f"holds a NUL character in {name}")
        size += _size(name) + _size(content) + len("=\0")
    if size > MAX_ENV:
        raise ValueError(f"has {size} bytes, and the limit is {MAX_ENV}")
    return value


def _label(value: Any) -> str:
    return _utf8(_text(value, most=MAX_LABEL, empty=True))


def _rlimits(value: Any) -> tuple[tuple[str, int], ...]:
    if not isinstance(value, dict):
        raise ValueError(f"is a map of names and whole numbers, not {_kind(value)}")
    # In one order: so two that say the same are equal.
    return tuple(sorted((_rlimit(name), _bound(name, value[name])) for name in value))


def _rlimit(name: object) -> str:
    if name not in RLIMITS:
        raise ValueError(f"has no {name!r:.66}; there are: {', '.join(RLIMITS)}")
    return str(name)


def _bound(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"has a {name} that is not a whole number")
    if not INFINITY <= value <= MAX_RLIMIT:
        raise ValueError(f"has a {name} that is out of range; {INFINITY} is infinity")
    return value


def _setting(key: str) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        # "5m" is for people: on the wire a quantity has one form.
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"is a number, not {_kind(value)}")
        return settings.SETTINGS[key].check(value)

    return read


FIELDS: Mapping[str, Field] = MappingProxyType(
    {
        "command": Field(
            "str | [str]", "a line for a shell's -c, or an exact argv", _command
        ),
        "id": Field(
            "str", "an id of the submitter's; not digits alone", _id, compared=False
        ),
        "queue": Field("str", "always default", _queue),
        "priority": Field("int", "higher runs first; 0 unless given", _priority),
        "max_retries": Field("int", "runs after the first", _setting("max_retries")),
        "timeout": Field("seconds", "0 means none", _setting("timeout")),
        "backoff_base": Field("float", "base of the delay", _setting("backoff_base")),
        "backoff_max": Field("seconds", "longest delay", _setting("backoff_max")),
        "backoff_jitter": Field("float", "share added", _setting("backoff_jitter")),
        "output_limit": Field("bytes", "0 means none", _setting("output_limit")),
        "run_at": Field("time", "not to be started before", _run_at, compared=False),
        "delay": Field("seconds", "run_at, counted from now", _delay, compared=False),
        "cwd": Field(
            "str", "working directory, absolute; / unless given", _cwd, compared=False
        ),
        "umask": Field("str", "octal; 0022 unless given", _umask, compared=False),
        "env": Field(
            "{str: str}",
            "the whole environment; minimal unless given",
            _env,
            compared=False,
        ),
        "label": Field("str", "free text for people", _label),
        "nice": Field("int", "added to the niceness", _setting("nice")),
        "memory_max": Field("bytes", "of all processes", _setting("memory_max")),
        "cpu_quota": Field("number", "percent of a CPU", _setting("cpu_quota")),
        "tasks_max": Field("int", "processes and threads", _setting("tasks_max")),
        "rlimits": Field("{str: int}", "of each process; -1 is infinity", _rlimits),
        "shell": Field("str", "runs the line; absolute", _shell),
        "foreground": Field(
            "bool", "its submitter waits for it", _foreground, compared=False
        ),
    }
)

IDENTITY = tuple(name for name, field in FIELDS.items() if field.compared)
"""What must be the same for two submissions with one id to be one job, beside whom it
runs as. What a client inherits from where it happens to run (cwd, umask, environment)
and when (run_at) is not among them: a retry of a lost request may come from elsewhere,
and later. What the new one leaves unsaid is not compared, whatever is there: it may
come from a setting, and that may have changed since."""

_DAEMON_SETS = frozenset(
    {
        "state", "attempts", "runs", "created_at", "updated_at", "exit_code", "signal",
        "reason", "message", "worker", "started_at", "finished_at", "submitter",
        "cancel_requested", "groups",
    }
)  # fmt: skip
