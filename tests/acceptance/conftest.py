"""What the acceptance tests have in common."""

from collections.abc import Iterator

import pytest

from helpers.cli import Cli
from helpers.home import Home, a_home


@pytest.fixture
def home() -> Iterator[Home]:
    """A home in which nothing runs yet, and in which nothing may be left."""
    with a_home() as made:
        yield made


@pytest.fixture
def fresh(home: Home) -> Cli:
    """The command line, in such a home."""
    return Cli(home)
