"""Pydantic's findings as faults with a place, and which keys would have been allowed."""

from __future__ import annotations

import types
import typing
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from gateway.config.strict_yaml import Document, KeyPath
from gateway.core.errors import Fault

M = TypeVar("M", bound=BaseModel)


class Strict(BaseModel):
    """Base of everything an integrator writes: unknown keys refused, nothing coerced, immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)


def validate(model: type[M], document: Document) -> tuple[M | None, list[Fault]]:
    """The document as a model, or None with every fault found."""
    try:
        return model.model_validate(document.data if document.data is not None else {}), []
    except ValidationError as error:
        faults: dict[tuple[KeyPath, str], Fault] = {}
        for item in error.errors(include_url=False):
            path = _known_path(document, item["loc"])
            kind = item["type"]
            text = _text(model, path, kind, item)
            faults.setdefault((path, text), document.fault(path, text, at_key=kind == "extra_forbidden"))
        return None, list(faults.values())


def _text(model: type[BaseModel], path: KeyPath, kind: str, item: Any) -> str:
    if kind == "extra_forbidden":
        return f"unknown key; allowed: {', '.join(sorted(allowed_keys(model, path[:-1]))) or 'none'}"
    if kind == "missing":
        return "is missing"
    text = str(item["msg"]).removeprefix("Value error, ").replace("Input should be", "must be")
    shown = item.get("input")
    if isinstance(shown, (str, int, float, bool)) and "password" not in path:
        text += f" (found {shown!r})"
    return text


def _known_path(document: Document, loc: tuple[str | int, ...]) -> KeyPath:
    """Pydantic's location without the union members it names, plus a last key that is missing in the file."""
    path: KeyPath = ()
    for i, part in enumerate(loc):
        if (*path, part) in document.marks or (i == len(loc) - 1 and isinstance(part, str) and part.isidentifier()):
            path = (*path, part)
    return path


def allowed_keys(model: type[BaseModel], path: KeyPath) -> set[str]:
    """The keys a mapping at `path` may have, over every alternative the models allow there."""
    found: list[Any] = [model]
    for part in path:
        found = [inner for item in found for inner in _inner(item, part)]
    return {
        info.alias or name
        for item in _alternatives(found)
        if isinstance(item, type) and issubclass(item, BaseModel)
        for name, info in item.model_fields.items()
    }


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
        if isinstance(choice, type) and issubclass(choice, BaseModel):
            inner += [info.annotation for name, info in choice.model_fields.items() if (info.alias or name) == part]
        elif origin in (dict, list) and arguments:
            inner.append(arguments[-1])
    return inner
