"""A mapping's paths asked of decoded JSON by JMESPath's own library, and what its points hold; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError

Data = Mapping[str, Any]
KEY = "@key"
NOT_ASKED = object()
"""Stands for the document of a GET that the gateway never made."""


def sort_of(said: Data) -> str:
    """number, bool, string or enum: what a mapping's point holds, by where it is served."""
    if said.get("enum"):
        return "enum"
    modbus = said.get("modbus")
    first = modbus[0] if isinstance(modbus, list) and modbus else modbus
    kind = str(first.get("type", "")) if isinstance(first, Mapping) else ""
    bacnet = said.get("bacnet")
    served = str(bacnet.get("object", "")) if isinstance(bacnet, Mapping) else ""
    if kind in {"bool", "bits"} or (not kind and served.startswith("binary")):
        return "bool"
    if kind.startswith("string") or (not kind and served.startswith("character")):
        return "string"
    return "number"


def ask(path: Any, document: Any) -> Any:
    """The first of the paths that finds something."""
    if document is NOT_ASKED or document is None or path is None:
        return None
    for one in path if isinstance(path, list) else [path]:
        try:
            found = jmespath.search(one, document)
        except JMESPathError:
            continue
        if found is not None:
            return found
    return None


def path_text(path: Any) -> str:
    """A path as a person reads it."""
    return " | ".join(path) if isinstance(path, list) else str(path)


def pairs_of(items: Any) -> list[tuple[str, Any]]:
    """(key, item) of an object, or an array's items with an empty key; [] for anything else."""
    if isinstance(items, dict):
        return list(items.items())
    return [("", item) for item in items] if isinstance(items, list) else []


def json_text(raw: Any) -> str | None:
    """A JSON scalar as its JSON text; None for lists, objects and null."""
    if isinstance(raw, bool):
        return "true" if raw else "false"
    return str(raw) if isinstance(raw, (int, float, str)) else None
