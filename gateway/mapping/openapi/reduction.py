"""How a zone's limit is read and written, as far as the schemas say it: path, body, release, what proves it.

Nothing is guessed here: a limit that goes to the wrong place, or in the wrong unit, moves a site's current.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gateway.mapping.openapi.hints import FOREVER, LIMIT_TO, NO_LIMIT, REDUCTION
from gateway.mapping.openapi.leaves import Leaf, best, leaves_of, plain
from gateway.mapping.openapi.quantities import scale_between
from gateway.mapping.openapi.rows import quoted
from gateway.mapping.openapi.shape import Shape, without_null


@dataclass(slots=True)
class ReductionDraft:
    """What was recognised (`point`, keys of a mapping's point) and what was not (`unknown`, in words)."""

    point: dict[str, Any] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)


def draft_reduction(answer: Shape | None, body: Shape | None) -> ReductionDraft:
    """A draft from the answer of GET and the body of PUT."""
    draft = ReductionDraft()
    leaves = leaves_of(answer) if answer is not None else []
    value = _value(leaves, draft)
    selector = next((leaf for leaf in leaves if _one(leaf.shape, NO_LIMIT)), None)
    command: dict[str, Any] = {}
    if selector is None:
        draft.unknown.append("what says that there is no limit (`none_when`)")
    else:
        command["none_when"] = f"{selector.path} == '{_one(selector.shape, NO_LIMIT)}'"
        if (limiting := _limiting(selector.shape)) is not None:
            command["verify"] = f"{selector.path} == '{limiting}'"
    if body is None:
        draft.unknown.append("the body of PUT")
    else:
        command["body"] = _filled(body, "{value}", draft, "")
        command["release"] = _filled(body, "{default}", draft, "", release=True)
        if value is not None and "number" not in value.shape.types:
            command["as"] = "int"
        if "{value}" not in str(command["body"]):
            draft.unknown.append("which member of the body is the limit")
    draft.point["command"] = command
    return draft


def _value(leaves: list[Leaf], draft: ReductionDraft) -> Leaf | None:
    value, several = best(leaves, REDUCTION)
    if value is None:
        names = ", ".join(leaf.path for leaf in several)
        draft.unknown.append(f"which member is the limit ({names})" if several else "which member is the limit")
        return None
    draft.point["path"] = value.path
    scale = scale_between(value.unit, "A")
    if scale is None:
        draft.unknown.append(f"the unit of {value.path}: the schema states none in A")
    else:
        draft.point["scale"] = scale
    return value


def _one(shape: Shape, words: frozenset[str]) -> str | None:
    """The one text of an enumeration that is among the words."""
    found = [text for text in shape.texts if plain(text) in words]
    return found[0] if len(found) == 1 else None


def _limiting(shape: Shape) -> str | None:
    """The text that says "a limit in A": among the words, else the only one beside "no limit"."""
    rest = [text for text in shape.texts if plain(text) not in NO_LIMIT]
    return _one(shape, LIMIT_TO) or (rest[0] if len(rest) == 1 and len(rest) < len(shape.texts) else None)


def _filled(shape: Shape, value: str, draft: ReductionDraft, at: str, *, release: bool = False) -> dict[str, Any]:
    """A body of the members that are understood; a required one that is not is named."""
    body: dict[str, Any] = {}
    numbers, _ = best(leaves_of(shape), REDUCTION)
    for name, member in shape.members.items():
        part = without_null(member)
        path = f"{at}.{name}" if at else name
        required = name in shape.required
        if release and not required:
            continue
        if numbers is not None and numbers.path == quoted(name):
            body[name] = value
        elif part.texts and (text := _choice(part, release=release)) is not None:
            body[name] = text
        elif "object" in part.types and part.members and (inner := _filled(part, value, draft, path, release=release)):
            body[name] = inner
        elif required:
            listed = f" (one of {', '.join(part.texts)})" if part.texts else ""
            draft.unknown.append(f"what to send in {path}{listed}")
    return body


def _choice(shape: Shape, *, release: bool) -> str | None:
    forever = _one(shape, FOREVER)
    no_limit = _one(shape, NO_LIMIT)
    if no_limit is not None:
        return no_limit if release else _limiting(shape)
    return forever or _one(shape, LIMIT_TO)
