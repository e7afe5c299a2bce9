"""docs/lifecycle.md is what the table says."""

from queuectl_protocol.vocabulary import JobState
from queuectld.core.event import Event
from queuectld.core.lifecycle import Guard
from tools import generate_lifecycle


def test_the_page_is_current() -> None:
    """The page is what ``python tools/generate_lifecycle.py`` writes now."""
    assert generate_lifecycle.PAGE.read_text() == generate_lifecycle.page()


def test_every_word_is_explained() -> None:
    """No state, event or guard is in the table without a sentence on the page."""
    assert set(generate_lifecycle.STATES) == set(JobState)
    assert set(generate_lifecycle.EVENTS) == set(Event)
    assert set(generate_lifecycle.GUARDS) == set(Guard)
