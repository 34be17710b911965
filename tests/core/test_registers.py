"""Values to registers and back: types, orders, sentinels, saturation, texts."""

from __future__ import annotations

import math
import struct
from typing import get_args

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.core.registers import (
    NUMBERS,
    Order,
    RegisterType,
    decoder,
    encoder,
    limits,
    parse_register_type,
    reorder,
    sentinel,
)

ORDERS = [(word, byte) for word in get_args(Order) for byte in get_args(Order)]
INTEGER_TYPES = ["int16", "uint16", "int32", "uint32", "int64", "uint64"]
WORDS = {"bool": 1, "enum": 1, "int16": 1, "uint16": 1, "int32": 2, "uint32": 2, "int64": 4, "uint64": 4}
WORDS |= {"float32": 2, "float64": 4}
NOTHING = {
    "bool": "ffff",
    "enum": "ffff",
    "int16": "8000",
    "uint16": "ffff",
    "int32": "80000000",
    "uint32": "ffffffff",
    "int64": "8000000000000000",
    "uint64": "ffffffffffffffff",
    "float32": "7fc00000",
    "float64": "7ff8000000000000",
}


def kind(text: str) -> RegisterType:
    parsed = parse_register_type(text)
    assert parsed is not None
    return parsed


def test_the_types_are_those_of_the_design() -> None:
    assert {name: kind(name).words for name in NUMBERS} == WORDS
    assert kind("bits") == RegisterType("bits", 1)
    assert [kind(f"string({n})").words for n in (1, 2, 3, 24, 200)] == [1, 1, 2, 12, 100]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "float",
        "float16",
        "Float32",
        "string",
        "string()",
        "string(0)",
        "string(201)",
        "string(-1)",
        "string(5",
        "string(٣)",
        "string(²)",
    ],
)
def test_what_is_no_type(text: str) -> None:
    parsed = parse_register_type(text)
    assert parsed is None


@pytest.mark.parametrize(
    ("word", "byte", "wire"),
    [
        ("big", "big", "0a0b0c0d"),
        ("little", "big", "0c0d0a0b"),
        ("big", "little", "0b0a0d0c"),
        ("little", "little", "0d0c0b0a"),
    ],
)
def test_the_four_orders(word: Order, byte: Order, wire: str) -> None:
    assert encoder(kind("uint32"), 1, word, byte)(0x0A0B0C0D).hex() == wire
    assert decoder(kind("uint32"), 1, word, byte)(bytes.fromhex(wire)) == 0x0A0B0C0D


@pytest.mark.parametrize(("word", "byte"), ORDERS)
def test_four_words_and_one_word(word: Order, byte: Order) -> None:
    eight = bytes.fromhex("0102030405060708")
    assert encoder(kind("uint64"), 1, word, byte)(0x0102030405060708) == reorder(eight, word, byte)
    assert encoder(kind("uint16"), 1, word, byte)(0x0102).hex() == ("0102" if byte == "big" else "0201")
    if word == "little":
        assert reorder(eight, word, "big").hex() == "0708050603040102"


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize(("word", "byte"), ORDERS)
def test_no_value_is_the_sentinel(name: str, word: Order, byte: Order) -> None:
    data = sentinel(kind(name), word, byte)
    assert reorder(data, word, byte).hex() == NOTHING[name]
    if name.startswith("float"):
        value = decoder(kind(name), 1, word, byte)(data)
        assert isinstance(value, float)
        assert math.isnan(value)


def test_no_text_is_nul_and_no_bit_is_0() -> None:
    assert sentinel(kind("string(5)"), "little", "little") == bytes(6)
    assert sentinel(kind("bits"), "big", "big") == bytes(2)


@pytest.mark.parametrize("name", [*INTEGER_TYPES, "enum", "bool"])
@pytest.mark.parametrize(("word", "byte"), ORDERS)
def test_U32_integers_saturate_and_never_show_the_sentinel(name: str, word: Order, byte: Order) -> None:
    number = NUMBERS[name]
    encode, decode = encoder(kind(name), 1, word, byte), decoder(kind(name), 1, word, byte)
    tenths = encoder(kind(name), 0.1, word, byte)
    for value, wanted in ((10**30, number.high), (-(10**30), number.low), (1e300, number.high), (-1e300, number.low)):
        for data in (encode(value), tenths(value), tenths(value * 10**8), encode(math.copysign(math.inf, value))):
            assert decode(data) == wanted
            assert data != sentinel(kind(name), word, byte)


def test_floats_saturate_at_the_largest_number() -> None:
    encode, decode = encoder(kind("float32"), 1, "big", "big"), decoder(kind("float32"), 1, "big", "big")
    for value in (1e39, math.inf, -1e39, -math.inf):
        shown = decode(encode(value))
        assert isinstance(shown, float)
        assert math.isfinite(shown)
        assert (shown > 0) is (value > 0)


@pytest.mark.parametrize(
    ("name", "scale", "value", "register"),
    [
        ("int16", 0.1, 22.14, 221),
        ("int16", 0.1, -22.16, -222),
        ("uint32", 0.001, 12345.6789, 12345679),
        ("uint16", 10, 250, 25),
        ("uint16", -1, -5, 5),
        ("int16", 0.1, 5000, 0x7FFF),
        ("uint16", 1, 2.5, 2),
        ("uint16", 1, 3.5, 4),
        ("uint16", 1, True, 1),
    ],
)
def test_scaled_integers(name: str, scale: float, value: float, register: int) -> None:
    data = encoder(kind(name), scale, "big", "big")(value)
    assert int.from_bytes(data, "big", signed=name.startswith("int")) == register


@pytest.mark.parametrize(
    ("name", "scale", "register", "value"),
    [("int16", 0.1, 221, 22.1), ("uint16", 0.001, 3, 0.003), ("uint16", 1e-13, 7, 7e-13), ("uint16", 10, 25, 250)],
)
def test_scaled_values_are_read_back_as_people_write_them(name: str, scale: float, register: int, value: float) -> None:
    assert decoder(kind(name), scale, "big", "big")(register.to_bytes(2, "big")) == value


def test_bool_registers() -> None:
    decode = decoder(kind("bool"), 1, "big", "big")
    assert (decode(b"\0\1"), decode(b"\0\0")) == (True, False)
    assert decode(b"\0\2") == 2, "neither true nor false: for the caller to refuse"
    assert not isinstance(decode(b"\0\2"), bool)


@given(st.sampled_from(INTEGER_TYPES), st.integers(), st.sampled_from(ORDERS))
def test_integers_round_trip(name: str, value: int, orders: tuple[Order, Order]) -> None:
    number = NUMBERS[name]
    data = encoder(kind(name), 1, *orders)(value)
    assert len(data) == 2 * number.words
    assert decoder(kind(name), 1, *orders)(data) == min(max(value, int(number.low)), int(number.high))


@given(st.integers(-32767, 32767), st.sampled_from([0.001, 0.1, 0.5, 1, 2, 10]), st.sampled_from(ORDERS))
def test_what_a_master_reads_and_writes_back_stays(register: int, scale: float, orders: tuple[Order, Order]) -> None:
    data = reorder(struct.pack(">h", register), *orders)
    value = decoder(kind("int16"), scale, *orders)(data)
    assert encoder(kind("int16"), scale, *orders)(value) == data


@given(st.floats(width=32, allow_nan=False, allow_infinity=False), st.sampled_from(ORDERS))
def test_float32_round_trip(value: float, orders: tuple[Order, Order]) -> None:
    assume(abs(value) <= NUMBERS["float32"].high)
    assert decoder(kind("float32"), 1, *orders)(encoder(kind("float32"), 1, *orders)(value)) == value


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(ORDERS))
def test_float64_round_trip(value: float, orders: tuple[Order, Order]) -> None:
    assert decoder(kind("float64"), 1, *orders)(encoder(kind("float64"), 1, *orders)(value)) == value


@given(st.text(), st.integers(1, 40), st.sampled_from(ORDERS))
def test_texts_are_cut_at_a_character(text: str, size: int, orders: tuple[Order, Order]) -> None:
    assume("\0" not in text)
    data = encoder(kind(f"string({size})"), 1, *orders)(text)
    assert len(data) == 2 * ((size + 1) // 2)
    shown = decoder(kind(f"string({size})"), 1, *orders)(data)
    assert isinstance(shown, str)
    assert text.startswith(shown)
    rest = text[len(shown) :]
    assert not rest or len((shown + rest[0]).encode()) > size


def test_texts() -> None:
    assert encoder(kind("string(5)"), 1, "big", "big")("Zoë€").hex() == "5a6fc3ab0000", (
        "the euro sign needs three bytes"
    )
    assert encoder(kind("string(4)"), 1, "little", "big")("ABCD") == b"ABCD", "words of a text are never turned round"
    assert encoder(kind("string(4)"), 1, "big", "little")("ABCD") == b"BADC"
    assert encoder(kind("string(4)"), 1, "big", "big")("a\ud800b") == b"a?b\0", "half a surrogate pair cannot be sent"
    assert decoder(kind("string(4)"), 1, "big", "big")(b"A\xff\0B") == "A\ufffd"


def test_what_a_register_can_hold() -> None:
    assert limits(kind("uint16"), 0.1) == (0.0, 0xFFFE * 0.1)
    assert limits(kind("int16"), -1) == (-0x7FFF, 0x7FFF)
    assert limits(kind("float32"), 1) == (-3.4028234e38, 3.4028234e38)
    assert [limits(kind(name), 1) for name in ("float64", "string(4)", "bits")] == [None, None, None]
