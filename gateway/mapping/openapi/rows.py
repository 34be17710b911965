"""A shape as lines to read: one per leaf, with the JMESPath a mapping would write."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.mapping.openapi.shape import Shape

NAMED = "named value"
SHORT = 48
MOST_ROWS = 3000
MOST_TEXTS = 16
SELECTORS = ("name", "key", "measurand", "code", "parameter", "label", "type", "kind")
VALUES = ("value", "val", "v", "reading")
IDS = re.compile(r"(?i)^(id|uid|uuid|no|.*_id|.*Id)$")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Row:
    """One line: `path` as a mapping writes it, JSON types, a short sample (or ""), and what else is known."""

    path: str
    kind: str
    sample: str = ""
    note: str = ""


def rows_of(shape: Shape) -> list[Row]:
    """Every leaf; lists and objects keyed by id once, with their length and how to write their items."""
    rows: list[Row] = []
    for row in _rows(shape, ""):
        if len(rows) == MOST_ROWS:
            return [*rows, Row("...", "", note=f"more than {MOST_ROWS} members: the rest is not shown")]
        rows.append(row)
    return rows


def quoted(name: str) -> str:
    """A member's name as JMESPath writes it."""
    return name if _PLAIN.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def joined(path: str, name: str) -> str:
    """The path of a member."""
    return f"{path}.{quoted(name)}" if path else quoted(name)


def selected(path: str, selector: str, text: str, value: str) -> str:
    """The path of one entry of a list of named values: `values[?name=='power'].value | [0]`."""
    raw = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"{path}[?{quoted(selector)}=='{raw}'].{quoted(value)} | [0]"


def named_values(shape: Shape) -> tuple[str, str, tuple[str, ...]] | None:
    """Selector, value member and the names of a list of named values ({name, value}); None for any other list."""
    item = shape.items
    if item is None or "object" not in item.types or any(IDS.match(name) for name in item.members):
        return None
    value = next((name for name in VALUES if name in item.members), None)
    for name in SELECTORS:
        member = item.members.get(name)
        if value is None or member is None or "string" not in member.types:
            continue
        if member.texts or (member.seen and len(member.seen) == shape.count):
            return name, value, member.texts or member.seen
    return None


def short(value: object) -> str:
    """A sample on one line."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= SHORT else text[: SHORT - 3] + "..."


def types_text(shape: Shape) -> str:
    """`number`, `string or null`, `anything`."""
    return " or ".join(sorted(shape.types, key=lambda kind: (kind == "null", kind))) or "anything"


def _rows(shape: Shape, path: str) -> Iterator[Row]:
    inner = [*_array(shape, path), *_keyed(shape, path)]
    for name, member in shape.members.items():
        inner += _rows(member, joined(path, name))
    yield from inner
    kinds = shape.types - {"array", "object"}
    if not inner or kinds - {"null"}:
        yield _leaf(shape, path or "@")


def _leaf(shape: Shape, path: str) -> Row:
    notes = []
    if shape.texts:
        more = ", ..." if len(shape.texts) > MOST_TEXTS else ""
        notes.append("one of " + ", ".join(shape.texts[:MOST_TEXTS]) + more)
    if shape.unit:
        notes.append(f"unit {shape.unit}")
    if shape.description:
        notes.append(" ".join(shape.description.split())[:SHORT])
    return Row(path, types_text(shape), "" if shape.sample is None else short(shape.sample), "; ".join(notes))


def _array(shape: Shape, path: str) -> list[Row]:
    if "array" not in shape.types:
        return []
    size = "" if shape.count is None else f" of {shape.count}"
    notes = [f"unit {shape.unit}"] if shape.unit else []
    notes += [shape.description] if shape.description else []
    item = shape.items
    rows: list[Row] = []
    if item is not None and "object" in item.types:
        if not _inside(path):
            notes.append(f"items: {json.dumps(path or '@')}, and what follows `[].` is an item's path")
        rows = list(_rows(item, f"{path}[]"))
        if named := named_values(shape):
            notes = [f"a list of named values: items of {path or '@'} by their `{named[0]}`"]
            rows += [Row(selected(path, named[0], text, named[1]), NAMED) for text in named[2]]
    elif item is not None and item.is_known:
        rows = list(_rows(item, f"{path}[]"))
        notes.append("one item: [0], [1], ...")
    return [Row(path or "@", f"array{size}", note="; ".join(notes)), *rows]


def _keyed(shape: Shape, path: str) -> list[Row]:
    if shape.others is None or not shape.others.is_known:
        return []
    size = "" if shape.count is None else f" with {shape.count} members"
    note = f'items: {json.dumps(path or "@")}, id: "@key", and what follows `[].` is an item\'s path'
    note = "" if _inside(path) else note
    sample = "" if shape.sample is None else f"key {short(shape.sample)}"
    inner = f"values({path or '@'})[]"  # `a.*.b.c` finds nothing: the library takes `.c` off the whole list
    return [Row(path or "@", f"object keyed by id{size}", sample, note), *_rows(shape.others, inner)]


def _inside(path: str) -> bool:
    """Whether a path already loops over a list: the mapping then goes on from an item."""
    return "[]" in path or "*" in path
