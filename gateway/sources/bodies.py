"""Path and body templates filled in, and bodies merged into a document that the product holds.

Rules of this file: pure; a string that is only a placeholder keeps the value's JSON type; what a merge does not name
goes back as it came, numbers in their own form; a document of another shape than the mapping's is never sent back.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from gateway.core.errors import NothingSent, NotMergeable
from gateway.core.value import json_text, shorten

_PLACEHOLDER = re.compile(r"\{([a-z_.]+(?::[A-Za-z0-9_]+)?)\}")


@dataclass(frozen=True, slots=True)
class Times:
    """What `{now:...}` and `{end:...}` stand for, Unix time of the product; `end` None where nothing ends."""

    now: float
    end: float | None = None


def fill_path(template: str, values: Mapping[str, str]) -> str:
    """A path with `{id}` and `{parent.id}` filled in and escaped."""
    return _PLACEHOLDER.sub(lambda match: quote(values[match[1]], safe=""), template)


def fill_body(template: Any, values: Mapping[str, Any], times: Times) -> Any:
    """A body with its placeholders filled in; a string that is only a placeholder keeps the value's JSON type.

    Raises:
        NothingSent: a placeholder has no value.
    """
    if isinstance(template, dict):
        return {key: fill_body(value, values, times) for key, value in template.items()}
    if isinstance(template, list):
        return [fill_body(item, values, times) for item in template]
    if not isinstance(template, str):
        return template
    whole = _PLACEHOLDER.fullmatch(template)
    if whole is not None:
        return _value(whole[1], values, times)
    return _PLACEHOLDER.sub(lambda match: json_text(_value(match[1], values, times)) or "", template)


def _value(name: str, values: Mapping[str, Any], times: Times) -> Any:
    which, _, form = name.partition(":")
    moment = {"now": times.now, "end": times.end}.get(which)
    if moment is not None:
        match form:
            case "iso":
                return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            case "epoch":
                return int(moment)
            case "epoch_ms":
                return int(moment * 1000)
    if name not in values:
        raise NothingSent(f"the body needs {{{name}}}, which has no value yet")
    return values[name]


def merged(document: Any, change: Any, where: str) -> Any:
    """The whole document with the members of `change` in their places.

    Raises:
        NotMergeable: the document is no object, lacks a member of `change`, or holds another kind of thing there.
    """
    if not isinstance(document, dict):
        raise NotMergeable(f"{where}: not changed: an object was expected, not {shorten(document)}")
    whole = _merged(document, change, where, "")
    if not _is_json(whole):
        raise NotMergeable(f"{where}: not changed: it holds a number that cannot be sent back")
    return whole


def _merged(document: dict[str, Any], change: Mapping[str, Any], where: str, path: str) -> dict[str, Any]:
    whole = dict(document)
    for name, new in change.items():
        at = f"{path}.{name}" if path else name
        if name not in document:
            raise NotMergeable(f"{where}: not changed: there is no member {at}")
        old = document[name]
        if isinstance(new, dict) and isinstance(old, dict):
            whole[name] = _merged(old, new, where, at)
        elif old is not None and _shape(new) != _shape(old):
            raise NotMergeable(
                f"{where}: not changed: the member {at} is {_shape(old)}, and the body has {_shape(new)}"
            )
        else:
            whole[name] = new
    return whole


def _shape(value: Any) -> str:
    if isinstance(value, dict):
        return "an object"
    return "a list" if isinstance(value, list) else "a plain value"


def _is_json(value: Any) -> bool:
    """Whether every number came through the parser as it was written: an endless one did not."""
    if isinstance(value, dict):
        return all(_is_json(item) for item in value.values())
    if isinstance(value, list):
        return all(_is_json(item) for item in value)
    return not isinstance(value, float) or math.isfinite(value)
