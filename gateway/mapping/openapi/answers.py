"""The shape of a JSON document that a product answered."""

from __future__ import annotations

import re
from functools import reduce
from typing import Any

from gateway.mapping.openapi.shape import Shape, either, of_type

_ID_KEY = re.compile(r"\d+|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{16,}")


def shape_of(document: Any) -> Shape:
    """The shape of a decoded document, as deep as it is (decoding bounds that)."""
    match document:
        case dict():
            return _object(document)
        case list():
            items = reduce(either, (shape_of(item) for item in document)) if document else None
            return Shape(frozenset({"array"}), items=items, count=len(document))
        case None:
            return of_type("null")
        case bool():
            return Shape(frozenset({"boolean"}), sample=document)
        case str():
            return Shape(frozenset({"string"}), seen=(document,), sample=document)
        case int():
            return Shape(frozenset({"integer"}), sample=document)
        case _:
            return Shape(frozenset({"number"}), sample=document)


def is_keyed(document: dict[str, Any]) -> bool:
    """Whether an object's keys are ids: numbers, UUIDs or the like, each with an object of its own."""
    return bool(document) and all(
        _ID_KEY.fullmatch(key) and isinstance(value, dict | list) for key, value in document.items()
    )


def _object(document: dict[str, Any]) -> Shape:
    if is_keyed(document):
        others = reduce(either, (shape_of(value) for value in document.values()))
        return Shape(frozenset({"object"}), others=others, count=len(document), sample=next(iter(document)))
    members = {name: shape_of(value) for name, value in document.items()}
    return Shape(frozenset({"object"}), members=members, required=frozenset(members))
