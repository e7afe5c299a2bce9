"""Loads ``queries.sql``: each statement by its name.

``@columns`` and ``@changes`` stand there for lists that follow from the table of job
fields.
"""

import re
from functools import cache
from importlib import resources
from types import SimpleNamespace

from queuectld.store.sqlite import rows

_STATEMENT = re.compile(
    r"^-- name: (\w+)\n((?:--[^\n]*\n)+)(.*?;)$", re.MULTILINE | re.DOTALL
)

_LIST = re.compile(r"@\w+")


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
        found[name] = _LIST.sub(lambda mark: rows.LISTS[mark[0]], sql)
    return SimpleNamespace(**found)
