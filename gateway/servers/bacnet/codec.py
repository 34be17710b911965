"""Values as BACnet tags (ASHRAE 135 clause 20.2); pure. `tags.py` reads them."""

from __future__ import annotations

import struct
from collections.abc import Iterable

NULL, BOOLEAN, UNSIGNED, INTEGER, REAL, DOUBLE, OCTETS, TEXT, BITS, ENUMERATED, DATE, TIME, OBJECT_ID = range(13)
"""Application tag numbers (clause 20.2.1.4)."""

CONTEXT = 0x08
OPENING, CLOSING = 6, 7
EXTENDED = 5


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


def context_text(number: int, value: str) -> bytes:
    """A context-tagged CharacterString in UTF-8."""
    return in_context(number, text(value))


def in_context(number: int, value: bytes) -> bytes:
    """An application-tagged value (no Boolean, which has no content) with context tag `number` instead."""
    first = value[0]
    return bytes(((number << 4) | CONTEXT | first & 0x07,)) + value[1:]


def opening(number: int) -> bytes:
    """An opening tag; numbers from 15 on have an octet of their own (clause 20.2.1.2)."""
    return bytes(((number << 4) | CONTEXT | OPENING,)) if number < 15 else bytes((0xF0 | CONTEXT | OPENING, number))


def closing(number: int) -> bytes:
    """A closing tag."""
    return bytes(((number << 4) | CONTEXT | CLOSING,)) if number < 15 else bytes((0xF0 | CONTEXT | CLOSING, number))
