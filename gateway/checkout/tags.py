"""The octets of a ReadPropertyMultiple-ACK as values (ASHRAE 135 clauses 20.2 and 21); pure."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

OPEN, CLOSE = 6, 7
OBJECT, LIST, PROPERTY, INDEX, VALUE, ERROR = 0, 1, 2, 3, 4, 5


class Cut(ValueError):
    """The octets end too early, or are something else."""


class _Tag(NamedTuple):
    number: int
    context: bool
    length: int
    at: int
    """Where its content begins."""


def values_of(data: bytes) -> list[tuple[int, dict[int, Any]]]:
    """(object identifier, value by property) in order; a property with an error is left out.

    A value is None, bool, int, float, str or bytes; of a list of values it is the first.

    Raises:
        Cut: it is no such answer.
    """
    found: list[tuple[int, dict[int, Any]]] = []
    at = 0
    while at < len(data):
        tag = _expect(data, at, OBJECT)
        key = int.from_bytes(data[tag.at : tag.at + tag.length], "big")
        at = _expect(data, tag.at + tag.length, LIST, OPEN).at
        values: dict[int, Any] = {}
        while not _is(data, at, LIST, CLOSE):
            at = _property(data, at, values)
        at = _tag(data, at).at
        found.append((key, values))
    return found


def _property(data: bytes, at: int, values: dict[int, Any]) -> int:
    """One result into `values`; returns where it ends."""
    tag = _expect(data, at, PROPERTY)
    prop = int.from_bytes(data[tag.at : tag.at + tag.length], "big")
    at = tag.at + tag.length
    if _is(data, at, INDEX, None):
        index = _tag(data, at)
        at = index.at + index.length
    kind = VALUE if _is(data, at, VALUE, OPEN) else ERROR
    at = _expect(data, at, kind, OPEN).at
    first = True
    while not _is(data, at, kind, CLOSE):
        inner = _tag(data, at)
        if kind == VALUE and first:
            values[prop] = _application(data, inner)
        first = False
        at = inner.at if inner.length in (OPEN, CLOSE) and inner.context else inner.at + _content(inner)
    return _tag(data, at).at


def _content(tag: _Tag) -> int:
    """Octets after the tag: a Boolean of the application class has its value in the tag itself."""
    return 0 if not tag.context and tag.number == 1 else tag.length


def _application(data: bytes, tag: _Tag) -> Any:
    body = data[tag.at : tag.at + _content(tag)]
    if len(body) != _content(tag):
        raise Cut("a value is cut")
    match tag.number if not tag.context else -1:
        case 0:
            return None
        case 1:
            return bool(tag.length)
        case 2 | 9:
            return int.from_bytes(body, "big")
        case 3:
            return int.from_bytes(body, "big", signed=True)
        case 4 if len(body) == 4:
            return struct.unpack(">f", body)[0]
        case 5 if len(body) == 8:
            return struct.unpack(">d", body)[0]
        case 7:
            return body[1:].decode("utf-8" if body[:1] == b"\0" else "latin-1", "replace")
    return body


def _tag(data: bytes, at: int) -> _Tag:
    if at >= len(data):
        raise Cut("it ends too early")
    octet = data[at]
    number, context, length = octet >> 4, bool(octet & 0x08), octet & 0x07
    at += 1
    if number == 15:
        number, at = data[at] if at < len(data) else 0, at + 1
    if length == 5:
        length, at = data[at] if at < len(data) else 0, at + 1
        if length in (254, 255):
            size = 2 if length == 254 else 4
            length, at = int.from_bytes(data[at : at + size], "big"), at + size
        if context and length in (OPEN, CLOSE):
            raise Cut("a context tag that is not expected here")
    return _Tag(number, context, length, at)


def _is(data: bytes, at: int, number: int, kind: int | None) -> bool:
    """Whether a context tag stands here: an opening or closing one of this number, or (None) one with content."""
    tag = _tag(data, at)
    plain = tag.length not in (OPEN, CLOSE)
    return tag.context and tag.number == number and (plain if kind is None else tag.length == kind)


def _expect(data: bytes, at: int, number: int, kind: int | None = None) -> _Tag:
    tag = _tag(data, at)
    if not _is(data, at, number, kind):
        raise Cut(f"tag {tag.number} where {number} should be")
    return tag
