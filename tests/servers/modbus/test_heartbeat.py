"""Registers 15 and 16 of the header: each client group has a heartbeat of its own, in an image that all share (C04)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from ipaddress import ip_network

import pytest

from gateway.addressing import PlacedPoint, Seat, gateway_kind, place
from gateway.core.errors import CommandRejected, Reject
from gateway.core.registers import Order
from gateway.servers.modbus import ClientGroup
from tests.servers.modbus.conftest import Bench, Wire, read, write16

ONE, TWO, LOOK = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
GROUPS = [
    ClientGroup("one", (ip_network(ONE),), 10, write=True),
    ClientGroup("two", (ip_network(TWO),), 11, write=True),
    ClientGroup("look", (ip_network(LOOK),), 12, write=False),
]


def header(bench: Bench, byte_order: Order = "big") -> dict[str, int]:
    """Places the header as the gateway does; the table holds what BACnet clients would see."""
    kind = gateway_kind("big", byte_order, [])
    points: list[PlacedPoint] = place(
        list(kind.points.values()), kind, source="gateway", name=None, block=0, seat=Seat(1, 0)
    )
    indices = {point.spec.name: bench.table.add(point.name, point.spec) for point in points}
    bench.servers[-1].place([(indices[point.spec.name], point) for point in points])
    bench.set(indices["flags"], 5)
    bench.set(indices["bms_heartbeat"], 7777)
    bench.set(indices["bms_heartbeat_age_s"], 8888)
    return indices


def write6(address: int, word: int) -> bytes:
    return struct.pack(">BHH", 6, address, word)


def words(answer: bytes) -> Iterator[int]:
    return (word for (word,) in struct.iter_unpack(">H", answer[2:]))


async def three(bench: Bench) -> tuple[Wire, Wire, Wire]:
    return await bench.connect(source=ONE), await bench.connect(source=TWO), await bench.connect(source=LOOK)


async def test_C04_a_group_reads_its_own_heartbeat_and_never_a_peers(bench: Bench) -> None:
    await bench.serve(groups=GROUPS)
    header(bench)
    one, two, look = await three(bench)
    assert await one.ask(write6(15, 41)) == write6(15, 41)
    assert await two.ask(write16(15, b"\xff\xff")) == bytes.fromhex("10 000f 0001")
    assert bench.commands.beats == {"modbus/one": (41, None), "modbus/two": (0xFFFF, None)}
    assert bench.commands.calls == [], "a heartbeat is no command"
    assert [list(words(await wire.ask(read(15, 2)))) for wire in (one, two, look)] == [
        [41, 0xFFFF],
        [0xFFFF, 0xFFFF],
        [0, 0xFFFF],
    ]


async def test_the_age_stands_beside_it_wherever_a_read_cuts(bench: Bench) -> None:
    await bench.serve(groups=GROUPS)
    header(bench)
    one, two, _ = await three(bench)
    bench.commands.beats = {"modbus/one": (3, 61.9), "modbus/two": (4, 1e9)}
    for function in (3, 4):
        assert list(words(await one.ask(read(14, 4, function)))) == [5, 3, 61, 0]
    assert list(words(await one.ask(read(16, 1)))) == [61]
    assert list(words(await one.ask(read(15, 1)))) == [3]
    assert list(words(await one.ask(read(0, 100))))[14:17] == [5, 3, 61]
    assert list(words(await two.ask(read(16, 2)))) == [0xFFFE, 0]
    assert list(words(await two.ask(read(14, 1)))) == [5]
    assert list(words(await two.ask(read(17, 3)))) == [0, 0, 0]


async def test_23_writes_it_and_reads_its_own_in_one_request(bench: Bench) -> None:
    await bench.serve(groups=GROUPS)
    header(bench)
    _, two, _ = await three(bench)
    bench.commands.beats = {"modbus/one": (3, 61.9)}
    pdu = struct.pack(">BHHHHBH", 23, 14, 3, 15, 1, 2, 9)
    assert await two.ask(pdu) == bytes.fromhex("17 06 0005 0009 ffff")
    assert bench.commands.beats["modbus/one"] == (3, 61.9)


async def test_swapped_bytes_are_swapped_there_too(bench: Bench) -> None:
    await bench.serve(groups=GROUPS)
    header(bench, "little")
    one, _, _ = await three(bench)
    await one.ask(write6(15, 0x0100))
    assert bench.commands.beats == {"modbus/one": (1, None)}
    bench.commands.beats = {"modbus/one": (1, 2.0)}
    assert await one.ask(read(15, 2)) == bytes.fromhex("03 04 0100 0200")


async def test_a_group_without_the_right_to_write_has_no_heartbeat(bench: Bench) -> None:
    await bench.serve(groups=GROUPS)
    header(bench)
    _, _, look = await three(bench)
    assert await look.ask(write6(15, 1)) == b"\x86\x02"
    assert bench.commands.beats == {}


@pytest.mark.parametrize(
    ("pdu", "code"),
    [
        (write16(14, bytes(4)), 2),
        (write16(15, bytes(4)), 2),
        (write6(16, 1), 2),
        (struct.pack(">BHHH", 22, 15, 0xFFFF, 1), 4),
    ],
)
async def test_only_the_heartbeat_itself_is_written_and_as_a_whole(bench: Bench, pdu: bytes, code: int) -> None:
    await bench.serve(groups=GROUPS)
    header(bench)
    one, _, _ = await three(bench)
    assert await one.ask(pdu) == bytes([pdu[0] | 0x80, code])
    assert bench.commands.beats == {}


async def test_a_refused_write_beside_it_is_no_sign_of_life(bench: Bench) -> None:
    """All or nothing, also where a mapping has put a register behind the heartbeat's."""
    await bench.serve(groups=GROUPS)
    kind = gateway_kind("big", "big", [])
    beat = place([kind.points["bms_heartbeat"]], kind, source="gateway", name=None, block=0, seat=Seat(1, 0))
    index = bench.table.add(beat[0].name, beat[0].spec)
    bench.servers[-1].place([(index, beat[0])])
    limit = bench.point("limit", (16, "uint16"), command=True)
    one, _, _ = await three(bench)
    bench.commands.refuse = CommandRejected(Reject.NO_HEARTBEAT, "no heartbeat yet")
    assert await one.ask(write16(15, bytes.fromhex("0001 0020"))) == b"\x90\x04"
    assert bench.commands.beats == {}
    bench.commands.refuse = None
    assert await one.ask(write16(15, bytes.fromhex("0001 0020"))) == bytes.fromhex("10 000f 0002")
    assert (bench.commands.beats, bench.commands.asked) == ({"modbus/one": (1, None)}, [(limit, 0x20, 10)])


async def test_it_counts_as_a_write_of_the_client(bench: Bench) -> None:
    server = await bench.serve(groups=GROUPS)
    header(bench)
    one, _, _ = await three(bench)
    await one.ask(write6(15, 1))
    assert (server.counters.writes, server.clients[0]["writes"]) == (1, 1)
