"""A new job: what its submission says, and for the rest the settings and the defaults.

Which field comes from where follows from the table of job fields. A million jobs are
made here one by one, so the lists of indexes are made once, at import.
"""

from operator import attrgetter, itemgetter
from typing import Any, TypeVar

from queuectl_protocol.vocabulary import JobState
from queuectld.core import limits
from queuectld.core.fields.table import BY_NAME
from queuectld.core.job import SHELL, Job, Submission
from queuectld.core.limits import Limits
from queuectld.core.settings import Settings

T = TypeVar("T")

_FIRST_LIMIT = Submission._fields.index(Limits._fields[0])
_LIMITS_SAID = slice(_FIRST_LIMIT, _FIRST_LIMIT + len(Limits._fields))
_NO_LIMIT_SAID: Any = (None,) * len(Limits._fields)

_DEFAULTS: tuple[Any, ...] = tuple(BY_NAME[name].default for name in Job._fields)

_SAID = {
    name: index
    for index, name in enumerate(Submission._fields)
    if BY_NAME[name].kept and BY_NAME[name].of is None
}
"""Fields that a job takes from its submission as they are: where they stand there."""

_begin = itemgetter(
    *(
        _SAID.get(name, len(Submission._fields) + index)
        for index, name in enumerate(Job._fields)
    )
)
"""Of a submission with ``_DEFAULTS`` behind it, returns the values of a job."""

_WITH_DEFAULT = [
    (index, default)
    for index, default in enumerate(_DEFAULTS)
    if default is not None and Job._fields[index] in _SAID
]
_WITH_SETTING = [
    name
    for name in Job._fields
    if name in _SAID and (given := BY_NAME[name].given) and given.setting
]
_SETTABLE = [Job._fields.index(name) for name in _WITH_SETTING]
_settings_of = attrgetter(*_WITH_SETTING)

_SEQ, _NAME, _ENV_KEY, _STATE, _DUE, _CREATED_AT, _UPDATED_AT, _LIMITS, _SHELL = map(
    Job._fields.index,
    (
        "seq", "name", "env_key", "state", "due", "created_at", "updated_at", "limits",
        "shell",
    ),
)  # fmt: skip


def make(
    submission: Submission,
    settings: Settings,
    *,
    now: int,
    seq: int,
    env_key: bytes | None,
    state: JobState,
    due: bool,
) -> Job:
    """Return the job of a submission, in the state that the lifecycle gives it."""
    values = list(_begin(submission + _DEFAULTS))
    for index, default in _WITH_DEFAULT:
        if values[index] is None:
            values[index] = default
    for index, setting in zip(_SETTABLE, _settings_of(settings), strict=True):
        if values[index] is None:
            values[index] = setting
    values[_SEQ] = seq
    values[_NAME] = submission.id
    values[_ENV_KEY] = env_key
    values[_STATE] = state
    values[_DUE] = due
    values[_CREATED_AT] = values[_UPDATED_AT] = now
    values[_LIMITS] = limits_of(submission, settings)
    values[_SHELL] = _shell_of(submission, settings)
    return Job._make(values)


def limits_of(submission: Submission, settings: Settings) -> Limits:
    """Return what limits a job; what it leaves out comes from the settings."""
    default = settings.limits
    said: Any = submission[_LIMITS_SAID]
    if said == _NO_LIMIT_SAID:
        return default  # as nearly always
    return limits.shared(Limits._make(map(_or, said, default)))


def _shell_of(submission: Submission, settings: Settings) -> str | None:
    """Return what a job has as its shell; None: the usual one, or no use for any."""
    if not isinstance(submission.command, str):
        return None
    shell = _or(submission.shell, settings.shell)
    return None if shell == SHELL else shell


def _or(given: T | None, default: T) -> T:
    return default if given is None else given
