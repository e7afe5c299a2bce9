"""Pages lead where they say: every relative link, and every file they name."""

import re
from pathlib import Path

import pytest

from helpers import markdown

ROOT = Path(__file__).parents[3]
PAGES = sorted(
    page
    for page in ROOT.rglob("*.md")
    if not re.match(r"\.|(build|dist)/", str(page.relative_to(ROOT)))
)
HOMES = (ROOT, ROOT / "queuectld", ROOT / "queuectl")
"""Where the files named on the page about the architecture are looked for."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """The file is there, and so is the heading."""
    text = re.sub(r"(?s)```.*?```", "", page.read_text())
    for target, anchor in re.findall(r"\]\(([^)#:\s]*)(?:#([^)\s]*))?\)", text):
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), target
        if anchor and file.suffix == ".md":
            assert anchor in markdown.anchors(file.read_text()), f"{target}#{anchor}"


def test_the_architecture_names_files_that_are_there() -> None:
    """A file that was moved or renamed takes the page along."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    named = set(re.findall(r"`([\w/]+(?:\.py|\.sql|/))`", text))
    assert named
    for name in named:
        assert any((home / name).exists() for home in HOMES), name
