"""Several units: a range that stands in all of them, and spans that come with new units."""

from __future__ import annotations

import struct
from dataclasses import replace
from ipaddress import ip_network

from gateway.addressing import PlacedPoint, Seat, Span, gateway_kind, place
from gateway.core.point import PointSpec
from gateway.core.value import ValueKind
from gateway.servers.modbus import ClientGroup
from tests.servers.modbus.conftest import Bench, read

COMMON = Span(3, 0, 100, 0)
GROUPS = [ClientGroup(name, (ip_network(f"127.0.0.{n}"),), 9 + n, write=True) for n, name in enumerate(("a", "b"), 1)]
MANY = {"one_unit": False, "unit": 3, "common": COMMON}


def header(bench: Bench) -> dict[str, int]:
    """The header in unit 3, as the gateway places it."""
    kind = gateway_kind("big", "big", [])
    points: list[PlacedPoint] = place(
        list(kind.points.values()), kind, source="gateway", name=None, block=0, seat=Seat(3, 0)
    )
    indices = {point.spec.name: bench.table.add(point.name, point.spec) for point in points}
    bench.servers[-1].place([(indices[point.spec.name], point) for point in points])
    return indices


async def test_the_header_is_in_units_placed_before_and_after_it(bench: Bench) -> None:
    await bench.serve(**MANY, spans=[COMMON, Span(4, 1000, 10, 0xFFFF)])
    bench.set(bench.point("early", (1000, "uint16"), unit=4), 7)
    indices = header(bench)
    bench.set(indices["magic"], 0x45564757)
    bench.set(bench.point("late", (1000, "uint16"), unit=9), 8)
    client = await bench.connect()
    answers = [await client.ask(read(0, 100), unit) for unit in (3, 4, 9)]
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][2:6] == b"EVGW"
    assert answers[0][2 + 2 * 17 : 2 + 2 * 20] == bytes(6), "reserved ones read 0"
    for beat in (41, 42):
        bench.set(indices["heartbeat"], beat)
        assert [(await client.ask(read(7, 1), unit))[2:] for unit in (3, 4, 9)] == [struct.pack(">H", beat)] * 3
    assert await client.ask(read(1000, 1), 4) == bytes.fromhex("03 02 0007")
    assert await client.ask(read(1000, 1), 9) == bytes.fromhex("03 02 0008")
    assert await client.ask(read(1000, 1), 3) == b"\x83\x02", "what is in a unit is in no other"


async def test_C04_a_groups_heartbeat_is_the_same_in_every_unit(bench: Bench) -> None:
    await bench.serve(**MANY, spans=[COMMON], groups=GROUPS)
    header(bench)
    bench.point("p", (1000, "uint16"), unit=4)
    one, two = await bench.connect(source="127.0.0.1"), await bench.connect(source="127.0.0.2")
    beat = struct.pack(">BHH", 6, 15, 99)
    assert await one.ask(beat, 4) == beat
    assert bench.commands.beats == {"modbus/a": (99, None)}
    assert [(await one.ask(read(15, 2), unit))[2:] for unit in (3, 4)] == [bytes.fromhex("0063 ffff")] * 2
    assert (await two.ask(read(15, 1), 4))[2:] == bytes(2), "a group never reads a peer's"
    assert await one.ask(struct.pack(">BHH", 6, 7, 1), 4) == b"\x86\x02", "the rest of the header is not writable"


async def test_M07_spans_come_with_a_new_unit_and_known_ones_change_nothing(bench: Bench) -> None:
    server = await bench.serve(**MANY, spans=[COMMON])
    header(bench)
    spec = PointSpec(name="x", kind=ValueKind.NUMBER)
    index = bench.point("x", (1001, "uint16"), unit=8)
    bench.set(index, 5)
    spans = [Span(8, 2000, 4, 0xFFFF)]
    client = await bench.connect()
    assert await client.ask(read(2000, 4), 8) == b"\x83\x02"
    server.place([], spans)
    assert (await client.ask(read(2000, 4), 8))[2:] == b"\xff" * 8
    limit = bench.point("limit", (2000, "float32"), unit=8, command=True)
    bench.set(limit, 16.0)
    server.place([(index, PlacedPoint("x", replace(spec), (), ()))], spans)
    assert (await client.ask(read(2000, 4), 8))[2:] == struct.pack(">f", 16.0) + b"\xff" * 4


async def test_a_write_goes_to_the_point_of_its_unit(bench: Bench) -> None:
    await bench.serve(**MANY, spans=[COMMON])
    header(bench)
    limits = {unit: bench.point(f"limit {unit}", (1040, "float32"), unit=unit, command=True) for unit in (4, 5)}
    client = await bench.connect()
    value = struct.pack(">BHHB", 16, 1040, 2, 4) + struct.pack(">f", 25.0)
    assert await client.ask(value, 5) == value[:5]
    assert bench.commands.asked == [(limits[5], 25.0, 10)]
    assert await client.ask(value, 3) == b"\x90\x02"


async def test_M07_M14_no_other_unit_answers(bench: Bench) -> None:
    await bench.serve(**MANY, spans=[COMMON])
    header(bench)
    bench.point("p", (1000, "uint16"), unit=4)
    client = await bench.connect()
    for unit in (0, 1, 2, 5, 247, 255):
        for pdu in (read(0, 1), read(0, 0), read(0, 1, 1), b"\x06\0\0\0\0", b"\x55"):
            assert await client.ask(pdu, unit) == bytes([pdu[0] | 0x80, 0x0B])
