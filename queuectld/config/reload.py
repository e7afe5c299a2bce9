"""What a reload (SIGHUP) changes in the configuration of a running daemon.

It only compares; ``control.reloading`` puts the new values into force.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from queuectld.config.load import load
from queuectld.config.model import DaemonConfig
from queuectld.config.options import OPTIONS, TakesEffect
from queuectld.config.roles import KEY as ROLES


@dataclass(frozen=True, slots=True)
class OptionChange:
    """An option whose value has changed; both values as a person writes them."""

    key: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Reload:
    """The outcome of a reload.

    Attributes:
        config: the running configuration with the new values that apply at once.
        applied: the changes in ``config``.
        pending: the changes that need a restart; ``config`` has the old values.
    """

    config: DaemonConfig
    applied: tuple[OptionChange, ...]
    pending: tuple[OptionChange, ...]


def reload(running: DaemonConfig) -> Reload:
    """Read the sources of the running configuration again.

    Raises:
        ConfigError: there are mistakes; keep the running configuration.
    """
    wanted = load(running.sources)
    changed = [key for key in OPTIONS if getattr(wanted, key) != getattr(running, key)]
    at_once = [key for key in changed if OPTIONS[key].applies is TakesEffect.RELOAD]
    values: dict[str, Any] = {key: getattr(wanted, key) for key in at_once}
    origins = dict(running.origins) | {key: wanted.origins[key] for key in at_once}
    config = replace(
        running,
        **values,
        roles=wanted.roles,
        config_file=wanted.config_file,
        origins=origins,
    )
    return Reload(
        config,
        applied=(
            *(_change(key, running, wanted) for key in at_once),
            *_change_of_roles(running, wanted),
        ),
        pending=tuple(
            _change(key, running, wanted) for key in changed if key not in at_once
        ),
    )


def _change_of_roles(
    running: DaemonConfig, wanted: DaemonConfig
) -> Iterator[OptionChange]:
    if wanted.roles != running.roles:
        yield OptionChange(ROLES, str(running.roles), str(wanted.roles))


def _change(key: str, running: DaemonConfig, wanted: DaemonConfig) -> OptionChange:
    write = OPTIONS[key].write
    return OptionChange(key, write(getattr(running, key)), write(getattr(wanted, key)))
