"""What docstrings and comments call by name is there: modules, their content, files."""

import importlib
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

from queuectld.server.dispatch import METHODS

ROOT = Path(__file__).parents[3]
PACKAGES = (
    ROOT / "queuectl",
    ROOT / "queuectld",
    ROOT / "protocol" / "queuectl_protocol",
)
QUOTED = re.compile(r"``([A-Za-z_]\w*(?:[./]\w+)+)(?:\([^`]*\))?``")

VALUES = {"end", "error", "worker"}
"""Names of arguments and variables: what follows their dot is not looked up."""


def _modules() -> dict[str, Path]:
    found = {}
    for package in PACKAGES:
        for file in sorted(package.rglob("*.py")):
            parts = file.relative_to(package.parent).with_suffix("").parts
            if parts[-1] == "__init__":
                parts = parts[:-1]
            found[".".join(parts)] = file
    return found


MODULES = _modules()


def _by_ending() -> dict[str, list[str]]:
    """Return the modules by each way to write them: ``c``, ``b.c`` and ``a.b.c``."""
    found = defaultdict(list)
    for module in MODULES:
        parts = module.split(".")
        for first in range(len(parts)):
            found[".".join(parts[first:])].append(module)
    return found


BY_ENDING = _by_ending()


def _prose(file: Path) -> Iterator[str]:
    """Give the comments and the docstrings of a file."""
    for token in tokenize.generate_tokens(io.StringIO(file.read_text()).readline):
        docstring = token.type == tokenize.STRING and '"""' in token.string
        if docstring or token.type == tokenize.COMMENT:
            yield token.string


def _is_there(name: str, beside: Path = ROOT) -> bool:
    """Return whether a name is that of a file, a module, or something in one."""
    if any((folder / name).exists() for folder in (*PACKAGES, beside.parent)):
        return True
    parts = name.split(".")
    if parts[0] in VALUES or name in METHODS:
        return True
    for count in range(len(parts), 0, -1):
        for module in BY_ENDING.get(".".join(parts[:count]), ()):
            rest = parts[count:]
            if not rest or _has(importlib.import_module(module), rest):
                return True
    if not parts[0].islower():  # a class
        importable = (each for each in MODULES if not each.endswith("__main__"))
        owners = map(importlib.import_module, importable)
        return any(_has(owner, parts) for owner in owners)
    outside = None if parts[0] in BY_ENDING else find_spec(parts[0])
    return outside is not None and _has(importlib.import_module(parts[0]), parts[1:])


def _has(owner: ModuleType | type, path: list[str]) -> bool:
    for part in path:
        annotated = part in getattr(owner, "__annotations__", {})
        if not annotated and not hasattr(owner, part):
            return False
        owner = getattr(owner, part, type(None))
    return True


@pytest.mark.parametrize("module", MODULES)
def test_names_in_prose_name_something(module: str) -> None:
    """What was moved or renamed is renamed in docstrings and comments too."""
    named = {name for text in _prose(MODULES[module]) for name in QUOTED.findall(text)}
    beside = MODULES[module]
    assert [name for name in sorted(named) if not _is_there(name, beside)] == []


@pytest.mark.parametrize(
    "name", ["server.shapes", "server/reading.py", "Broker.end_of", "lifecycle.never"]
)
def test_a_name_of_nothing_is_found(name: str) -> None:
    """A file, a module, an attribute of a class or of a module that is not there."""
    assert not _is_there(name)
