"""OpenAPI schemas (2.0, 3.0, 3.1) to shapes.

Rules of this file: what is not understood is anything, never an empty object; a reference to itself is anything
at its second turn; a schema that says nothing of further members is taken as having none, `additionalProperties:
true` as having any.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import reduce
from typing import Any

from gateway.core.value import json_text
from gateway.mapping.openapi.shape import ANY, Shape, both, either

MOST_SCHEMAS = 50_000
_TYPES = frozenset({"object", "array", "string", "integer", "number", "boolean", "null"})
_UNIT_KEYS = ("x-unit", "x-units", "x-uom", "x-unit-of-measure", "unit", "units")
_U = r"(d?m?A|k?W|M?k?Wh|k?VA|k?var|k?varh|d?m?V|Hz|%|°C|degC|ms|s|min|h)"
_UNITS_IN_TEXT = (
    re.compile(rf"(?<![A-Za-z])[(\[]\s*(?:in\s+|unit:?\s*)?{_U}\s*[)\]]"),
    re.compile(rf"(?i:\bunits?\s*[:=]\s*|\bin\s+){_U}(?![\w/-])"),
)
_UNIT_WORDS = {
    "tenths of amperes": "dA", "deciamperes": "dA", "deciampere": "dA", "milliamperes": "mA", "milliampere": "mA",
    "amperes": "A", "ampere": "A", "amps": "A", "kilowatt-hours": "kWh", "kilowatt hours": "kWh",
    "watt-hours": "Wh", "watt hours": "Wh", "kilowatts": "kW", "watts": "W", "decivolts": "dV", "millivolts": "mV",
    "volts": "V", "milliseconds": "ms", "seconds": "s", "minutes": "min", "percent": "%",
}  # fmt: skip
"""Units written out, the longer words first."""


class Schemas:
    """The schemas of one document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._left = MOST_SCHEMAS

    def resolved(self, node: Any) -> Any:
        """What a `$ref` leads to (any object of the document), through at most a dozen steps; else None."""
        for _ in range(12):
            if not isinstance(node, dict) or not isinstance(node.get("$ref"), str):
                return node
            node = self._target(node["$ref"])
        return None

    def shape(self, schema: Any) -> Shape:
        """The shape of a schema object."""
        self._left = MOST_SCHEMAS
        return self._shape(schema, ())

    def _target(self, reference: str) -> Any:
        if not reference.startswith("#"):
            return None
        node: Any = self._document
        for part in reference.removeprefix("#").split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~").replace("%7B", "{").replace("%7D", "}")
            if isinstance(node, list):
                node = node[int(name)] if name.isdigit() and int(name) < len(node) else None
            else:
                node = node.get(name) if isinstance(node, dict) else None
        return node

    def _shape(self, schema: Any, inside: tuple[str, ...]) -> Shape:
        self._left -= 1
        if not isinstance(schema, dict) or self._left < 0:
            return ANY
        reference = schema.get("$ref")
        if isinstance(reference, str):
            if reference in inside:
                return ANY
            target = self._shape(self._target(reference), (*inside, reference))
            beside = _described(schema)
            return replace(target, description=beside[0] or target.description, unit=beside[1] or target.unit)
        shape = self._own(schema, inside)
        for part in _list(schema.get("allOf")):
            shape = both(shape, self._shape(part, inside))
        for word in ("oneOf", "anyOf"):
            if parts := [self._shape(part, inside) for part in _list(schema.get(word))]:
                shape = both(shape, reduce(either, parts)) if any(part.is_known for part in parts) else shape
        if schema.get("nullable") is True or schema.get("x-nullable") is True:
            shape = replace(shape, types=shape.types | {"null"}) if shape.types else shape
        return shape

    def _own(self, schema: dict[str, Any], inside: tuple[str, ...]) -> Shape:
        """What the schema says without its combinations."""
        members = {str(name): self._shape(part, inside) for name, part in _mapping(schema.get("properties")).items()}
        required = frozenset(name for name in _list(schema.get("required")) if isinstance(name, str))
        items = schema.get("items")
        if items is None and (parts := _list(schema.get("prefixItems"))):
            items = {"oneOf": parts}
        types = _types_of(schema, bool(members), has_items=items is not None)
        description, unit = _described(schema)
        return Shape(
            types=types,
            members=members,
            required=required,
            others=self._others(schema, inside) if "object" in types else None,
            items=self._shape(items, inside) if "array" in types else None,
            count=schema.get("maxItems") if schema.get("maxItems") == schema.get("minItems") else None,
            texts=_texts_of(schema),
            unit=unit,
            description=description,
            sample=_sample(schema),
        )

    def _others(self, schema: dict[str, Any], inside: tuple[str, ...]) -> Shape | None:
        further = schema.get("additionalProperties")
        patterns = _mapping(schema.get("patternProperties"))
        if patterns:
            return reduce(either, (self._shape(part, inside) for part in patterns.values()))
        if isinstance(further, dict):
            return self._shape(further, inside)
        combined = any(word in schema for word in ("allOf", "oneOf", "anyOf"))
        nothing_said = further is None and not schema.get("properties") and not combined
        return ANY if further is True or nothing_said else None


def _types_of(schema: dict[str, Any], has_members: bool, *, has_items: bool) -> frozenset[str]:
    said = schema.get("type")
    types = {kind for kind in (said if isinstance(said, list) else [said]) if kind in _TYPES}
    if not types and (has_members or isinstance(schema.get("additionalProperties"), dict)):
        types = {"object"}
    if not types and has_items:
        types = {"array"}
    values = [schema["const"]] if "const" in schema else _list(schema.get("enum"))
    if not types and values and all(isinstance(text, str) for text in values):
        types = {"string"}
    return frozenset(types)


def _texts_of(schema: dict[str, Any]) -> tuple[str, ...]:
    values = [schema["const"]] if "const" in schema else _list(schema.get("enum"))
    texts = [json_text(value) for value in values if value is not None]
    return tuple(text for text in texts if text is not None)


def _described(schema: dict[str, Any]) -> tuple[str, str]:
    """Description and unit."""
    texts = [schema[key] for key in ("description", "title") if isinstance(schema.get(key), str)]
    unit = next((schema[key] for key in _UNIT_KEYS if isinstance(schema.get(key), str)), "")
    return (texts[0] if texts else ""), unit or next((said for text in texts if (said := unit_in(text))), "")


def unit_in(text: str) -> str:
    """The unit a description states; "" when it states none, or more than one."""
    found = {match[1] for pattern in _UNITS_IN_TEXT for match in pattern.finditer(text)}
    if not found:
        low, words = text.lower(), []
        for word, unit in _UNIT_WORDS.items():
            if re.search(rf"\b{word}\b", low):
                low = low.replace(word, " ")
                words.append(unit)
        found = set(words)
    return found.pop() if len(found) == 1 else ""


def _sample(schema: dict[str, Any]) -> object:
    for key in ("example", "default"):
        if key in schema and not isinstance(schema[key], dict | list):
            found: object = schema[key]
            return found
    examples = schema.get("examples")
    first = examples[0] if isinstance(examples, list) and examples else None
    return None if isinstance(first, dict | list) else first


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _mapping(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}
