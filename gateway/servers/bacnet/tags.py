"""Octets of a request as BACnet tags (ASHRAE 135 clause 20.2); pure.

Rules of this file: reading is strict, so that a request is either understood whole or refused with a Reject reason;
nothing here knows objects or services.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple

from gateway.servers.bacnet.codec import BOOLEAN, CLOSING, CONTEXT, EXTENDED, OBJECT_ID, OPENING, closing, opening

MAX_DEPTH = 16


class RejectReason(IntEnum):
    """BACnetRejectReason (clause 20.9)."""

    BUFFER_OVERFLOW = 1
    INVALID_TAG = 4
    MISSING_PARAMETER = 5
    PARAMETER_OUT_OF_RANGE = 6
    TOO_MANY_ARGUMENTS = 7
    UNDEFINED_ENUMERATION = 8
    UNRECOGNIZED_SERVICE = 9


class Malformed(Exception):
    """A request does not say what its service needs; `reason` goes into the Reject."""

    def __init__(self, reason: RejectReason) -> None:
        super().__init__(reason.name)
        self.reason = reason


class Primitive(NamedTuple):
    """One application-tagged value: tag number and content octets (a boolean's content is one octet, 0 or 1)."""

    tag: int
    data: bytes


def decode_text(data: bytes) -> str | None:
    """CharacterString content to text, None for a character set that is not read here or is malformed."""
    charset = {0: "utf-8", 4: "utf-16-be", 5: "latin-1"}.get(data[0]) if data else None
    try:
        return data[1:].decode(charset) if charset else None
    except UnicodeDecodeError:
        return None


class Tags:
    """Reads the tags of one request in order."""

    __slots__ = ("_data", "_end", "_pos")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._pos = 0
        self._end = len(data)

    @property
    def done(self) -> bool:
        """Whether everything was read."""
        return self._pos >= self._end

    def finish(self) -> None:
        """Refuses octets after the last parameter.

        Raises:
            Malformed: there are some.
        """
        if self._pos < self._end:
            raise Malformed(RejectReason.TOO_MANY_ARGUMENTS)

    def at(self, first: int) -> bool:
        """Whether the next octet is the opening or closing tag octet `first`."""
        return self._pos < self._end and self._data[self._pos] == first

    def expect(self, first: int) -> None:
        """Passes an opening or closing tag octet.

        Raises:
            Malformed: something else, or nothing, stands there.
        """
        if self._pos >= self._end:
            raise Malformed(RejectReason.MISSING_PARAMETER)
        if self._data[self._pos] != first:
            raise Malformed(RejectReason.INVALID_TAG)
        self._pos += 1

    def has(self, number: int) -> bool:
        """Whether a context-tagged primitive `number` (0..14) comes next."""
        if self._pos >= self._end:
            return False
        first = self._data[self._pos]
        return first & 0xF8 == (number << 4) | CONTEXT and first & 7 < OPENING

    def context(self, number: int, least: int, most: int) -> bytes:
        """The content of context tag `number`, `least` to `most` octets.

        Raises:
            Malformed: the tag is missing, another one, or of another length.
        """
        if self._pos >= self._end:
            raise Malformed(RejectReason.MISSING_PARAMETER)
        if not self.has(number):
            raise Malformed(RejectReason.INVALID_TAG)
        data = self._content(self._length())
        if not least <= len(data) <= most:
            raise Malformed(RejectReason.INVALID_TAG)
        return data

    def number(self, number: int) -> int:
        """A context-tagged Unsigned or Enumerated of 1 to 4 octets."""
        return int.from_bytes(self.context(number, 1, 4), "big")

    def key(self, number: int) -> int:
        """A context-tagged ObjectIdentifier as its 32 bits."""
        return int.from_bytes(self.context(number, 4, 4), "big")

    def optional(self, number: int) -> int | None:
        """A context-tagged Unsigned that may be left out."""
        return self.number(number) if self.has(number) else None

    def boolean(self, number: int) -> bool | None:
        """A context-tagged Boolean that may be left out."""
        if not self.has(number):
            return None
        value = self.context(number, 1, 1)[0]
        if value > 1:
            raise Malformed(RejectReason.PARAMETER_OUT_OF_RANGE)
        return value == 1

    def real(self, number: int) -> float | None:
        """A context-tagged Real that may be left out."""
        return float(struct.unpack(">f", self.context(number, 4, 4))[0]) if self.has(number) else None

    def application(self, tag: int) -> bytes:
        """The content of an application-tagged primitive.

        Raises:
            Malformed: it is missing or of another datatype.
        """
        found = self.element()
        if found is None or found.tag != tag:
            raise Malformed(RejectReason.INVALID_TAG)
        return found.data

    def constructed(self, number: int) -> bytes:
        """The octets between the opening and closing tag `number`, whatever they are.

        Raises:
            Malformed: the tags do not nest.
        """
        self.expect(opening(number)[0])
        start, end = self._pos, closing(number)[0]
        while not self.at(end):
            self.element()
        self.expect(end)
        return self._data[start : self._pos - 1]

    def value(self, number: int) -> Primitive | None:
        """What stands between the opening and closing tag `number`: one primitive, or None for anything else.

        Raises:
            Malformed: the tags do not nest, or nothing stands there.
        """
        data = self.constructed(number)
        if not data:
            raise Malformed(RejectReason.MISSING_PARAMETER)
        return only_value(data)

    def element(self, depth: int = 0) -> Primitive | None:
        """Passes one application value (which it returns), context value or constructed value."""
        if self._pos >= self._end:
            raise Malformed(RejectReason.MISSING_PARAMETER)
        if depth > MAX_DEPTH:
            raise Malformed(RejectReason.BUFFER_OVERFLOW)
        first = self._data[self._pos]
        if not first & CONTEXT:
            tag = first >> 4
            if tag == BOOLEAN:
                self._pos += 1
                return Primitive(tag, bytes((first & 7,)))
            if first & 7 >= OPENING or tag > OBJECT_ID:
                raise Malformed(RejectReason.INVALID_TAG)
            return Primitive(tag, self._content(self._length()))
        kind = first & 7
        if kind == CLOSING:
            raise Malformed(RejectReason.INVALID_TAG)
        if kind != OPENING:
            self._content(self._length(extended=first >> 4 == 15))
            return None
        self._pos += 2 if first >> 4 == 15 else 1
        while not (self._pos < self._end and self._data[self._pos] & 0x0F == CONTEXT | CLOSING):
            self.element(depth + 1)
        if self._data[self._pos] != first + 1:
            raise Malformed(RejectReason.INVALID_TAG)
        self._pos += 2 if first >> 4 == 15 else 1
        return None

    def _length(self, extended: bool = False) -> int:
        """Passes a tag (with a second octet for its number if `extended`) and gives its content length."""
        length = self._data[self._pos] & 7
        self._pos += 2 if extended else 1
        if length != EXTENDED:
            return length
        length = self._content(1)[0]
        if length == 254:
            length = int.from_bytes(self._content(2), "big")
        elif length == 255:
            length = int.from_bytes(self._content(4), "big")
        return length

    def _content(self, length: int) -> bytes:
        start, self._pos = self._pos, self._pos + length
        if self._pos > self._end:
            raise Malformed(RejectReason.MISSING_PARAMETER)
        return self._data[start : self._pos]


def only_value(data: bytes) -> Primitive | None:
    """The one primitive that some octets are, None for anything else.

    Raises:
        Malformed: they are no tags.
    """
    tags = Tags(data)
    found = tags.element() if data else None
    while not tags.done:
        tags.element()
        found = None
    return found
