"""Loads ``queries.sql``: each statement by its name."""

import re
from functools import cache
from importlib import resources
from types import SimpleNamespace

_STATEMENT = re.compile(
    r"^-- name: (\w+)\n((?:--[^\n]*\n)+)(.*?;)$", re.MULTILINE | re.DOTALL
)


@cache
def load() -> SimpleNamespace:
    """Return the statements as attributes.

    Raises:
        ValueError: a name stands twice.
    """
    text = resources.files(__package__).joinpath("queries.sql").read_text("utf-8")
    found: dict[str, str] = {}
    for name, _sentence, sql in _STATEMENT.findall(text):
        if name in found:
            raise ValueError(f"queries.sql has {name} twice")
        found[name] = sql
    return SimpleNamespace(**found)
