"""From a map off the wire to a ``Submission``: every field named, typed and in range.

What a submitter may say, and how each value is checked, stands in ``fields.table``.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from queuectl_protocol.units import format_time
from queuectld.core import unixtext
from queuectld.core.errors import InvalidJobError, InvalidSettingError
from queuectld.core.fields.row import Given
from queuectld.core.fields.table import FIELDS
from queuectld.core.job import Submission

_NO_SHELL = (
    "shell is for a command that is one line: a list of words is executed as it is"
)


def _given() -> Mapping[str, Given]:
    """Return what may be given, in the order of ``Submission``.

    Another way to say a field comes behind that field.
    """
    given = {field.name: field.given for field in FIELDS if field.given is not None}
    return MappingProxyType(
        {
            key: each
            for name in Submission._fields
            for key, each in given.items()
            if name in {key, each.counted_from_now}
        }
    )


GIVEN = _given()
"""What a submitter may say: ``describe`` and PROTOCOL.md tell the same list."""

_RELATIVE = {
    name: given.counted_from_now
    for name, given in GIVEN.items()
    if given.counted_from_now is not None
}

IDENTITY = tuple(name for name, given in GIVEN.items() if given.compared)
"""Two submissions with one id are the same job if these fields and the user it runs as
are equal. What a client inherits from where it happens to run (cwd, umask, environment)
and when (run_at) is not among them: a retry of a lost request may come from elsewhere,
and later. A field that the new one leaves out is not compared: its value may come from
a setting, and that may have changed since."""

SET_BY_THE_DAEMON = frozenset(
    field.name
    for field in FIELDS
    if field.given is None and (field.told or field.name in Submission._fields)
)
"""What is told of a job, or added to its submission, and may not be said in it."""


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
        fields: the job as it came: ``command`` and any others of ``GIVEN``.
        submitter: uid of who asks.
        now: the present, for what is counted from it.
        defaults: what ``check`` returned for the fields that all jobs of a batch have
            unless they say otherwise: an environment is then checked once.
        groups: of who asks, its gid first; None where that does not matter.

    Raises:
        InvalidJobError: names the first field that is unknown or wrong.
    """
    own = check(fields)
    found = {**_as_points({**defaults}, now), **_as_points(own, now)}
    if "command" not in found:
        raise InvalidJobError("command", "a job needs the field command")
    if "shell" in found and not isinstance(found["command"], str):
        if "shell" in own:
            raise InvalidJobError("shell", _NO_SHELL)
        del found["shell"]  # the default is meant for those jobs that are lines
    return Submission(**found, submitter=submitter, groups=groups)


def _as_points(found: dict[str, Any], now: int) -> dict[str, Any]:
    """Replace what is counted from now by points in time; return the same map."""
    for relative, point in _RELATIVE.items():
        if relative in found:
            if point in found:
                message = f"give {relative} or {point}, not both"
                raise InvalidJobError(relative, message)
            found[point] = now + round(found.pop(relative) * 1000)
    return found


def check_startable(submission: Submission, now: int) -> None:
    """Refuse a job that has expired before it can be started.

    Raises:
        InvalidJobError: says so.
    """
    expires, run_at = submission.expires, submission.run_at
    if expires is None:
        return
    if expires <= now:
        message = f"expires {format_time(expires)} has passed already"
    elif run_at is not None and expires <= run_at:
        message = (
            f"expires {format_time(expires)} is not after run_at "
            f"{format_time(run_at)}: the job could never start"
        )
    else:
        return
    raise InvalidJobError("expires", message)


def check(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields' values as a ``Submission`` has them; null means "not said".

    Raises:
        InvalidJobError: names the first field that is unknown or wrong.
    """
    found: dict[str, Any] = {}
    for name, value in fields.items():
        if name not in GIVEN:
            raise InvalidJobError(unixtext.read(name) or "", _unknown(name))
        if value is None and name != "command":
            continue
        found[name] = _checked(name, value)
    return found


def _checked(name: str, value: Any) -> Any:
    try:
        return GIVEN[name].check(value)
    except InvalidSettingError as error:
        raise InvalidJobError(name, str(error)) from None
    except ValueError as error:
        raise InvalidJobError(name, f"{name} {error}") from None


def _unknown(name: object) -> str:
    if not isinstance(name, str):
        return "a field's name is a string"
    if name in SET_BY_THE_DAEMON:
        return f"{name} is set by the daemon; leave it out"
    return f"there is no field {unixtext.quoted(name)}; a job has: {', '.join(GIVEN)}"
