"""docs/configuration.md and the sample file are what the table of options says."""

import re

from queuectl_protocol.vocabulary import Role
from queuectld.config import OPTIONS, document
from tools import generate_configuration


def test_the_page_is_current() -> None:
    """The page is what ``python tools/generate_configuration.py`` writes now."""
    page = generate_configuration.PAGE.read_text()
    assert page == generate_configuration.page()


def test_the_sample_is_current() -> None:
    """So is the file that the system service is installed with."""
    sample = generate_configuration.SAMPLE.read_text()
    assert sample == generate_configuration.sample()


def test_every_line_of_the_sample_can_be_used() -> None:
    """Without its # each line is TOML: options with their defaults, then the roles."""
    sample = generate_configuration.sample()
    assert document.parse(sample.encode()) == {}
    active = re.sub(r"(?m)^#(?=[\w\[])", "", sample)
    entries = document.parse(active.encode())
    assert entries.pop("roles").value.keys() <= set(Role)
    assert list(entries) == list(OPTIONS)
    for key, option in OPTIONS.items():
        if option.default is not None:
            assert option.check(entries[key].value) == option.default
