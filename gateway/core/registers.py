"""How values become 16-bit registers and back: types, word and byte orders, sentinels.

Register bytes are big-endian on the wire (Modbus Application Protocol V1.1b3, 4.2); `word_order: little` puts
the low word first, `byte_order: little` swaps the two bytes of every word. Sentinels are SunSpec's.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from gateway.core.value import Value

Order = Literal["big", "little"]
Encoder = Callable[[Value], bytes]
Decoder = Callable[[bytes], Value]


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """A fixed-size number on the wire: struct code, words, valid range without its sentinel, the sentinel."""

    code: str
    words: int
    low: float
    high: float
    sentinel: bytes


NUMBERS: dict[str, NumberFormat] = {
    "bool": NumberFormat("H", 1, 0, 1, b"\xff\xff"),
    "enum": NumberFormat("H", 1, 0, 0xFFFE, b"\xff\xff"),
    "int16": NumberFormat("h", 1, -0x7FFF, 0x7FFF, b"\x80\x00"),
    "uint16": NumberFormat("H", 1, 0, 0xFFFE, b"\xff\xff"),
    "int32": NumberFormat("i", 2, -0x7FFFFFFF, 0x7FFFFFFF, b"\x80\x00\x00\x00"),
    "uint32": NumberFormat("I", 2, 0, 0xFFFFFFFE, b"\xff\xff\xff\xff"),
    "int64": NumberFormat("q", 4, -0x7FFFFFFFFFFFFFFF, 0x7FFFFFFFFFFFFFFF, b"\x80" + bytes(7)),
    "uint64": NumberFormat("Q", 4, 0, 0xFFFFFFFFFFFFFFFE, b"\xff" * 8),
    "float32": NumberFormat("f", 2, -3.4028234e38, 3.4028234e38, b"\x7f\xc0\x00\x00"),
    "float64": NumberFormat("d", 4, -1.7976931348623157e308, 1.7976931348623157e308, b"\x7f\xf8" + bytes(6)),
}
DIGITS = 15
"""Decimal digits a scaled value keeps: 221 x 0.1 is 22.1, not 22.100000000000001."""
INTEGERS = frozenset(NUMBERS) - {"float32", "float64"}


@dataclass(frozen=True, slots=True)
class RegisterType:
    """A type of DESIGN 6.4: a number, `string(n)` (n bytes UTF-8) or `bits` (one bit of a shared register)."""

    name: str
    words: int
    string_bytes: int = 0

    @property
    def is_integer(self) -> bool:
        """Whether the register holds whole numbers."""
        return self.name in INTEGERS


def parse_register_type(text: str) -> RegisterType | None:
    """`float32`, `bits` or `string(n)` with 1 <= n <= 200; None when it is none of the types."""
    if text in NUMBERS:
        return RegisterType(text, NUMBERS[text].words)
    if text == "bits":
        return RegisterType("bits", 1)
    if text.startswith("string(") and text.endswith(")") and text[7:-1].isdecimal() and text.isascii():
        size = int(text[7:-1])
        if 1 <= size <= 200:
            return RegisterType("string", (size + 1) // 2, size)
    return None


def limits(kind: RegisterType, scale: float) -> tuple[float, float] | None:
    """The smallest and largest value a number register can hold at this scale; None when it is not a number."""
    if kind.name not in NUMBERS or kind.name == "float64":
        return None
    number = NUMBERS[kind.name]
    ends = (number.low * scale, number.high * scale)
    return min(ends), max(ends)


def reorder(data: bytes, word_order: Order, byte_order: Order) -> bytes:
    """Big-endian bytes to the wire order and back (the operation is its own inverse)."""
    if byte_order == "little":
        swapped = bytearray(data)
        swapped[0::2], swapped[1::2] = data[1::2], data[0::2]
        data = bytes(swapped)
    if word_order == "little" and len(data) > 2:
        data = b"".join(data[i : i + 2] for i in range(len(data) - 2, -2, -2))
    return data


def sentinel(kind: RegisterType, word_order: Order, byte_order: Order) -> bytes:
    """What "no value" looks like in this type; a text without a value is all NUL."""
    if kind.name == "string":
        return bytes(kind.words * 2)
    if kind.name == "bits":
        return b"\x00\x00"
    return reorder(NUMBERS[kind.name].sentinel, word_order, byte_order)


def encoder(kind: RegisterType, scale: float, word_order: Order, byte_order: Order) -> Encoder:
    """Value to wire bytes: register = value / scale, rounded, saturated to the valid range, never wrapped."""
    if kind.name == "string":
        return _string_encoder(kind, byte_order)
    number = NUMBERS[kind.name]
    pack = struct.Struct(">" + number.code).pack
    straight = byte_order == "big" and (word_order == "big" or number.words == 1)
    low, high = number.low, number.high
    least, most = (int(low), int(high)) if kind.is_integer else (0, 0)

    def encode_float(value: Value) -> bytes:
        raw = float(value) if scale == 1 else float(value) / scale
        data = pack(low if raw < low else high if raw > high else raw)
        return data if straight else reorder(data, word_order, byte_order)

    def encode_integer(value: Value) -> bytes:
        raw = value if scale == 1 else value / scale  # type: ignore[operator]
        data = pack(least if raw <= least else most if raw >= most else round(raw))  # type: ignore[arg-type,operator]
        return data if straight else reorder(data, word_order, byte_order)

    return encode_integer if kind.is_integer else encode_float


def decoder(kind: RegisterType, scale: float, word_order: Order, byte_order: Order) -> Decoder:
    """Wire bytes to a value: value = register x scale. NaN comes through for the caller to judge.

    A bool register is true or false for 1 or 0 and its number for anything else, for the caller to refuse.
    """
    if kind.name == "string":
        return lambda data: reorder(data, "big", byte_order).split(b"\0")[0].decode("utf-8", "replace")
    unpack = struct.Struct(">" + NUMBERS[kind.name].code).unpack

    def decode(data: bytes) -> Value:
        raw: float = unpack(reorder(data, word_order, byte_order))[0]
        if kind.name == "bool" and raw in (0, 1):
            return bool(raw)
        if scale == 1 or not math.isfinite(raw):
            return raw
        return float(f"{raw * scale:.{DIGITS}g}")

    return decode


def _string_encoder(kind: RegisterType, byte_order: Order) -> Encoder:
    """Text to exactly `words` registers: UTF-8 cut at a character, NUL-padded; words are never reordered."""

    def encode(value: Value) -> bytes:
        cut = str(value).encode("utf-8", "replace")[: kind.string_bytes].decode("utf-8", "ignore").encode()
        return reorder(cut.ljust(kind.words * 2, b"\0"), "big", byte_order)

    return encode
