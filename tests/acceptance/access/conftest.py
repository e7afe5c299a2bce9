"""What the tests of access have in common."""

from collections.abc import Iterator

import pytest

from helpers.accounts import (
    Machine,
    a_machine,
)


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """A daemon as root with two workers, for alice, bob and carol."""
    with a_machine() as made:
        yield made
