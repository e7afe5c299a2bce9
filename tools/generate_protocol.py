"""Writes the tables of forms in protocol/PROTOCOL.md from the tables in the daemon.

    python tools/generate_protocol.py

The rest of that page is written by hand, and so is what a field of a job to be enqueued
means, once the row is there. A test fails when the page is not what this writes.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from queuectld.core import submission_fields
from queuectld.server.schema.forms import FORMS

PAGE = Path(__file__).parents[1] / "protocol" / "PROTOCOL.md"

ENQUEUED = "A job to be enqueued"
HEADINGS = {"GREETING": "Greeting"}
"""Of forms whose section is not headed by their name."""


def page(text: str) -> str:
    """Return the page with its tables as they have to be."""
    for name, keys in FORMS.items():
        rows = [_row(key.name, key.type, key.doc) for key in keys]
        text = _replaced(text, HEADINGS.get(name, name), rows)
    meanings = _meanings(text)
    rows = [
        _row(name, given.type, meanings.get(name, given.doc))
        for name, given in submission_fields.GIVEN.items()
    ]
    return _replaced(text, ENQUEUED, rows)


def _row(name: str, kind: str, meaning: str) -> str:
    escaped = kind.replace("|", r"\|")
    return f"| `{name}` | {escaped} | {meaning} |\n"


def _replaced(text: str, heading: str, rows: Iterable[str]) -> str:
    """Return the text with other rows in the first table below a heading."""
    table = rf"(?ms)(^### {heading}\n.*?^\|---\|---\|---\|\n)(?:\|.*?\n)+?(?!\|)"
    return re.sub(table, lambda match: match[1] + "".join(rows), text, count=1)


def _meanings(text: str) -> Mapping[str, str]:
    """Return what the page says of each field of a job to be enqueued."""
    section = text.partition(f"### {ENQUEUED}\n")[2].partition("\n### ")[0]
    rows = re.findall(r"(?m)^\| `(\w+)` \| .*(?<!\\) \| (.*) \|$", section)
    return dict(rows)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
