"""Writes become asks, all or nothing; refusals become exception codes."""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import replace
from ipaddress import ip_network

import pytest

from gateway.core.errors import CommandRejected, Reject
from gateway.servers.modbus import ClientGroup
from gateway.servers.modbus.codes import REJECT_CODES
from tests.servers.modbus.conftest import BMS, LOCAL, Bench, adu, read, write16
from tests.site import until


def f32(value: float) -> bytes:
    return struct.pack(">f", value)


def write6(address: int, word: int) -> bytes:
    return struct.pack(">BHH", 6, address, word)


def coil5(address: int, word: int) -> bytes:
    return struct.pack(">BHH", 5, address, word)


async def test_a_float_becomes_one_ask_with_slot_and_origin(bench: Bench) -> None:
    await bench.serve()
    point = bench.point("limit", (1040, "float32"), command=True)
    wire = await bench.connect()
    assert await wire.ask(write16(1040, f32(32.5))) == bytes.fromhex("10 0410 0002")
    assert bench.commands.asked == [(point, 32.5, 10)]
    host, port = wire.writer.get_extra_info("sockname")
    origin = bench.commands.calls[0][1]
    assert (origin.protocol, origin.client, origin.user) == ("modbus", f"{host}:{port}", "bms")
    assert await wire.ask(read(1040, 2)) == b"\x03\x04" + f32(32.5)


async def test_adjacent_points_are_one_submit(bench: Bench) -> None:
    await bench.serve()
    a = bench.point("a", (1040, "float32", {"word_order": "little"}), command=True)
    b = bench.point("b", (1042, "int16", {"scale": 0.1}), command=True)
    c = bench.point("c", (1043, "bool"), writable=True)
    wire = await bench.connect()
    data = f32(8)[2:] + f32(8)[:2] + struct.pack(">hH", -75, 1)
    assert await wire.ask(write16(1040, data)) == bytes.fromhex("10 0410 0004")
    assert len(bench.commands.calls) == 1
    assert bench.commands.asked == [(a, 8.0, 10), (b, -7.5, 10), (c, True, 10)]


async def test_6_and_22_write_one_register(bench: Bench) -> None:
    await bench.serve()
    point = bench.point("p", (1040, "uint16"), command=True)
    release = bench.point("release", (1050, "bool"), writable=True)
    wire = await bench.connect()
    assert await wire.ask(write6(1040, 0x1234)) == write6(1040, 0x1234)
    mask = struct.pack(">BHHH", 22, 1040, 0x00F0, 0x0003)
    assert await wire.ask(mask) == mask
    assert await wire.ask(write6(1050, 1)) == write6(1050, 1)
    assert bench.commands.asked == [(point, 0x1234, 10), (point, 0x0033, 10), (release, True, 10)]


async def test_enum_and_odd_bool_numbers_are_passed_on_for_judging(bench: Bench) -> None:
    await bench.serve()
    mode = bench.point("mode", (1040, "enum"), command=True)
    switch = bench.point("switch", (1041, "bool"), command=True)
    wire = await bench.connect()
    await wire.ask(write6(1040, 7))
    await wire.ask(write6(1041, 2))
    assert bench.commands.asked == [(mode, 7, 10), (switch, 2, 10)]


async def test_coils(bench: Bench) -> None:
    await bench.serve()
    first = bench.point("a", (1000, "bool"), command=True)
    rest = [bench.point(f"b{n}", (1001 + n, "bool"), writable=True) for n in range(9)]
    bench.point("shown", (1010, "bool"))
    bench.point("number", (1011, "uint16"), command=True)
    wire = await bench.connect()
    for word in (0xFF00, 0x0000):
        assert await wire.ask(coil5(1000, word)) == coil5(1000, word)
    assert bench.commands.asked == [(first, True, 10), (first, False, 10)]
    bench.commands.calls.clear()
    fifteen = struct.pack(">BHHB", 15, 1000, 10, 2)
    assert await wire.ask(fifteen + bytes([0b00000101, 0b11111110])) == fifteen[:5]
    assert len(bench.commands.calls) == 1
    assert bench.commands.asked == [(p, n in {0, 2, 9}, 10) for n, p in enumerate([first, *rest])]
    assert (await wire.ask(read(1000, 10, 1)))[2:] == bytes([0b00000101, 0b10])
    bench.commands.calls.clear()
    for address in (999, 1010, 1011, 65535):
        assert await wire.ask(coil5(address, 0xFF00)) == b"\x85\x02"
    assert await wire.ask(struct.pack(">BHHB", 15, 1005, 6, 1) + b"\0") == b"\x8f\x02"
    assert bench.commands.calls == []


async def test_a_register_of_writable_bits(bench: Bench) -> None:
    await bench.serve()
    a = bench.point("a", (1000, "bits", {"bit": 0}), command=True)
    b = bench.point("b", (1000, "bits", {"bit": 9}), command=True)
    wire = await bench.connect()
    assert (await wire.ask(write6(1000, 0x0200)))[0] == 6
    assert len(bench.commands.calls) == 1
    assert bench.commands.asked == [(a, False, 10), (b, True, 10)]
    bench.point("shown", (1000, "bits", {"bit": 2}))
    assert await wire.ask(write6(1000, 1)) == b"\x86\x02"


@pytest.mark.parametrize(
    ("pdu", "code"),
    [
        (write16(1040, f32(8)[:2]), 3),
        (write16(1041, f32(8)[2:]), 3),
        (write6(1040, 5), 3),
        (write6(1041, 5), 3),
        (write16(1040, f32(8) + f32(8)[:2]), 3),
        (write16(1041, f32(8)[2:] + f32(8)), 3),
        (write16(1039, bytes(6)), 2),
        (write16(1042, bytes(8)), 2),
        (write6(1044, 1), 2),
        (write6(1060, 1), 2),
        (write6(0, 1), 2),
        (write6(500, 1), 2),
        (write16(65535, bytes(4)), 2),
        (struct.pack(">BHHH", 22, 1044, 0, 0), 2),
        (struct.pack(">BHHH", 22, 1040, 0, 0), 3),
    ],
)
async def test_half_values_and_foreign_registers_change_nothing(bench: Bench, pdu: bytes, code: int) -> None:
    await bench.serve()
    bench.point("a", (1040, "float32"), command=True)
    bench.point("b", (1042, "float32"), command=True)
    bench.point("shown", (1044, "uint16"))
    wire = await bench.connect()
    assert await wire.ask(pdu) == bytes([pdu[0] | 0x80, code])
    assert bench.commands.calls == []


async def test_one_point_written_twice_differently_is_refused(bench: Bench) -> None:
    await bench.serve()
    point = bench.point("p", (1040, "float32"), (1042, "int16"), command=True)
    wire = await bench.connect()
    assert await wire.ask(write16(1040, f32(8) + struct.pack(">h", 9))) == b"\x90\x03"
    assert (await wire.ask(write16(1040, f32(8) + struct.pack(">h", 8))))[0] == 16
    assert bench.commands.asked == [(point, 8.0, 10)]


async def test_23_writes_then_reads_or_does_neither(bench: Bench) -> None:
    await bench.serve()
    point = bench.point("p", (1040, "uint16"), command=True)
    lost = bench.point("lost", (1050, "float32", {"on_loss": "exception"}))
    wire = await bench.connect()

    def pdu(at: int, count: int, value: int) -> bytes:
        return struct.pack(">BHHHHBH", 23, at, count, 1040, 1, 2, value)

    assert await wire.ask(pdu(1040, 2, 9)) == bytes.fromhex("17 04 0009 ffff")
    assert bench.commands.asked == [(point, 9, 10)]
    assert await wire.ask(pdu(500, 1, 10)) == b"\x97\x02"
    assert await wire.ask(read(1040, 1)) == bytes.fromhex("0302 0009")
    assert await wire.ask(pdu(1050, 1, 11)) == b"\x97\x0b"
    assert lost != point


async def test_groups_without_write_are_refused_and_counted(bench: Bench) -> None:
    server = await bench.serve(groups=[ClientGroup("look", LOCAL, 10, write=False)])
    bench.point("p", (1040, "bool"), command=True)
    wire = await bench.connect()
    requests = [write6(1040, 1), coil5(1040, 0xFF00), write16(1040, b"\0\1"), struct.pack(">BHHBB", 15, 1040, 1, 1, 1)]
    for pdu in requests:
        assert await wire.ask(pdu) == bytes([pdu[0] | 0x80, 2])
    assert server.counters.writes_without_right == len(requests)
    assert server.clients[0]["exceptions"] == len(requests)
    assert bench.commands.calls == []


def test_every_reject_has_a_code() -> None:
    assert set(REJECT_CODES) == set(Reject)


@pytest.mark.parametrize("reject", list(Reject))
async def test_a_rejected_command_answers_its_code(bench: Bench, reject: Reject) -> None:
    expected = {"NO_RIGHT": 2, "NOT_WRITABLE": 2, "UNKNOWN_POINT": 2, "INHIBITED": 4, "UPSTREAM": 4, "BUSY": 6}
    expected |= {"NO_HEARTBEAT": 4, "READ_ONLY": 4}
    await bench.serve()
    bench.point("p", (1040, "uint16"), command=True)
    bench.commands.refuse = CommandRejected(reject, "no")
    wire = await bench.connect()
    assert await wire.ask(write6(1040, 1)) == bytes([0x86, expected.get(reject.name, 3)])
    bench.commands.refuse = None
    assert await wire.ask(write6(1040, 1)) == write6(1040, 1)


async def test_no_acceptance_in_time_is_06_and_the_connection_goes_on(bench: Bench) -> None:
    server = await bench.serve(groups=[replace(BMS, answer_within_s=0.05)])
    bench.point("p", (1040, "uint16"), command=True)
    bench.commands.gate = asyncio.Event()
    wire = await bench.connect()
    wire.send(adu(1, write6(1040, 1)) + adu(2, read(0, 1)))
    assert await wire.frame() == (1, 1, b"\x86\x06")
    assert (await wire.frame())[0] == 2
    assert server.counters.write_timeouts == 1
    assert server.counters.writes == 0


async def test_no_task_without_a_pending_write(bench: Bench) -> None:
    await bench.serve()
    bench.point("p", (1040, "uint16"), command=True)
    wire = await bench.connect()
    for pdu in (read(1000, 5), read(1000, 5, 1), write6(0, 1), b"\x2b\x0e\x01\x00", b"\x55"):
        await wire.ask(pdu)
    assert bench.tasks == []
    await wire.ask(write6(1040, 1))
    assert len(bench.tasks) == 1


@pytest.mark.parametrize("reset", [True, False])
async def test_writes_sent_whole_are_carried_out_though_the_client_left(bench: Bench, reset: bool) -> None:
    server = await bench.serve()
    point = bench.point("p", (1040, "uint16"), command=True)
    bench.commands.gate = asyncio.Event()
    wire = await bench.connect()
    wire.send(adu(1, write6(1040, 1)) + adu(2, read(0, 1)) + adu(3, write6(1040, 2)))
    await until(lambda: len(bench.tasks) == 1)
    (connection,) = server._door._inside
    if reset:
        linger = struct.pack("ii", 1, 0)
        wire.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    wire.writer.transport.abort()
    await until(lambda: server.clients == [] if reset else connection._ended)
    assert bool(server.clients) is not reset
    bench.commands.gate.set()
    await until(lambda: server.clients == [] and len(bench.commands.asked) >= 2)
    assert bench.commands.asked == [(point, 1, 10), (point, 2, 10)]


async def test_a_half_closed_client_still_gets_the_answer_to_its_write(bench: Bench) -> None:
    server = await bench.serve()
    bench.point("p", (1040, "uint16"), command=True)
    bench.commands.gate = asyncio.Event()
    wire = await bench.connect()
    wire.send(adu(1, write6(1040, 1)))
    wire.writer.write_eof()
    await until(lambda: any(connection._ended for connection in server._door._inside))
    bench.commands.gate.set()
    assert await wire.frame() == (1, 1, write6(1040, 1))
    assert await wire.closed()


async def test_stop_gives_up_pending_writes(bench: Bench) -> None:
    server = await bench.serve()
    bench.point("p", (1040, "uint16"), command=True)
    bench.commands.gate = asyncio.Event()
    wire, gone = await bench.connect(), await bench.connect()
    wire.send(adu(1, write6(1040, 1)))
    gone.send(adu(1, write6(1040, 2)))
    await until(lambda: len(bench.tasks) == 2)
    gone.writer.transport.abort()
    await asyncio.sleep(0.02)
    await server.stop()
    assert await wire.closed()
    assert [task.cancelled() for task in bench.tasks] == [True, True]
    assert bench.commands.calls == []


async def test_a_flood_behind_a_pending_write_is_held_back_and_then_answered(bench: Bench) -> None:
    await bench.serve()
    bench.point("p", (1040, "uint16"), command=True)
    bench.commands.gate = asyncio.Event()
    wire = await bench.connect()
    wire.send(adu(0, write6(1040, 1)))
    await until(lambda: len(bench.tasks) == 1)
    for n in range(1, 1001):
        wire.send(adu(n, read(0, 1)))
        if n % 100 == 0:
            await asyncio.sleep(0.002)
    bench.commands.gate.set()
    assert [(await wire.frame())[0] for _ in range(1001)] == list(range(1001))


async def test_W17_writes_that_never_became_a_command_are_told_once_a_minute(bench: Bench) -> None:
    told: list[tuple[str, str, str]] = []
    reader = ClientGroup("reader", (ip_network("127.0.0.9/32"),), 11, write=False)
    await bench.serve(
        groups=[BMS, reader], on_refused=lambda place, origin, why: told.append((place, origin.user, why))
    )
    bench.point("p", (1040, "float32"), command=True)
    bms, other = await bench.connect(), await bench.connect(source="127.0.0.9")
    for _ in range(3):
        assert await bms.ask(write6(1040, 1)) == b"\x86\x03"
        assert await bms.ask(write6(1399, 1)) == b"\x86\x02"
        assert await other.ask(write6(1040, 1)) == b"\x86\x02"
    for register in range(1100, 1200):
        await bms.ask(write6(register, 1))
    assert told[:3] == [
        ("modbus unit 1 register 1040", "bms", "function 6: half of a value, or a quantity that does not fit"),
        ("modbus unit 1 register 1399", "bms", "function 6: a register there cannot be written"),
        ("modbus unit 1 register 1040", "reader", "function 6: the client group 'reader' may not write"),
    ]
    assert len(told) == 21, "a client that tries everything fills no disk"


async def test_every_kind_of_refused_write_is_told(bench: Bench) -> None:
    told: list[tuple[str, str]] = []
    await bench.serve(
        groups=[replace(BMS, answer_within_s=0.05)], on_refused=lambda place, _origin, why: told.append((place, why))
    )
    bench.point("p", (1040, "uint16"), command=True)
    wire = await bench.connect()
    assert await wire.ask(write6(1040, 1), unit=9) == b"\x86\x0b"
    wire.send(adu(7, write16(1040, bytes(248))))
    assert await wire.frame() == (7, 1, b"\x90\x03")
    bench.commands.gate = asyncio.Event()
    assert await wire.ask(write6(1040, 1)) == b"\x86\x06"
    assert await wire.ask(struct.pack(">BHHB", 16, 1040, 1, 4) + bytes(2)) == b"\x90\x03"
    bench.point("bit", (1050, "bits", {"bit": 0}), writable=True)
    assert await wire.ask(struct.pack(">BHHH", 22, 1050, 0, 1)) == b"\x96\x04"
    assert told == [
        ("modbus unit 9 register 1040", "function 6: there is no such unit"),
        ("modbus unit 1 register 1040", "function 16: half of a value, or a quantity that does not fit"),
        ("modbus unit 1 register 1040", "function 6: not accepted in time"),
        ("modbus unit 1 register 1050", "function 22: a heartbeat, or a register without a value, cannot be masked"),
    ]
