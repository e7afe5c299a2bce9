"""Set a setting: store a job setting, or go back to its default."""

from typing import Any, NamedTuple

from queuectld.core import limits, settings
from queuectld.core.errors import InvalidSettingError
from queuectld.core.limits import Limits, Means
from queuectld.core.settings import Setting, Settings, Value
from queuectld.operations.done import Done
from queuectld.store.api import Transaction


class Stored(NamedTuple):
    """A setting that was stored, and all settings as they are in force with it."""

    setting: Setting
    in_force: Settings


def set_setting(
    tx: Transaction, key: str, value: Value | str | None, *, means: Means
) -> Done[Stored]:
    """Store a setting; None goes back to the default.

    Raises:
        InvalidSettingError: there is no such setting, the value is not in range, or
            it is a limit that cannot be enforced here.
    """
    setting = settings.find(key)
    checked = None if value is None else setting.check(value)
    if checked is not None and setting.key in Limits._fields:
        limited: dict[str, Any] = {setting.key: checked}
        if refused := limits.refusal(limits.NONE._replace(**limited), means):
            raise InvalidSettingError(setting.key, refused[1])
    tx.set_setting(setting.key, checked)
    return Stored(setting, settings.in_force(tx.settings())), ()
