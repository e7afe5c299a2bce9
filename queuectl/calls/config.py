"""The job settings: the methods of ``Client.config``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queuectl.calls.call import Call, as_model, as_models

if TYPE_CHECKING:
    from queuectl.models import Setting


def get(key: str) -> Call[Setting]:
    """Return a setting.

    Raises:
        InvalidParamsError: there is no such setting.
    """
    return Call("config.get", {"key": key}, as_model("Setting"))


def set_(key: str, value: float | str) -> Call[Setting]:
    """Change a setting; return it as it is now.

    Args:
        key: its name.
        value: a number (seconds, bytes), or its written form: ``"5m"``, ``"1GiB"``.

    Raises:
        InvalidParamsError: no such setting, or a value out of its range.
    """
    return Call("config.set", {"key": key, "value": value}, as_model("Setting"))


def unset(key: str) -> Call[Setting]:
    """Give a setting its default again; return it as it is now."""
    return Call("config.unset", {"key": key}, as_model("Setting"))


def list_() -> Call[tuple[Setting, ...]]:
    """Return all settings."""
    return Call("config.list", {}, as_models("Setting", "settings"))
