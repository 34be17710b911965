"""Bytes on the wire: whole, split, pipelined, broken."""

from __future__ import annotations

import asyncio
import random
import struct
from dataclasses import replace

import pytest

from gateway.servers.modbus.connection import AT_ONCE
from tests.servers.modbus.conftest import BMS, Bench, adu, read, write16


async def cut(data: bytes, bench: Bench, sizes: int) -> None:
    """Sends `data` in pieces of `sizes` bytes, each in its own segment."""
    wire = bench.wires[-1]
    for start in range(0, len(data), sizes):
        wire.send(data[start : start + sizes])
        await wire.writer.drain()
        await asyncio.sleep(0.001)


@pytest.mark.parametrize(
    "head",
    [
        struct.pack(">HHHB", 1, 0, 0, 1),
        struct.pack(">HHHB", 1, 0, 1, 1),
        struct.pack(">HHHB", 1, 0, 65535, 1),
        struct.pack(">HHHB", 1, 0, 261, 1),
        struct.pack(">HHHB", 1, 7, 6, 1),
    ],
    ids=["length 0", "length 1", "length 65535", "length 261", "protocol 7"],
)
async def test_M01_bad_mbap_closes_that_connection_only(bench: Bench, head: bytes) -> None:
    server = await bench.serve()
    other, bad = await bench.connect(), await bench.connect()
    await other.ask(read(0, 1))
    bad.send(head + read(0, 1))
    assert await bad.closed()
    assert server.counters.bad_frames == 1
    assert await other.ask(read(0, 1)) == bytes.fromhex("0302 0000")


async def test_M01_answers_before_the_bad_frame_still_leave(bench: Bench) -> None:
    await bench.serve()
    wire = await bench.connect()
    wire.send(adu(1, read(0, 1)) + b"GET / HTTP/1.1\r\n\r\n")
    assert (await wire.frame())[0] == 1
    assert await wire.closed()


async def test_M02_half_a_frame_and_silence_is_closed(bench: Bench) -> None:
    server = await bench.serve(half_frame_s=0.05)
    wire = await bench.connect()
    wire.send(adu(1, read(0, 1))[:9])
    assert await wire.closed()
    assert server.counters.half_frames == 1


async def test_M02_bytes_that_trickle_do_not_extend_the_time(bench: Bench) -> None:
    server = await bench.serve(half_frame_s=0.1)
    wire = await bench.connect()
    for byte in adu(1, read(0, 1))[:11]:
        if server.counters.half_frames:
            break
        wire.send(bytes([byte]))
        await asyncio.sleep(0.03)
    assert server.counters.half_frames == 1


async def test_M02_a_completed_frame_stops_the_timer(bench: Bench) -> None:
    server = await bench.serve(half_frame_s=1.5)
    wire = await bench.connect()
    for number in range(4):
        frame = adu(number, read(0, 1))
        wire.send(frame[:5])
        await asyncio.sleep(0.005)
        wire.send(frame[5:])
        assert (await wire.frame())[0] == number
    await asyncio.sleep(1.6)
    assert server.counters.half_frames == 0


async def test_silent_connection_is_closed_and_a_polling_one_is_not(bench: Bench) -> None:
    server = await bench.serve(idle_s=2.0)
    polling, silent = await bench.connect(), await bench.connect()
    asked = 0
    while not server.counters.idle:
        await polling.ask(read(0, 1))
        asked += 1
        await asyncio.sleep(0.03)
    assert server.counters.idle == 1
    assert await silent.closed()
    assert [client["requests"] for client in server.clients] == [asked]


@pytest.mark.parametrize("size", [1, 2, 5, 7, 11])
async def test_M03_a_split_frame_is_answered(bench: Bench, size: int) -> None:
    await bench.serve()
    bench.set(bench.point("p", (1000, "uint16")), 77)
    wire = await bench.connect()
    await cut(adu(5, read(1000, 1)) + adu(6, read(1000, 2)), bench, size)
    assert await wire.frame() == (5, 1, bytes.fromhex("0302 004d"))
    assert await wire.frame() == (6, 1, bytes.fromhex("0304 004d ffff"))


async def test_M04_a_flood_of_pipelined_requests_holds_nobody_else_up(bench: Bench) -> None:
    server = await bench.serve()
    flood, other = await bench.connect(), await bench.connect()
    flood.send(b"".join(adu(n, read(0, 1)) for n in range(8_000)))
    assert (await other.ask(read(0, 1)))[0] == 3
    assert server.counters.requests < 6_000
    for n in range(8_000):
        assert (await flood.frame())[0] == n


@pytest.mark.parametrize("per_s", [None, 1000.0])
async def test_M04_order_holds_over_turns_writes_and_a_cap(bench: Bench, per_s: float | None) -> None:
    server = await bench.serve(groups=[replace(BMS, requests_per_s=per_s)])
    bench.point("p", (1000, "uint16"), command=True)
    wire = await bench.connect()
    count = 3 * AT_ONCE
    wire.send(
        b"".join(adu(n, write16(1000, n.to_bytes(2, "big")) if n % 7 == 0 else read(1000, 1)) for n in range(count))
    )
    for n in range(count):
        transaction, _, pdu = await wire.frame()
        assert transaction == n
        assert pdu == (struct.pack(">BHH", 16, 1000, 1) if n % 7 == 0 else struct.pack(">BBH", 3, 2, n - n % 7))
    assert (server.counters.throttled > 0) == (per_s is not None)


@pytest.mark.parametrize("count", [2, 10, 60, 2000])
async def test_M04_pipelined_requests_are_all_answered_in_order(bench: Bench, count: int) -> None:
    server = await bench.serve()
    wire = await bench.connect()
    wire.send(b"".join(adu(n, read(1000 + n % 7, 1 + n % 3)) for n in range(count)))
    for n in range(count):
        transaction, _, pdu = await wire.frame()
        assert (transaction, len(pdu)) == (n, 2 + 2 * (1 + n % 3))
    assert server.clients[0]["requests"] == server.counters.requests == count


async def test_M04_reads_wait_behind_a_pending_write_and_see_it(bench: Bench) -> None:
    await bench.serve()
    point = bench.point("limit", (1000, "uint16"), command=True)
    bench.set(point, 1)
    bench.commands.gate = asyncio.Event()
    wire, other = await bench.connect(), await bench.connect()
    write = struct.pack(">BHH", 6, 1000, 20)
    wire.send(adu(1, read(1000, 1)) + adu(2, write) + adu(3, read(1000, 1)) + adu(4, read(9, 1)))
    assert await wire.frame() == (1, 1, bytes.fromhex("0302 0001"))
    wire.send(adu(5, read(1000, 1)))
    assert await other.ask(read(1000, 1)) == bytes.fromhex("0302 0001")
    bench.commands.gate.set()
    assert await wire.frame() == (2, 1, write)
    assert await wire.frame() == (3, 1, bytes.fromhex("0302 0014"))
    assert (await wire.frame())[0] == 4
    assert (await wire.frame())[0] == 5


async def test_M04_many_writes_in_one_segment_keep_their_order(bench: Bench) -> None:
    await bench.serve()
    point = bench.point("limit", (1000, "uint16"), command=True)
    wire = await bench.connect()
    frames = [adu(n, struct.pack(">BHH", 6, 1000, n) if n % 2 else read(1000, 1)) for n in range(400)]
    await cut(b"".join(frames), bench, 1500)
    for n in range(400):
        transaction, _, pdu = await wire.frame()
        assert transaction == n
        if n % 2 == 0 and n:
            assert pdu == struct.pack(">BBH", 3, 2, n - 1)
    assert bench.commands.asked == [(point, n, 10) for n in range(1, 400, 2)]


@pytest.mark.parametrize(
    "pdu",
    [
        "03 0000 0000",
        "03 0000 007e",
        "04 0000 007e",
        "01 03e8 0000",
        "01 03e8 07d1",
        "02 03e8 07d1",
        "03 0000",
        "03",
        "03 0000 0001 00",
        "01 0000 0001 00",
        "05 03e8 1234",
        "05 03e8 ff00 00",
        "06 03e8",
        "0f 03e8 0000 00",
        "0f 03e8 07b1 f7" + "00" * 246,
        "0f 03e8 0009 01 ff",
        "0f 03e8 0001 02 ff",
        "10 03e8 0000 00",
        "10 03e8 0001 02 00",
        "10 03e8 0001 04 0000",
        "10 03e8 0002 04 0000 0000 00",
        "16 03e8 0000",
        "17 0000 0000 03e8 0001 02 0000",
        "17 0000 007e 03e8 0001 02 0000",
        "17 0000 0001 03e8 0000 00",
        "17 0000 0001 03e8 0001 03 0000",
        "2b",
        "2b 0e 05 00",
        "2b 0e 01",
    ],
)
async def test_M05_wrong_quantity_or_length_is_03(bench: Bench, pdu: str) -> None:
    await bench.serve()
    bench.point("limit", (1000, "bool"), command=True)
    wire = await bench.connect()
    request = bytes.fromhex(pdu)
    assert await wire.ask(request) == bytes([request[0] | 0x80, 3])
    assert bench.commands.calls == []
    assert (await wire.ask(read(0, 1)))[0] == 3


@pytest.mark.parametrize("registers", [124, 126])
async def test_M05_too_long_a_frame_is_answered_and_framing_kept(bench: Bench, registers: int) -> None:
    await bench.serve()
    wire = await bench.connect()
    data = bytes(registers * 2)
    assert 255 <= len(write16(0, data)) + 1 <= 260
    assert await wire.ask(write16(0, data)) == bytes([0x90, 3])
    assert (await wire.ask(read(0, 1)))[0] == 3


@pytest.mark.parametrize("function", [0, 7, 8, 11, 17, 20, 24, 0x55, 0x83, 0xFF])
async def test_M06_unknown_function_is_01_with_its_code(bench: Bench, function: int) -> None:
    await bench.serve()
    wire = await bench.connect()
    assert await wire.ask(bytes([function, 0, 0, 0, 1])) == bytes([function | 0x80, 1])


async def test_M06_other_mei_types_are_01(bench: Bench) -> None:
    await bench.serve()
    assert await (await bench.connect()).ask(bytes.fromhex("2b 0d 01 00")) == bytes.fromhex("ab 01")


async def test_identity_is_this_servers(bench: Bench) -> None:
    first, second = await bench.serve(), await bench.serve(version="9")
    basic = bytes.fromhex("2b 0e 01 00")
    objects = b"\x00\x0cEVCE gateway\x01\x13EV charging gateway\x02"
    answer = await (await bench.connect(first)).ask(basic)
    assert answer == bytes.fromhex("2b 0e 01 83 00 00 03") + objects + b"\x051.2.3"
    other = await bench.connect(second)
    assert (await other.ask(basic)).endswith(b"\x02\x019")
    assert await other.ask(bytes.fromhex("2b 0e 04 02")) == bytes.fromhex("2b 0e 04 83 00 00 01 02 01 39")
    assert await other.ask(bytes.fromhex("2b 0e 04 07")) == bytes.fromhex("ab 02")
    assert (await other.ask(bytes.fromhex("2b 0e 03 90")))[6] == 8


async def test_random_pdus_get_an_answer_each_with_their_own_function(bench: Bench) -> None:
    await bench.serve()
    bench.point("limit", (1000, "float32"), command=True)
    bench.point("switch", (1002, "bool"), command=True)
    rng = random.Random(1)
    wire = await bench.connect()
    for _ in range(1500):
        function = rng.choice([1, 2, 3, 4, 5, 6, 15, 16, 22, 23, 43, rng.randrange(256)])
        pdu = bytes([function]) + rng.randbytes(rng.choice([0, 1, 3, 4, 4, 5, 6, 9, 11, 40, 252]))
        answer = await wire.ask(pdu)
        assert answer[0] | 0x80 == function | 0x80
        assert len(answer) > 2 or answer[1] in {1, 2, 3, 4, 6, 11}
