"""The register list a BMS is configured with, read back from the file: the only thing the decoding here knows."""

from __future__ import annotations

import csv
import io
import json
import math
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.core.errors import GatewayError

NEEDED = ("point", "unit_id", "address", "count", "type", "word_order", "byte_order", "scale", "object_type")
CODES = {
    "bool": "H",
    "enum": "H",
    "bits": "H",
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "uint64": "Q",
    "float32": "f",
    "float64": "d",
}
FLOATS = ("float32", "float64")
Value = float | int | str


class SheetError(GatewayError):
    """A file that is no register list, in words."""


@dataclass(frozen=True, slots=True)
class Registers:
    """Where one encoding stands and how it is read; `bit` None: the whole register."""

    unit: int
    address: int
    count: int
    type: str
    little_words: bool
    little_bytes: bool
    scale: float
    bit: int | None
    no_value: str

    @property
    def place(self) -> str:
        """In words."""
        return f"unit {self.unit} register {self.address}" + ("" if self.bit is None else f" bit {self.bit}")

    def value(self, words: bytes) -> Value | None:
        """What the registers say, None for what the list calls "no value".

        `words` are as they came, two octets a register.
        """
        plain = b"".join(words[i : i + 2][:: -1 if self.little_bytes else 1] for i in range(0, len(words), 2))
        if self.type.startswith("string"):
            return plain.split(b"\0")[0].decode("utf-8", "replace") or None
        if " ".join(f"{part:04X}" for (part,) in struct.iter_unpack(">H", words)) == self.no_value.partition(";")[0]:
            return None
        if self.little_words:
            plain = b"".join(plain[i : i + 2] for i in range(len(plain) - 2, -2, -2))
        number: float = struct.unpack(">" + CODES[self.type], plain)[0]
        if self.bit is not None:
            return int(number) >> self.bit & 1
        if math.isnan(number):
            return None
        return number if self.scale == 1 else number * self.scale

    @property
    def step(self) -> float:
        """How far apart two neighbouring values are at least; 0 for a float and a text."""
        return 0.0 if self.type in FLOATS or self.type.startswith("string") else abs(self.scale)

    @property
    def room(self) -> int:
        """Octets of text it holds."""
        return int(self.type.removeprefix("string(").rstrip(")")) if self.type.startswith("string(") else 0


@dataclass(frozen=True, slots=True)
class Object:
    """A BACnet object; `name` "" where the list has none."""

    device: int
    type: str
    instance: int
    name: str = ""

    @property
    def place(self) -> str:
        """In words."""
        return f"device {self.device} {self.type} {self.instance}"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the list: one encoding of a point, with its twin if it has one."""

    point: str
    description: str
    unit: str
    optional: bool
    registers: Registers | None
    object: Object | None
    map_hash: str

    def differs(self, other: Line) -> str:
        """What a BMS engineered with this line would get wrong if the gateway served the other; "" if nothing."""
        texts = []
        if self.registers != other.registers and self.registers is not None:
            texts.append(f"the list says {_said(self.registers)}, the gateway serves {_said(other.registers)}")
        if self.object is not None and self.object.place != (other.object and other.object.place):
            theirs = "no object" if other.object is None else other.object.place
            texts.append(f"the list says {self.object.place}, the gateway serves {theirs}")
        if self.unit != other.unit:
            texts.append(f"the list says {self.unit or 'no unit'}, the gateway serves {other.unit or 'no unit'}")
        return "; ".join(texts)


def _said(registers: Registers | None) -> str:
    if registers is None:
        return "no register"
    words, octets = ("little" if one else "big" for one in (registers.little_words, registers.little_bytes))
    return f"{registers.place} {registers.type} ({words} words, {octets} bytes, scale {registers.scale:g})"


def read_sheet(text: str, name: str) -> list[Line]:
    """The lines of a register list, CSV (`,` or `;` between the cells, as a spreadsheet may save it) or JSON.

    Raises:
        SheetError: it is none, with the line.
    """
    if text.lstrip("\ufeff \r\n").startswith("{"):
        try:
            rows = json.loads(text)["registers"]
        except (ValueError, KeyError, TypeError):
            raise SheetError(f"{name} is no register list: `export registers` writes one") from None
        return list(_lines(rows, name))
    text = text.removeprefix("\ufeff")
    head = text.partition("\n")[0]
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=";" if head.count(";") > head.count(",") else ",")
    if missing := [column for column in NEEDED if column not in (rows.fieldnames or ())]:
        raise SheetError(f"{name} is no register list: it has no column {', '.join(missing)}")
    return list(_lines(rows, name))


def _lines(rows: Iterable[Mapping[str, Any]], name: str) -> Iterator[Line]:
    for at, row in enumerate(rows, 2):
        cells = {str(key): _text(value) for key, value in row.items()}
        try:
            yield _line(cells)
        except (KeyError, ValueError) as error:
            raise SheetError(f"{name}, line {at} ({cells.get('point', '?')}): {error} means nothing here") from None


def _text(value: Any) -> str:
    """A cell as text, without the apostrophe that keeps a spreadsheet from calculating it."""
    text = "" if value is None else str(value)
    guarded = len(text) > 1 and text[0] == "'" and text[1:].lstrip().startswith(("=", "+", "-", "@"))
    return text[1:] if guarded else text


def _line(cells: Mapping[str, str]) -> Line:
    registers = twin = None
    if cells["address"]:
        kind = cells["type"]
        if kind not in CODES and not kind.startswith("string("):
            raise ValueError(f"type {kind!r}")
        registers = Registers(
            int(cells["unit_id"]),
            int(cells["address"]),
            int(cells["count"]),
            kind,
            cells["word_order"] == "little" and not kind.startswith("string"),
            cells["byte_order"] == "little",
            float(cells["scale"] or 1),
            int(cells["bit"]) if cells.get("bit") else None,
            cells.get("no_value", ""),
        )
    if cells["object_type"]:
        name = cells.get("object_name", "")
        twin = Object(int(cells["device"]), cells["object_type"], int(cells["instance"]), name)
    optional = cells.get("optional") == "yes"
    unit, described = cells.get("unit", ""), cells.get("description", "")
    return Line(cells["point"], described, unit, optional, registers, twin, cells.get("map_hash", ""))
