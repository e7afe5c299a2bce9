"""From a map off the wire to a ``Submission``: every field named, typed and in range.

``FIELDS`` is the list of what a submitter may say; ``describe`` and PROTOCOL.md tell
the same list.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from queuectl_protocol.limits import (
    MAX_ARGV,
    MAX_COMMAND,
    MAX_ENV,
    MAX_ID,
    MAX_LABEL,
    MAX_PATH,
)
from queuectl_protocol.rlimits import INFINITY, MAX_RLIMIT, RLIMITS
from queuectl_protocol.units import parse_time
from queuectld.core import numbers, settings, unixtext
from queuectld.core.errors import InvalidJobError, InvalidSettingError
from queuectld.core.job import Command, Submission

PRIORITY_RANGE = 1_000_000
"""Priorities go from minus this to plus this."""

_NO_SHELL = (
    "shell is for a command that is one line: a list of words is executed as it is"
)
MAX_DELAY = 126_701_150_399
"""Seconds: half the way to 9999-12-31T23:59:59Z, the last that RFC 3339 writes."""

BLANK = " \t\n"
"""What separates words of a shell: a line of nothing else is no command."""

_UMASK = re.compile("[0-7]{1,4}")
_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@+-]*")

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
        type: for people and ``describe``, as of a ``Param`` of the server.
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
    words = (command,) if isinstance(command, str) else command
    texts = (submission.cwd, submission.label, submission.shell)
    return sum(map(_size, words)) + sum(_size(text) for text in texts if text)


def check(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields' values as a ``Submission`` has them; null means "not said".

    Raises:
        InvalidJobError: names the first field that is unknown or wrong.
    """
    values: dict[str, Any] = {}
    for name, value in fields.items():
        if name not in FIELDS:
            raise InvalidJobError(unixtext.read(name) or "", _unknown(name))
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
    if not isinstance(name, str):
        return "a field's name is a string"
    if name in _DAEMON_SETS:
        return f"{name} is set by the daemon; leave it out"
    return f"there is no field {unixtext.quoted(name)}; a job has: {', '.join(FIELDS)}"


def _unix(value: Any, *, most: int, empty: bool = False) -> str:
    """Return a string of Unix: bin will do as well as str."""
    text = unixtext.read(value)
    return _text(value if text is None else text, most=most, empty=empty)


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
    if text.isascii():
        return len(text)
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
    if isinstance(value, str | bytes):
        line = _unix(value, most=MAX_COMMAND)
        if not line.strip(BLANK):
            raise ValueError("is empty")
        return line
    if not isinstance(value, list):
        raise ValueError(
            f"is a string (a shell command line) or a list of words, not {_kind(value)}"
        )
    if not value:
        raise ValueError("is an empty list")
    if len(value) > MAX_ARGV:
        raise ValueError(f"has {len(value)} words, and the limit is {MAX_ARGV} bytes")
    words = tuple(_unix(word, most=MAX_COMMAND, empty=True) for word in value)
    if not words[0]:
        raise ValueError("begins with an empty word where the program's name belongs")
    if _size(words[0]) > MAX_PATH:
        raise ValueError(
            f"begins with a word of {_size(words[0])} bytes, and a program's path has "
            f"at most {MAX_PATH}"
        )
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
    priority = numbers.whole(value)
    if abs(priority) > PRIORITY_RANGE:
        raise ValueError(f"is from -{PRIORITY_RANGE} to {PRIORITY_RANGE}")
    return priority


def _run_at(value: Any) -> int:
    if not isinstance(value, str):
        raise ValueError("is an RFC 3339 time such as 2026-12-01T10:00:00Z")
    return parse_time(value)


def _delay(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("is a number of seconds")
    if not 0 <= value <= MAX_DELAY:
        raise ValueError(f"is a number of seconds from 0 on, to {MAX_DELAY}")
    return float(value)


def _cwd(value: Any) -> str:
    text = _unix(value, most=MAX_PATH)
    if not text.startswith("/"):
        raise ValueError("is an absolute path")
    return text


def _shell(value: Any) -> str:
    text = unixtext.read(value)
    return settings.absolute_path(value if text is None else text)


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
    if _is_plain(value):
        return value.copy()
    variables: dict[str, str] = {}
    size = 0
    for given_name, given in value.items():
        name, content = unixtext.read(given_name), unixtext.read(given)
        if name is None or content is None:
            raise ValueError("is a map of strings")
        if name in variables:
            raise ValueError(f"has {name:.64} twice, as str and as bin")
        size += _variable(name, content) + len("\0")
        variables[name] = content
    if size > MAX_ENV:
        raise ValueError(f"has {size} bytes, and the limit is {MAX_ENV}")
    return variables


def _is_plain(value: dict[Any, Any]) -> bool:
    """Tell whether it is seen at one look that this is an environment, as of most jobs.

    Of others each variable has to be looked at, if only to tell which is wrong.
    """
    try:
        names, contents = "\0".join(value), "\0".join(value.values())
        size = _size(names) + len("=") + _size(contents) + len("\0")
    except (TypeError, UnicodeEncodeError):
        return False
    between = max(len(value) - 1, 0)
    return (
        size <= MAX_COMMAND  # all together: so each is
        and names.count("\0") == contents.count("\0") == between
        and "=" not in names
        and "" not in value
    )


def _variable(name: str, content: str) -> int:
    """Return the size of ``NAME=value`` if that can be a variable.

    The value may be a secret: it is never quoted.
    """
    if not name or "=" in name or "\0" in name:
        raise ValueError("has a name that is empty or holds = or NUL")
    if "\0" in content:
        raise ValueError(f"holds a NUL character in {name:.64}")
    size = _size(name) + len("=") + _size(content)
    if size > MAX_COMMAND:
        raise ValueError(
            f"has a variable that no program can get: {name:.64} is of {size} bytes "
            f"with its name, and the limit is {MAX_COMMAND}; hand it over in a file"
        )
    return size


def _label(value: Any) -> str:
    return _utf8(_text(value, most=MAX_LABEL, empty=True))


def _rlimits(value: Any) -> tuple[tuple[str, int], ...]:
    if not isinstance(value, dict):
        raise ValueError(f"is a map of names and whole numbers, not {_kind(value)}")
    # In one order: so two that say the same are equal.
    return tuple(sorted((_rlimit(name), _bound(name, value[name])) for name in value))


def _rlimit(name: object) -> str:
    if not isinstance(name, str):
        raise ValueError("has names that are strings")
    if name not in RLIMITS:
        raise ValueError(
            f"has no {unixtext.quoted(name[:64])}; there are: {', '.join(RLIMITS)}"
        )
    return name


def _bound(name: str, value: Any) -> int:
    try:
        bound = numbers.whole(value)
    except ValueError:
        raise ValueError(f"has a {name} that is not a whole number") from None
    if not INFINITY <= bound <= MAX_RLIMIT:
        raise ValueError(
            f"has {bound} for {name}, and it must be from 0 to {MAX_RLIMIT}, or "
            f"{INFINITY} for infinity"
        )
    return bound


def _setting(key: str) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        # "5m" is for people: on the wire a quantity has one form.
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"is a number, not {_kind(value)}")
        return settings.SETTINGS[key].check(value)

    return read


def _of_setting(key: str, kind: str, doc: str) -> Field:
    """Return a field that is a setting, too: the range is the setting's."""
    setting = settings.SETTINGS[key]
    least, none = (setting.least, "0 | ") if setting.least else (setting.minimum, "")
    return Field(f"{none}{kind} {least}..{setting.maximum}", doc, _setting(key))


FIELDS: Mapping[str, Field] = MappingProxyType(
    {
        "command": Field(
            f"unix 1..{MAX_COMMAND} | [unix 0..{MAX_COMMAND}] 1..{MAX_ARGV}",
            "a line for a shell's -c, or an exact argv",
            _command,
        ),
        "id": Field(
            f"str 1..{MAX_ID}",
            "an id of the submitter's; not digits alone",
            _id,
            compared=False,
        ),
        "queue": Field("default", "always default", _queue),
        "priority": Field(
            f"int -{PRIORITY_RANGE}..{PRIORITY_RANGE}",
            "higher runs first; 0 unless given",
            _priority,
        ),
        "max_retries": _of_setting("max_retries", "int", "runs after the first"),
        "timeout": _of_setting("timeout", "seconds", "0 means none"),
        "backoff_base": _of_setting("backoff_base", "number", "base of the delay"),
        "backoff_max": _of_setting("backoff_max", "seconds", "longest delay"),
        "backoff_jitter": _of_setting("backoff_jitter", "number", "share added"),
        "output_limit": _of_setting("output_limit", "bytes", "0 means none"),
        "run_at": Field("time", "not to be started before", _run_at, compared=False),
        "delay": Field(
            f"seconds 0..{MAX_DELAY}",
            "run_at, counted from now",
            _delay,
            compared=False,
        ),
        "cwd": Field(
            f"unix 1..{MAX_PATH}",
            "working directory, absolute; / unless given",
            _cwd,
            compared=False,
        ),
        "umask": Field("str 1..4", "octal; 0022 unless given", _umask, compared=False),
        "env": Field(
            "{unix: unix}",
            "the whole environment; minimal unless given",
            _env,
            compared=False,
        ),
        "label": Field(f"str 0..{MAX_LABEL}", "free text for people", _label),
        "nice": _of_setting("nice", "int", "added to the niceness"),
        "memory_max": _of_setting("memory_max", "bytes", "of all processes"),
        "cpu_quota": _of_setting("cpu_quota", "number", "percent of a CPU"),
        "tasks_max": _of_setting("tasks_max", "int", "processes and threads"),
        "rlimits": Field(
            f"{{str: int {INFINITY}..{MAX_RLIMIT}}}",
            "of each process; -1 is infinity",
            _rlimits,
        ),
        "shell": Field(f"unix 1..{MAX_PATH}", "runs the line; absolute", _shell),
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
