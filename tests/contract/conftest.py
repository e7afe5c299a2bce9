"""Every store that there is, for the tests of what a store must do."""

from pathlib import Path

import pytest

from helpers.stores import KINDS, Home


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Home:
    """Give the place of a store that is not there yet."""
    return Home(request.param, tmp_path)
