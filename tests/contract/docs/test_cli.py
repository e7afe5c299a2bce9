"""docs/cli.md is what the commands say of themselves."""

from queuectl.cli.root import SECTIONS
from tools import generate_cli


def test_the_page_is_current() -> None:
    """The page is what ``python tools/generate_cli.py`` writes now."""
    assert generate_cli.PAGE.read_text() == generate_cli.page()


def test_every_command_is_on_it() -> None:
    """With its options; those of groups one by one."""
    page = generate_cli.page()
    for names in SECTIONS.values():
        for name in names:
            assert f"\n### {name}\n" in page
    assert "\n#### dlq purge\n" in page
    assert "| `-p, --priority N` | Higher runs first. [default: 0] |" in page
