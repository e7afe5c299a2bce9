"""Reads protocol/vectors/*.json, in the notation that protocol/README.md describes."""

import json
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).parents[2] / "protocol" / "vectors"


def load(name: str) -> list[dict[str, Any]]:
    """Return the vectors of ``<name>.json``."""
    document = json.loads((VECTORS / f"{name}.json").read_text())
    vectors: list[dict[str, Any]] = document["vectors"]
    return vectors


def name_of(vector: dict[str, Any]) -> str:
    """Return what pytest shows for a vector."""
    name: str = vector["name"]
    return name.replace(" ", "-")


def from_json(value: Any) -> Any:
    """Return the value that its JSON notation stands for.

    ``{"$bin": hex}`` is msgpack bin, ``{"$str": hex}`` a str whose bytes are no UTF-8,
    ``{"$map": [[key, value], ...]}`` a map whose keys are of these.
    """
    if isinstance(value, list):
        return [from_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "$bin" in value:
        return bytes.fromhex(value["$bin"])
    if "$str" in value:
        return bytes.fromhex(value["$str"]).decode("utf-8", "surrogateescape")
    if "$map" in value:
        return {from_json(key): from_json(item) for key, item in value["$map"]}
    return {key: from_json(item) for key, item in value.items()}
