"""The rows of the register list: one per encoding of a point, with everything an integrator has to type in.

Notations: a register at 0-based address n is n + 1 in 1-based tools, holding register 4nnnn or 4nnnnn and input
register 3nnnn or 3nnnnn (Modbus Application Protocol V1.1b3, 4.4; five digits reach 9999).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from gateway.addressing import PlacedPoint, PlacedRegister
from gateway.addressing.served import register_type
from gateway.core.point import Factor, PointSpec
from gateway.core.registers import sentinel
from gateway.core.value import ValueKind
from gateway.export.cells import Value
from gateway.export.spec import MapSpec

FIVE_DIGITS = 9999
Row = dict[str, Value]
COLUMNS: dict[str, str] = {
    "point": "full name, as the commands and `points` take it",
    "description": "what it is",
    "unit_id": "Modbus unit identifier",
    "address": "register, counted from 0: what is on the wire",
    "address_1": "the same register, counted from 1",
    "holding": "as a holding register in five digits, up to 9999",
    "holding_6": "as a holding register in six digits",
    "input": "as an input register in five digits, up to 9999",
    "input_6": "as an input register in six digits",
    "coil": "as a coil, counted from 1: only a bool has one",
    "discrete": "as a discrete input in five or six digits: only a bool has one",
    "bit": "bit of the register, 0 the least significant; empty: the whole register",
    "count": "how many registers it is",
    "type": "what is in the registers",
    "word_order": "big: the high word comes first; little: the low word",
    "byte_order": "big: the high byte of a word comes first",
    "scale": "register value x scale = value",
    "unit": "engineering unit of the value",
    "texts": "what the codes of an enumeration mean",
    "low": "smallest value that may be written",
    "high": "largest value that may be written",
    "access": "r: read only, rw: read and write",
    "no_value": "what is read while there is no value",
    "optional": "yes: until the product has sent it once, its registers are a gap that reads 0xFFFF",
    "read": "function codes that read it",
    "write": "function codes that write it",
    "device": "BACnet device instance of its twin",
    "object_type": "BACnet object type",
    "instance": "BACnet object instance",
    "object_name": "BACnet Object_Name",
    "trend_log": "instance of the Trend Log that keeps it",
    "map_hash": "hash of the whole map: registers 3..6, and the object gateway.header.map_hash_text",
}
"""Every column with its meaning, in order."""


def register_rows(spec: MapSpec) -> Iterator[Row]:
    """One row per encoding of every point that is served, its objects beside them."""
    names = spec.names
    for point in spec.points:
        placed = point.placed
        registers = placed.registers if spec.head.units is not None else ()
        for register, twin in zip_longest(registers, point.twins):
            row: Row = dict.fromkeys(COLUMNS)
            row |= _common(placed)
            if register is not None:
                row |= _register(placed.spec, register)
            if twin is not None:
                row |= {"device": twin[0], "object_type": twin[1], "instance": twin[2], "object_name": names.get(twin)}
                if placed.trend is not None and (twin[1], twin[2]) == (
                    placed.trend.of.object,
                    placed.trend.of.instance,
                ):
                    row["trend_log"] = placed.trend.instance
            row["map_hash"] = spec.head.map_hash
            yield row


def _common(placed: PlacedPoint) -> Row:
    spec = placed.spec
    low, high = spec.range or (None, None)
    return {
        "point": placed.name,
        "description": spec.description,
        "unit": spec.unit,
        "texts": _texts(spec),
        "low": _bound(low),
        "high": _bound(high),
        "access": "rw" if is_writable(spec) else "r",
        "optional": "yes" if spec.optional else None,
    }


def is_writable(spec: PointSpec) -> bool:
    """Whether clients may write the point at all."""
    return spec.command is not None or spec.writable


def _texts(spec: PointSpec) -> str:
    if spec.kind is ValueKind.ENUM:
        return "; ".join(f"{code}={text}" for code, text in enumerate(spec.texts, 1) if text != "-")
    return "0=off; 1=on" if spec.kind is ValueKind.BOOL else ""


def _bound(factor: Factor | None) -> Value:
    """A number, or the point whose value counts."""
    if factor is None:
        return None
    if factor.point is None:
        return factor.number
    return factor.point if factor.by == 1 else f"{factor.point} x {factor.by:g}"


def _register(spec: PointSpec, register: PlacedRegister) -> Row:
    at, encoding = register.register, register.spec
    number, is_bool = at + 1, encoding.type.name == "bool"
    five = number <= FIVE_DIGITS
    row: Row = {
        "unit_id": register.unit,
        "address": at,
        "address_1": number,
        "holding": f"4{number:04}" if five else None,
        "holding_6": f"4{number:05}",
        "input": f"3{number:04}" if five else None,
        "input_6": f"3{number:05}",
        "bit": encoding.bit,
        "count": encoding.type.words,
        "type": register_type(register),
        "word_order": encoding.word_order,
        "byte_order": encoding.byte_order,
        "scale": encoding.scale,
        "no_value": no_value(spec, register),
        "read": "3, 4" + (", 1, 2" if is_bool else ""),
    }
    if is_bool:
        row |= {"coil": f"{number:05}" if five else f"{number:06}", "discrete": f"1{number:0{4 if five else 5}}"}
    if is_writable(spec):
        single = encoding.type.words == 1
        row["write"] = ("6, " if single else "") + "16, 23" + (", 22" if single else "") + (", 5, 15" * is_bool)
    return row


def no_value(spec: PointSpec, register: PlacedRegister) -> str:
    """What a client reads while the point has no value: the registers in hexadecimal, or what happens."""
    encoding = register.spec
    loss = "hold" if spec.command is not None else encoding.on_loss
    if loss == "hold":
        return "last value"
    if loss == "exception" or encoding.type.name == "bits":
        return "exception 0B"
    data = sentinel(encoding.type, encoding.word_order, encoding.byte_order)
    words = data.hex(" ", 2).upper()
    if encoding.type.name == "string":
        return "empty text"
    return words + ("; coil: exception 0B" if encoding.type.name == "bool" else "")


NOTES = (
    (
        "Addresses on the wire count from 0. The same map is behind functions 3 and 4; a bool is a coil and a discrete "
        "input at its address as well."
    ),
    (
        "Registers 0..99 of every unit are the header: it can be read in one request, and registers of it that are not "
        "listed read 0."
    ),
    (
        "Inside a block registers that are not listed read 0xFFFF; outside every block a read is answered with "
        "exception 02. A write must hold whole values."
    ),
    (
        "A commandable point has its receipt beside it: requested (what was asked last), applied (what the product "
        "says is in force), write_status (4: in force, proven by reading back), authority, winner (slot), "
        "lease_left_s, age_s, release (write 1 to release) and error."
    ),
    (
        "An action is fired by writing its code once; result says what became of it (1 running, 2 done, 3 failed, 4 "
        "unknown, 5 never run); write 0 before the next code."
    ),
    (
        "status.online, status.quality (1 good, 2 stale, 3 bad, 4 config error) and status.age_s of a resource say how "
        "far its values may be trusted."
    ),
    "A cell that a spreadsheet would take for a formula begins with an apostrophe, which is not part of the text.",
)
"""What the rows cannot say."""
