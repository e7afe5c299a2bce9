"""protocol/README.md quotes and describes what is beside it."""

import re
from pathlib import Path

import pytest

from helpers import markdown, vectors

PROTOCOL = Path(__file__).parents[3] / "protocol"
PAGE = (PROTOCOL / "README.md").read_text()


def test_the_example_is_quoted_to_the_letter() -> None:
    """What the page shows is the file, which an acceptance test runs."""
    found = re.search(r"<!-- (examples/\S+) -->\n```python\n(.*?)```", PAGE, re.DOTALL)
    assert found
    assert found[2] == (PROTOCOL / found[1]).read_text()


@pytest.mark.parametrize("name", ["frames", "messages"])
def test_every_key_of_the_vectors_is_explained(name: str) -> None:
    """An author of another client need not guess."""
    chapter = markdown.sections(PAGE, 2)["Test vectors"]
    _, _, text = chapter.partition(f"`vectors/{name}.json`:")
    explained = {
        key for row in markdown.rows(text, "key") for key in row[0].split(", ")
    }
    assert {key for vector in vectors.load(name) for key in vector} == explained
