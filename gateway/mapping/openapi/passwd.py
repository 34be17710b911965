"""How a user changes the own password, as the schema of POST /login/passwd says it; nothing is guessed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.mapping.openapi.api import Api
from gateway.mapping.openapi.emit import line, note_line
from gateway.mapping.openapi.secrets import words_of
from gateway.mapping.openapi.shape import Shape, without_null

PATH = "/login/passwd"
OLD = frozenset({"old", "current", "actual", "previous", "existing"})
NEW = frozenset({"new", "next", "replacement", "confirm", "confirmation", "repeat", "repeated"})


def passwd_lines(api: Api, template: Mapping[str, Any], base: str) -> list[str]:
    """The mapping's `passwd` where it differs from the template's; nothing for a file without that call."""
    said = template.get("passwd")
    if not isinstance(said, dict) or not api.has("POST", PATH, base):
        return []
    shape = api.body("POST", PATH, base)
    body = _filled(shape) if shape is not None else None
    if body is None or not {"{old}", "{new}"} <= _values(body):
        if shape is None or not shape.is_known:
            return [note_line(0, f"passwd: no schema of POST {PATH}; CONFIRM the body of the file this one extends")]
        return [line(0, "passwd", None, f"not recognised in POST {PATH}; it has: {', '.join(shape.members)}")]
    return [] if body == said["body"] else [line(0, "passwd", {"body": _over(said["body"], body)})]


def _filled(shape: Shape) -> dict[str, Any] | None:
    """The body with the old and the new password in their places; None when a required member is neither."""
    body: dict[str, Any] = {}
    for name, member in shape.members.items():
        part, words = without_null(member), set(words_of(name))
        if "object" in part.types and part.members:
            inner = _filled(part)
            if inner is not None:
                body[name] = inner
                continue
        elif part.can_be("string") and bool(words & OLD) != bool(words & NEW):
            body[name] = "{old}" if words & OLD else "{new}"
            continue
        if name in shape.required:
            return None
    return body


def _values(body: Any) -> set[str]:
    return set().union(*map(_values, body.values())) if isinstance(body, dict) else {body}


def _over(old: Any, new: dict[str, Any]) -> dict[str, Any]:
    """What makes `new` of `old` when both are merged: null takes away what only `old` has."""
    return {**{name: None for name in old if name not in new}, **new} if isinstance(old, dict) else new
