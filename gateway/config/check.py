"""Pydantic's findings as faults with a place, and which keys would have been allowed.

Rules of this file: one fault per place, however many alternatives a key has; a text says what is wrong and what
is allowed in the words of a YAML author; no password is ever repeated.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from gateway.config.strict_yaml import QUOTE_HINT, Document, KeyPath
from gateway.core.errors import Fault

M = TypeVar("M", bound=BaseModel)

TYPES = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
    "model_attributes_type": "a mapping (key: value)",
    "none_required": "null",
}
"""Pydantic's error types that say which type is wanted, in words."""

TEXTS = {
    "missing": "is missing",
    "string_too_short": "must have at least {min_length} character(s)",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} item(s)",
    "too_long": "must have at most {max_length} item(s)",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
}

PATTERNS: dict[str, str] = {}
"""Patterns of the models in words; see `in_words`."""


class Strict(BaseModel):
    """Base of everything an integrator writes: unknown keys refused, nothing coerced, immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True, allow_inf_nan=False)


def in_words(pattern: str, text: str) -> str:
    """Registers what a pattern means, for faults; returns the pattern."""
    PATTERNS[pattern] = text
    return pattern


class WrongKeyError(ValueError):
    """What a model's own check raises to point at one of its keys."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(text)
        self.key = key


def validate(model: type[M], document: Document) -> tuple[M | None, list[Fault]]:
    """The document as a model, or None with every fault found."""
    if document.data is None:
        return None, [document.fault((), "the file is empty")]
    try:
        return model.model_validate(document.data), []
    except ValidationError as error:
        items = error.errors(include_url=False)
    wanted: dict[KeyPath, list[str]] = {}
    inputs: dict[KeyPath, Any] = {}
    faults: dict[tuple[KeyPath, str], Fault] = {}
    for item in items:
        path = _known_path(document, item["loc"], missing=item["type"] == "missing")
        kind = item["type"]
        raised = item.get("ctx", {}).get("error")
        if isinstance(raised, WrongKeyError) and (*path, raised.key) in document.marks:
            path = (*path, raised.key)
        if kind in TYPES:
            inputs[path] = item["input"]
            words = wanted.setdefault(path, [])
            words += [TYPES[kind]] if TYPES[kind] not in words else []
            continue
        text = _text(model, path, item)
        at_key = kind == "extra_forbidden" or item["loc"][-1:] == ("[key]",)
        faults.setdefault((path, text), document.fault(path, text, at_key=at_key))
    for path, words in wanted.items():
        if not any(other[: len(path)] == path for other, _ in faults):
            text = f"must be {' or '.join(words)}{_found(path, inputs[path])}"
            if words == ["text"] and "password" not in path:
                text += _quote_hint(path, inputs[path])
            faults[path, text] = document.fault(path, text)
    return None, list(faults.values())


def _text(model: type[BaseModel], path: KeyPath, item: Any) -> str:
    kind = item["type"]
    if kind == "extra_forbidden":
        return f"unknown key; allowed: {', '.join(sorted(allowed_keys(model, path[:-1]))) or 'none'}"
    if kind == "missing":
        return TEXTS[kind]
    context = item.get("ctx", {})
    if kind == "string_pattern_mismatch" and context["pattern"] in PATTERNS:
        text = PATTERNS[context["pattern"]]
    elif kind in TEXTS:
        text = TEXTS[kind].format(**context)
    else:
        text = str(item["msg"]).removeprefix("Value error, ").replace("Input should be", "must be")
    value = item.get("input")
    return text if kind == "value_error" and isinstance(value, (dict, list)) else text + _found(path, value)


def _found(path: KeyPath, value: Any) -> str:
    """What stands there instead; never a password, nor an address that may hold one."""
    if "password" in path or (isinstance(value, str) and "@" in value and "url" in path):
        return ""
    match value:
        case bool():
            return f" (found {'true' if value else 'false'})"
        case str() | int() | float():
            return f" (found {value!r})"
        case dict():
            return " (found a mapping)"
        case list():
            return " (found a list)"
        case None:
            return " (found nothing)"
    return ""


def _quote_hint(path: KeyPath, value: Any) -> str:
    """Text that YAML took for something else: `{id}`, `[0]`, 5, true."""
    if isinstance(value, (dict, list)):
        return f"; {QUOTE_HINT}"
    if value is None:
        return ""
    return "; quote it, with its brackets if they belong to it" if path and isinstance(path[-1], int) else "; quote it"


def _known_path(document: Document, loc: tuple[str | int, ...], *, missing: bool) -> KeyPath:
    """Pydantic's location without the union members it names; a key that is missing in the file is kept."""
    path: KeyPath = ()
    for i, part in enumerate(loc):
        if (*path, part) in document.marks or (missing and i == len(loc) - 1):
            path = (*path, part)
    return path


def allowed_keys(model: type[BaseModel], path: KeyPath) -> set[str]:
    """The keys a mapping at `path` may have, over every alternative the models allow there."""
    found: list[Any] = [model]
    for part in path:
        found = [inner for item in found for inner in _inner(item, part)]
    return {info.alias or name for item in _models(found) for name, info in item.model_fields.items()}


def _models(items: list[Any]) -> Iterator[type[BaseModel]]:
    """Every model among the alternatives; a list of models may also be written as one of them."""
    for item in _alternatives(items):
        if typing.get_origin(item) is list:
            yield from _models(list(typing.get_args(item)))
        elif isinstance(item, type) and issubclass(item, BaseModel):
            yield item


def _alternatives(items: list[Any]) -> list[Any]:
    flat: list[Any] = []
    for item in items:
        origin = typing.get_origin(item)
        if origin in (typing.Union, types.UnionType):
            flat += _alternatives(list(typing.get_args(item)))
        elif origin is typing.Annotated:
            flat += _alternatives([typing.get_args(item)[0]])
        else:
            flat.append(item)
    return flat


def _inner(item: Any, part: str | int) -> list[Any]:
    inner: list[Any] = []
    for choice in _alternatives([item]):
        origin, arguments = typing.get_origin(choice), typing.get_args(choice)
        if isinstance(part, str) and origin is not dict:
            inner += [
                info.annotation
                for one in _models([choice])
                for name, info in one.model_fields.items()
                if (info.alias or name) == part
            ]
        elif origin in (dict, list) and arguments:
            inner.append(arguments[-1])
    return inner
