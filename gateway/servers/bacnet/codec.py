"""BACnet tags to octets and back (ASHRAE 135 clause 20.2); pure.

Rules of this file: reading is strict, so that a request is either understood whole or refused with a Reject reason;
nothing here knows objects or services.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

NULL, BOOLEAN, UNSIGNED, INTEGER, REAL, DOUBLE, OCTETS, TEXT, BITS, ENUMERATED, DATE, TIME, OBJECT_ID = range(13)
"""Application tag numbers (clause 20.2.1.4)."""

CONTEXT = 0x08
OPENING, CLOSING = 6, 7
EXTENDED = 5
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


def header(number: int, context: bool, length: int) -> bytes:
    """The tag octets before `length` content octets."""
    first = (number << 4) | (CONTEXT if context else 0)
    if length < EXTENDED:
        return bytes((first | length,))
    if length < 254:
        return bytes((first | EXTENDED, length))
    if length < 65536:
        return struct.pack(">BBH", first | EXTENDED, 254, length)
    return struct.pack(">BBI", first | EXTENDED, 255, length)


def _minimal(value: int) -> bytes:
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")


def null() -> bytes:
    """An application Null."""
    return b"\x00"


def boolean(value: bool) -> bytes:
    """An application Boolean; its value stands in the tag."""
    return b"\x11" if value else b"\x10"


def unsigned(value: int) -> bytes:
    """An application Unsigned in as few octets as it needs."""
    data = _minimal(value)
    return header(UNSIGNED, False, len(data)) + data


def integer(value: int) -> bytes:
    """An application Integer (signed) in as few octets as it needs."""
    data = value.to_bytes((value + (value < 0)).bit_length() // 8 + 1, "big", signed=True)
    return header(INTEGER, False, len(data)) + data


def date(year: int, month: int, day: int, weekday: int) -> bytes:
    """An application Date; `weekday` is 1 (Monday) to 7."""
    return bytes((0xA4, year - 1900, month, day, weekday))


def time(hour: int, minute: int, second: int, hundredths: int) -> bytes:
    """An application Time."""
    return bytes((0xB4, hour, minute, second, hundredths))


def enumerated(value: int) -> bytes:
    """An application Enumerated."""
    data = _minimal(value)
    return header(ENUMERATED, False, len(data)) + data


def real(value: float) -> bytes:
    """An application Real.

    Raises:
        OverflowError: the finite value is beyond IEEE single precision.
    """
    return struct.pack(">Bf", 0x44, value)


def octets(value: bytes) -> bytes:
    """An application OctetString."""
    return header(OCTETS, False, len(value)) + value


def text(value: str) -> bytes:
    """An application CharacterString in UTF-8 (character set 0)."""
    data = value.encode("utf-8", "replace")
    return header(TEXT, False, len(data) + 1) + b"\x00" + data


def bits(values: Iterable[bool]) -> bytes:
    """An application BitString; the first value is bit 0."""
    flags = list(values)
    unused = -len(flags) % 8
    number = int("".join("1" if flag else "0" for flag in flags) + "0" * unused or "0", 2)
    data = bytes((unused,)) + number.to_bytes((len(flags) + unused) // 8, "big")
    return header(BITS, False, len(data)) + data


def object_id(key: int) -> bytes:
    """An application ObjectIdentifier from its 32 bits, type x 2^22 + instance."""
    return struct.pack(">BI", 0xC4, key)


def context_unsigned(number: int, value: int) -> bytes:
    """A context-tagged Unsigned or Enumerated."""
    data = _minimal(value)
    return header(number, True, len(data)) + data


def context_object_id(number: int, key: int) -> bytes:
    """A context-tagged ObjectIdentifier."""
    return header(number, True, 4) + key.to_bytes(4, "big")


def context_boolean(number: int, value: bool) -> bytes:
    """A context-tagged Boolean, whose value is its content."""
    return header(number, True, 1) + (b"\x01" if value else b"\x00")


def context_real(number: int, value: float) -> bytes:
    """A context-tagged Real."""
    return header(number, True, 4) + struct.pack(">f", value)


def context_octets(number: int, value: bytes) -> bytes:
    """A context-tagged OctetString."""
    return header(number, True, len(value)) + value


def opening(number: int) -> bytes:
    """An opening tag."""
    return bytes(((number << 4) | CONTEXT | OPENING,))


def closing(number: int) -> bytes:
    """A closing tag."""
    return bytes(((number << 4) | CONTEXT | CLOSING,))


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
        found = self._element(0)
        if found is None or found.tag != tag:
            raise Malformed(RejectReason.INVALID_TAG)
        return found.data

    def value(self, number: int) -> Primitive | None:
        """What stands between the opening and closing tag `number`: one primitive, or None for anything else.

        Raises:
            Malformed: the tags do not nest, or nothing stands there.
        """
        self.expect(opening(number)[0])
        end = closing(number)[0]
        if self.at(end):
            raise Malformed(RejectReason.MISSING_PARAMETER)
        found = self._element(0)
        while not self.at(end):
            self._element(0)
            found = None
        self.expect(end)
        return found

    def _element(self, depth: int) -> Primitive | None:
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
            self._element(depth + 1)
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
