"""A register list read back, and registers decoded by its columns alone."""

from __future__ import annotations

import struct

import pytest

from gateway.checkout import SheetError, read_sheet
from gateway.checkout.judge import agrees
from gateway.checkout.sheet import Registers

HEAD = (
    "point,unit_id,address,bit,count,type,word_order,byte_order,scale,no_value,device,object_type,instance,object_name"
)


def registers(kind: str, count: int, **options: object) -> Registers:
    values = {"little_words": False, "little_bytes": False, "scale": 1.0, "bit": None, "no_value": "", **options}
    return Registers(1, 100, count, kind, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("place", "data", "value"),
    [
        (registers("float32", 2), struct.pack(">f", 12.5), 12.5),
        (registers("float32", 2, little_words=True), bytes.fromhex("00004148"), 12.5),
        (registers("float32", 2, little_bytes=True), bytes.fromhex("48410000"), 12.5),
        (registers("float32", 2), bytes.fromhex("7FC00000"), None),
        (registers("int16", 1, scale=0.1, no_value="8000"), struct.pack(">h", -25), -2.5),
        (registers("int16", 1, scale=0.1, no_value="8000"), b"\x80\x00", None),
        (registers("uint32", 2, scale=0.001), struct.pack(">I", 4_000_000), 4000.0),
        (registers("uint64", 4), struct.pack(">Q", 2**40), 2**40),
        (registers("float64", 4, little_words=True), struct.pack(">4H", 0, 0, 0, 0x4029), 12.5),
        (registers("bits", 1, bit=3), b"\x00\x08", 1),
        (registers("bits", 1, bit=2), b"\x00\x08", 0),
        (registers("bool", 1, no_value="FFFF; coil: exception 0B"), b"\xff\xff", None),
        (registers("string(5)", 3), b"caf\xc3\xa9\0", "café"),
        (registers("string(5)", 3, little_bytes=True), b"ac\xc3f\0\xa9", "café"),
        (registers("string(5)", 3), bytes(6), None),
    ],
)
def test_registers_are_decoded_by_the_columns(place: Registers, data: bytes, value: object) -> None:
    assert place.value(data) == value


def test_a_list_that_a_spreadsheet_saved_is_read() -> None:
    row = "'=Zone,1,1040,,2,float32,big,big,1,7FC0 0000,260001,analog-value,1040,name"
    for text in (f"{HEAD}\r\n{row}\r\n", f"\ufeff{HEAD}\n{row}\n".replace(",", ";")):
        (line,) = read_sheet(text, "list.csv")
        assert line.point == "=Zone"
        assert line.registers is not None
        assert (line.registers.address, line.registers.type) == (1040, "float32")
        assert line.object is not None
        assert line.object.place == "device 260001 analog-value 1040"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a,b\n1,2\n", "has no column point"),
        ('{"points": []}', "`export registers` writes one"),
        (f"{HEAD}\na/b,1,x,,2,float32,big,big,1,,,,,\n", "line 2 (a/b)"),
        (f"{HEAD}\na/b,1,1,,2,float99,big,big,1,,,,,\n", "float99"),
    ],
)
def test_what_is_no_list_is_refused_in_words(text: str, says: str) -> None:
    with pytest.raises(SheetError) as raised:
        read_sheet(text, "list.csv")
    assert says in str(raised.value)


@pytest.mark.parametrize(
    ("said", "targets", "agree"),
    [
        (12.5, [12.5], True),
        (12.6, [12.5], False),
        (12.6, [12.5, 13.0], True),  # it moved while it was read
        (True, [1], True),
        (None, [None], True),
        (None, [0], False),
        (0, [None], False),
        ("a", ["a"], True),
        (None, [""], True),
        ("b", ["a", "c"], False),
    ],
)
def test_values_agree_with_what_they_were_before_or_after(said: object, targets: list[object], agree: bool) -> None:
    assert agrees(said, targets, None) is agree


def test_rounding_of_whole_numbers_and_the_room_of_a_text_are_known() -> None:
    tenths = registers("int16", 1, scale=0.1)
    assert agrees(12.3, [12.34], tenths)
    assert not agrees(12.3, [12.44], tenths)
    assert agrees("caf", ["café"], registers("string(4)", 2))
    assert not agrees("ca", ["café"], registers("string(4)", 2))
    assert agrees(6553.4, [9999.0], registers("uint16", 1, scale=0.1)), "it stays at the largest value"
