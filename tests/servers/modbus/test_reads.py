"""What registers and coils show: values, loss, gaps, units."""

from __future__ import annotations

import struct
from dataclasses import replace
from ipaddress import ip_network

import pytest

from gateway.addressing import PlacedPoint, PlacedRegister, Span
from gateway.core.point import RegisterSpec
from gateway.core.registers import parse_register_type
from gateway.core.value import BAD, CONFIG_ERROR, STALE, Value
from gateway.servers.modbus import ClientGroup
from tests.servers.modbus.conftest import LOCAL, SPANS, Bench, read

STRICT = ClientGroup("strict", LOCAL, 11, write=False, gaps="strict")


def words(pdu: bytes) -> bytes:
    assert pdu[0] in {3, 4}, pdu.hex()
    return pdu[2:]


@pytest.mark.parametrize(
    ("kind", "options", "value", "wire"),
    [
        ("float32", {}, 123456.0, "47f1 2000"),
        ("float32", {"word_order": "little"}, 123456.0, "2000 47f1"),
        ("float32", {"byte_order": "little"}, 123456.0, "f147 0020"),
        ("float32", {"word_order": "little", "byte_order": "little"}, 123456.0, "0020 f147"),
        ("int16", {"scale": 0.1}, -2.5, "ffe7"),
        ("uint32", {}, 70000, "0001 1170"),
        ("uint64", {"word_order": "little"}, 1, "0001 0000 0000 0000"),
        ("enum", {}, 0, "0000"),
        ("enum", {}, 3, "0003"),
        ("bool", {}, True, "0001"),
        ("string(5)", {}, "aé€z", "61c3 a900 0000"),
    ],
)
async def test_a_value_reads_the_same_with_3_and_4(
    bench: Bench, kind: str, options: dict[str, object], value: Value, wire: str
) -> None:
    await bench.serve()
    bench.set(bench.point("p", (1000, kind, options)), value)
    client, data = await bench.connect(), bytes.fromhex(wire)
    for function in (3, 4):
        assert words(await client.ask(read(1000, len(data) // 2, function))) == data
    assert words(await client.ask(read(1000, 1))) == data[:2], "a read may cut a value"


@pytest.mark.parametrize(
    ("kind", "sentinel"),
    [
        ("bool", "ffff"),
        ("enum", "ffff"),
        ("int16", "8000"),
        ("uint16", "ffff"),
        ("int32", "8000 0000"),
        ("uint32", "ffff ffff"),
        ("float32", "7fc0 0000"),
        ("float64", "7ff8 0000 0000 0000"),
        ("string(4)", "0000 0000"),
    ],
)
async def test_nan_shows_the_sentinel_from_start_and_when_bad(bench: Bench, kind: str, sentinel: str) -> None:
    await bench.serve()
    point = bench.point("p", (10, kind))
    client, data = await bench.connect(), bytes.fromhex(sentinel)
    value: Value = "ab" if "string" in kind else 1
    assert words(await client.ask(read(10, len(data) // 2))) == data
    bench.set(point, value)
    good = words(await client.ask(read(10, len(data) // 2)))
    assert good != data
    bench.set(point, value, STALE)
    assert words(await client.ask(read(10, len(data) // 2))) == good
    for quality in (BAD, CONFIG_ERROR):
        bench.set(point, None, quality)
        assert words(await client.ask(read(10, len(data) // 2))) == data


async def test_hold_shows_the_last_value_and_the_sentinel_before_any(bench: Bench) -> None:
    await bench.serve()
    point = bench.point("p", (10, "int16", {"on_loss": "hold"}))
    client = await bench.connect()
    assert words(await client.ask(read(10, 1))) == b"\x80\x00"
    bench.set(point, 5)
    bench.set(point, None, BAD)
    assert words(await client.ask(read(10, 1))) == b"\x00\x05"


async def test_a_commandable_point_always_shows_its_value(bench: Bench) -> None:
    await bench.serve()
    point = bench.point("p", (10, "float32", {"on_loss": "exception"}), command=True)
    bench.set(point, 16.0)
    bench.set(point, None, BAD)
    assert words(await (await bench.connect()).ask(read(10, 2))) == struct.pack(">f", 16)


async def test_exception_answers_0b_for_any_of_its_registers_and_recovers(bench: Bench) -> None:
    await bench.serve()
    point = bench.point("p", (1010, "float32", {"on_loss": "exception"}))
    client = await bench.connect()
    for start, count in ((1010, 2), (1010, 1), (1011, 1), (1000, 20)):
        assert await client.ask(read(start, count)) == b"\x83\x0b"
    assert words(await client.ask(read(1000, 10))) == b"\xff" * 20
    bench.set(point, 1.0)
    assert words(await client.ask(read(1010, 2))) == struct.pack(">f", 1)
    bench.set(point, None, BAD)
    assert await client.ask(read(1011, 1, 4)) == b"\x84\x0b"


async def test_a_read_asked_again_follows_its_registers(bench: Bench) -> None:
    """What was answered once is looked up the next time: it still sees every value, loss and new register."""
    await bench.serve(groups=[replace(STRICT, networks=(ip_network("127.0.0.9/32"),)), replace(STRICT, gaps="fill")])
    lost = bench.point("lost", (1000, "uint16", {"on_loss": "exception"}))
    bit = bench.point("bit", (1001, "bits", {"bit": 4}))
    client, strict = await bench.connect(), await bench.connect(source="127.0.0.9")
    asked = read(1000, 3)
    for turn in range(3):
        bench.set(lost, turn)
        bench.set(bit, True)
        for _ in range(2):
            assert words(await client.ask(asked)) == struct.pack(">HHH", turn, 0x10, 0xFFFF)
            assert await strict.ask(asked) == b"\x83\x02", "what one group was answered is not another's"
        bench.set(lost, None, BAD)
        assert await client.ask(asked) == b"\x83\x0b"
        bench.set(lost, turn)
        bench.set(bit, None, BAD)
        assert await client.ask(asked) == b"\x83\x0b"
    bench.set(bit, False)
    bench.set(bench.point("late", (1002, "uint16")), 7)
    for wire in (client, strict, strict):
        assert words(await wire.ask(asked)) == bytes.fromhex("0002 0000 0007")


async def test_a_read_asked_again_after_a_reload_is_of_the_new_map(bench: Bench) -> None:
    server = await bench.serve()
    point = bench.point("p", (1000, "uint16"))
    bench.set(point, 7)
    client = await bench.connect()
    for _ in range(2):
        assert words(await client.ask(read(1000, 2))) == bytes.fromhex("0007 ffff")
    kind = parse_register_type("uint16")
    assert kind is not None
    spec = RegisterSpec(at=0, type=kind, scale=1, word_order="big", byte_order="big", on_loss="nan")
    moved = PlacedPoint("p", bench.table.specs[point], (PlacedRegister(1, 1001, spec),), ())
    server.rebuild([(point, moved)], SPANS, one_unit=True, unit=1, common=None)
    assert words(await client.ask(read(1000, 2))) == bytes.fromhex("ffff 0007")


async def test_one_point_in_several_encodings(bench: Bench) -> None:
    await bench.serve()
    bench.set(bench.point("p", (10, "float32"), (12, "int16", {"scale": 0.1})), 7.5)
    assert words(await (await bench.connect()).ask(read(10, 3))) == struct.pack(">fh", 7.5, 75)


async def test_an_optional_point_is_a_gap_until_it_was_seen(bench: Bench) -> None:
    await bench.serve(groups=[STRICT])
    fill = await bench.serve()
    strict = bench.servers[0]
    point = bench.point("p", (1000, "uint16"), optional=True, server=strict)
    bench.point("q", (1000, "uint16"), optional=True, server=fill)
    hard, soft = await bench.connect(strict), await bench.connect(fill)
    bench.table.fail([point], "no answer")
    assert await hard.ask(read(1000, 1)) == b"\x83\x02"
    assert words(await soft.ask(read(1000, 1))) == b"\xff\xff"
    bench.set(point, 3)
    assert words(await hard.ask(read(1000, 1))) == b"\x00\x03"
    bench.set(point, None, BAD)
    assert words(await hard.ask(read(1000, 1))) == b"\xff\xff"


async def test_M07_unmapped_gap_and_end_of_the_map(bench: Bench) -> None:
    await bench.serve()
    bench.set(bench.point("alone", (5000, "uint16")), 9)
    bench.set(bench.point("last", (65535, "uint16")), 8)
    bench.set(bench.point("p", (1001, "uint16")), 7)
    client = await bench.connect()
    assert words(await client.ask(read(1000, 3))) == bytes.fromhex("ffff 0007 ffff")
    assert words(await client.ask(read(0, 100))) == bytes(200)
    assert words(await client.ask(read(5000, 1))) == b"\0\x09"
    assert words(await client.ask(read(65535, 1))) == b"\0\x08"
    for start, count in (
        (100, 1),
        (99, 2),
        (999, 2),
        (1400, 1),
        (1399, 2),
        (4999, 2),
        (5000, 2),
        (65535, 2),
        (65534, 2),
    ):
        assert await client.ask(read(start, count)) == b"\x83\x02", start


async def test_M07_strict_groups_are_refused_gaps(bench: Bench) -> None:
    await bench.serve(groups=[STRICT])
    bench.set(bench.point("p", (1001, "uint16")), 7)
    client = await bench.connect()
    assert words(await client.ask(read(1001, 1))) == b"\0\x07"
    for function in (3, 4):
        assert await client.ask(read(1000, 2, function)) == bytes([function | 0x80, 2])
    assert await client.ask(read(1000, 1, 1)) == b"\x81\x02"
    assert await client.ask(read(0, 1, 2)) == b"\x82\x02"


async def test_M07_M14_units_in_one_unit_mode(bench: Bench) -> None:
    await bench.serve(unit=5)
    bench.set(bench.point("p", (0, "uint16"), unit=5), 7)
    client = await bench.connect()
    for unit in (5, 0, 255):
        assert words(await client.ask(read(0, 1), unit)) == b"\0\x07"
    for unit in (1, 4, 247, 254):
        for pdu in (read(0, 1), read(0, 0), read(0, 1, 1), b"\x06\0\0\0\0", b"\x55"):
            assert await client.ask(pdu, unit) == bytes([pdu[0] | 0x80, 0x0B])


async def test_M14_units_of_their_own(bench: Bench) -> None:
    await bench.serve(one_unit=False, spans=[Span(1, 0, 10, 0), Span(2, 0, 10, 0xFFFF)])
    bench.set(bench.point("a", (1, "uint16")), 7)
    bench.set(bench.point("b", (1, "uint16"), unit=2), 8)
    bench.set(bench.point("c", (70, "uint16"), unit=9), 9)
    client = await bench.connect()
    assert words(await client.ask(read(0, 3), 1)) == bytes.fromhex("0000 0007 0000")
    assert words(await client.ask(read(0, 3), 2)) == bytes.fromhex("ffff 0008 ffff")
    assert words(await client.ask(read(70, 1), 9)) == b"\0\x09"
    for unit in (0, 3, 255):
        assert await client.ask(read(0, 1), unit) == b"\x83\x0b"


async def test_bool_is_coil_and_discrete_input_too(bench: Bench) -> None:
    await bench.serve()
    on = bench.point("on", (1000, "bool"))
    off = bench.point("off", (1001, "bool", {"on_loss": "hold"}))
    bench.set(bench.point("number", (1002, "uint16")), 0)
    bench.set(on, True)
    bench.set(off, False)
    client = await bench.connect()
    for function in (1, 2):
        assert await client.ask(read(1000, 2, function)) == bytes([function, 1, 0b01])
        assert await client.ask(read(1000, 11, function)) == bytes([function, 2, 0b11111101, 0b111])
        assert await client.ask(read(0, 3, function)) == bytes([function, 1, 0]), "the header's fill is 0"
        assert await client.ask(read(100, 1, function)) == bytes([function | 0x80, 2])
        assert await client.ask(read(1399, 2, function)) == bytes([function | 0x80, 2])
    bench.set(on, None, BAD)
    bench.set(off, None, BAD)
    assert await client.ask(read(1000, 2, 1)) == b"\x81\x0b"
    assert await client.ask(read(1001, 1, 1)) == b"\x01\x01\x00"
    assert words(await client.ask(read(1000, 2))) == bytes.fromhex("ffff 0000")


async def test_two_thousand_coils(bench: Bench) -> None:
    await bench.serve(spans=[])
    for n in range(2000):
        bench.set(bench.point(f"b{n}", (n, "bool")), n % 3 == 0)
    answer = await (await bench.connect()).ask(read(0, 2000, 2))
    assert answer[:2] == bytes([2, 250])
    assert [answer[2 + n // 8] >> (n % 8) & 1 for n in range(2000)] == [int(n % 3 == 0) for n in range(2000)]


async def test_bits_share_a_register_and_are_no_coils(bench: Bench) -> None:
    await bench.serve(groups=[STRICT])
    low = bench.point("low", (1000, "bits", {"bit": 0}))
    high = bench.point("high", (1000, "bits", {"bit": 15}))
    held = bench.point("held", (1000, "bits", {"bit": 3, "on_loss": "hold"}))
    client = await bench.connect()
    for point in (low, held):
        bench.set(point, True)
        assert await client.ask(read(1000, 1)) == b"\x83\x0b", "a bit without a value is no 0"
    bench.set(high, True)
    assert words(await client.ask(read(1000, 1))) == b"\x80\x09"
    bench.set(high, False)
    bench.set(held, None, BAD)
    assert words(await client.ask(read(1000, 1, 4))) == b"\x00\x09"
    bench.set(low, None, BAD)
    assert await client.ask(read(1000, 1, 4)) == b"\x84\x0b"
    assert await client.ask(read(1000, 1, 1)) == b"\x81\x02"


async def test_bits_with_swapped_bytes(bench: Bench) -> None:
    await bench.serve()
    bench.set(bench.point("b", (10, "bits", {"bit": 0, "byte_order": "little"})), True)
    assert words(await (await bench.connect()).ask(read(10, 1))) == b"\x01\x00"


async def test_a_register_outside_the_map_is_refused_at_place(bench: Bench) -> None:
    await bench.serve()
    with pytest.raises(ValueError, match="65535"):
        bench.point("p", (65535, "float32"))
