"""Golden files: what a person sees, kept to be looked at in a diff.

``UPDATE_GOLDEN=1 pytest tests/acceptance/cli`` writes them anew.
"""

import os
from pathlib import Path

GOLDEN = Path(__file__).parent.parent / "acceptance" / "golden"


def check(name: str, content: str) -> None:
    """Compare ``content`` with the golden file ``name``, or write it there."""
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    expected = path.read_text(encoding="utf-8")
    assert content == expected, f"{path} differs; UPDATE_GOLDEN=1 writes it anew"


def names(folder: str) -> set[str]:
    """Return the names of all golden files in a folder."""
    return {path.name for path in (GOLDEN / folder).iterdir()}
