"""What the documents say of who may do what, where believing too much would hurt."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("page", ["README.md", "docs/configuration.md"])
def test_nobody_is_led_to_think_that_roles_are_walls(page: str) -> None:
    """As long as jobs run as the daemon's user, ``submit`` is as much as ``admin``."""
    text = " ".join((ROOT / page).read_text().split())
    assert "`submit` equals `admin` in effect" in text
    assert "oles only prevent accidents" in text


@pytest.mark.parametrize(
    "page", ["README.md", "docs/configuration.md", "protocol/PROTOCOL.md"]
)
def test_it_is_said_where_roles_are_walls(page: str) -> None:
    """And that it takes a daemon which runs jobs as their submitters."""
    text = " ".join((ROOT / page).read_text().split())
    assert "roles are boundaries" in text
    assert "as its submitter" in text or "as who enqueued it" in text
