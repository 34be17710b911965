"""Every function as the standard's state diagrams have it (V1.1b3, 6): one table, sent in three ways.

The map: registers 100..224 hold their own number, 300..309 can be written one by one, 400..403 are two float32 that
can be written; coils 500..515 can be written. Everything else is no register at all.
"""

from __future__ import annotations

import asyncio
import struct

import pytest

from gateway.core.value import ValueKind
from tests.servers.modbus.conftest import Bench, adu, read, write16

NUMBERS = range(100, 225)


def words(*values: int) -> bytes:
    return struct.pack(f">{len(values)}H", *values)


def answer(function: int, data: bytes) -> bytes:
    return bytes((function, len(data))) + data


def coils(address: int, count: int, data: bytes) -> bytes:
    return struct.pack(">BHHB", 15, address, count, len(data)) + data


def no(function: int, code: int) -> bytes:
    return bytes((function | 0x80, code))


ALL = words(*NUMBERS)
MASK = struct.pack(">BHHH", 22, 300, 0xF2, 0x25)
SWAP = struct.pack(">BHHHHB", 23, 100, 2, 300, 1, 2) + words(17)
RIGHT = (
    *(read(500, 3, function) for function in (1, 2)),
    *(read(100, 3, function) for function in (3, 4)),
    struct.pack(">BHH", 5, 500, 0xFF00),
    struct.pack(">BHH", 6, 300, 9),
    coils(500, 10, b"\xff\x01"),
    write16(300, words(1, 2)),
    MASK,
    SWAP,
    bytes((43, 14, 4, 2)),
)
"""A request of each function, to be cut and drawn out."""
CASES: dict[str, tuple[bytes, bytes]] = {
    **{f"FC{f} the first": (read(100, 1, f), answer(f, words(100))) for f in (3, 4)},
    **{f"FC{f} the last": (read(224, 1, f), answer(f, words(224))) for f in (3, 4)},
    **{f"FC{f} the most": (read(100, 125, f), answer(f, ALL)) for f in (3, 4)},
    **{f"FC{f} one too many": (read(100, 126, f), no(f, 3)) for f in (3, 4)},
    **{f"FC{f} none": (read(100, 0, f), no(f, 3)) for f in (3, 4)},
    **{f"FC{f} 65535": (read(100, 65535, f), no(f, 3)) for f in (3, 4)},
    **{f"FC{f} before the first": (read(99, 1, f), no(f, 2)) for f in (3, 4)},
    **{f"FC{f} beyond the last": (read(224, 2, f), no(f, 2)) for f in (3, 4)},
    **{f"FC{f} beyond 65535": (read(65535, 2, f), no(f, 2)) for f in (3, 4)},
    **{f"FC{f} all coils": (read(500, 16, f), answer(f, b"\x05\x80")) for f in (1, 2)},
    **{f"FC{f} across a byte": (read(502, 9, f), answer(f, b"\x01\x00")) for f in (1, 2)},
    **{f"FC{f} none at all": (read(500, 0, f), no(f, 3)) for f in (1, 2)},
    **{f"FC{f} 2001": (read(500, 2001, f), no(f, 3)) for f in (1, 2)},
    **{f"FC{f} before the first coil": (read(499, 2, f), no(f, 2)) for f in (1, 2)},
    **{f"FC{f} beyond the last coil": (read(515, 2, f), no(f, 2)) for f in (1, 2)},
    **{f"FC{f} coils beyond 65535": (read(65535, 2, f), no(f, 2)) for f in (1, 2)},
    "FC5 on": (struct.pack(">BHH", 5, 501, 0xFF00), struct.pack(">BHH", 5, 501, 0xFF00)),
    "FC5 off": (struct.pack(">BHH", 5, 500, 0), struct.pack(">BHH", 5, 500, 0)),
    "FC5 neither on nor off": (struct.pack(">BHH", 5, 500, 1), no(5, 3)),
    "FC5 where there is none": (struct.pack(">BHH", 5, 516, 0), no(5, 2)),
    "FC5 the last": (struct.pack(">BHH", 5, 515, 0), struct.pack(">BHH", 5, 515, 0)),
    "FC6 the first": (struct.pack(">BHH", 6, 300, 9), struct.pack(">BHH", 6, 300, 9)),
    "FC6 the last": (struct.pack(">BHH", 6, 309, 0xFFFE), struct.pack(">BHH", 6, 309, 0xFFFE)),
    "FC6 not writable": (struct.pack(">BHH", 6, 100, 9), no(6, 2)),
    "FC6 half a value": (struct.pack(">BHH", 6, 400, 9), no(6, 3)),
    "FC6 where there is none": (struct.pack(">BHH", 6, 0, 9), no(6, 2)),
    "FC15 the first": (coils(500, 1, b"\x01"), struct.pack(">BHH", 15, 500, 1)),
    "FC15 the last": (coils(515, 1, b"\x01"), struct.pack(">BHH", 15, 515, 1)),
    "FC15 all": (coils(500, 16, b"\xff\x01"), struct.pack(">BHH", 15, 500, 16)),
    "FC15 none": (coils(500, 0, b""), no(15, 3)),
    "FC15 1969": (coils(500, 1969, bytes(247)), no(15, 3)),
    "FC15 65535": (struct.pack(">BHHBB", 15, 500, 65535, 1, 1), no(15, 3)),
    "FC15 beyond 65535": (coils(65535, 2, b"\x03"), no(15, 2)),
    "FC15 a byte too few": (coils(500, 16, b"\xff"), no(15, 3)),
    "FC15 beyond the last": (coils(515, 2, b"\x03"), no(15, 2)),
    "FC16 the first": (write16(300, words(1)), struct.pack(">BHH", 16, 300, 1)),
    "FC16 the last": (write16(309, words(1)), struct.pack(">BHH", 16, 309, 1)),
    "FC16 beyond 65535": (write16(65535, words(1, 2)), no(16, 2)),
    "FC16 all ten": (write16(300, words(*range(10))), struct.pack(">BHH", 16, 300, 10)),
    "FC16 two floats": (write16(400, struct.pack(">ff", 32.0, 16.0)), struct.pack(">BHH", 16, 400, 4)),
    "FC16 a float and a half": (write16(400, struct.pack(">fH", 32.0, 1)), no(16, 3)),
    "FC16 beyond the last": (write16(309, words(1, 2)), no(16, 2)),
    "FC16 none": (write16(300, b""), no(16, 3)),
    "FC16 124": (struct.pack(">BHHB", 16, 300, 124, 248) + bytes(246), no(16, 3)),
    "FC16 a byte count that lies": (struct.pack(">BHHB", 16, 300, 1, 4) + words(1), no(16, 3)),
    "FC22 and, or": (MASK, MASK),
    "FC22 the last": (struct.pack(">BHHH", 22, 309, 0, 5), struct.pack(">BHHH", 22, 309, 0, 5)),
    "FC22 not writable": (struct.pack(">BHHH", 22, 100, 0, 0), no(22, 2)),
    "FC22 where there is none": (struct.pack(">BHHH", 22, 310, 0, 0), no(22, 2)),
    "FC22 half a value": (struct.pack(">BHHH", 22, 401, 0, 0), no(22, 3)),
    "FC23 writes, then reads": (SWAP, answer(23, words(100, 101))),
    "FC23 reads what it wrote": (struct.pack(">BHHHHB", 23, 300, 1, 300, 1, 2) + words(77), answer(23, words(77))),
    "FC23 read beyond the last": (struct.pack(">BHHHHB", 23, 224, 2, 300, 1, 2) + words(1), no(23, 2)),
    "FC23 write beyond the last": (struct.pack(">BHHHHB", 23, 100, 1, 309, 2, 4) + words(1, 2), no(23, 2)),
    "FC23 the most to read": (SWAP[:3] + words(125) + SWAP[5:], answer(23, ALL)),
    "FC23 none to read": (SWAP[:3] + words(0) + SWAP[5:], no(23, 3)),
    "FC23 none to write": (struct.pack(">BHHHHB", 23, 100, 1, 300, 0, 0), no(23, 3)),
    "FC23 half a value": (struct.pack(">BHHHHB", 23, 100, 1, 401, 1, 2) + words(1), no(23, 3)),
    "FC23 126 to read": (struct.pack(">BHHHHB", 23, 100, 126, 300, 1, 2) + words(1), no(23, 3)),
    "FC23 122 to write": (struct.pack(">BHHHHB", 23, 100, 1, 300, 122, 244) + bytes(243), no(23, 3)),
    "FC43/14": (bytes((43, 14, 4, 2)), bytes((43, 14, 4, 0x83, 0, 0, 1, 2, 5)) + b"1.2.3"),
    "FC43/14 no such object": (bytes((43, 14, 4, 0x33)), no(43, 2)),
    **{f"FC43/14 no such read {kind}": (bytes((43, 14, kind, 0)), no(43, 3)) for kind in (0, 5)},
    "FC43/13": (bytes((43, 13, 1, 0)), no(43, 1)),
    **{f"FC{pdu[0]} cut to {size}": (pdu[:size], no(pdu[0], 3)) for pdu in RIGHT for size in range(1, len(pdu))},
    **{f"FC{pdu[0]} and a byte more": (pdu + b"\0", no(pdu[0], 3)) for pdu in RIGHT},
    **{f"FC{f} unknown": (bytes((f, 0, 0, 0, 1)), no(f, 1)) for f in (7, 8, 11, 12, 17, 20, 21, 24, 44, 100, 127)},
}
WRITES_NOTHING = [name for name, (pdu, back) in CASES.items() if back[0] & 0x80 or pdu[0] in {1, 2, 3, 4, 43}]


@pytest.fixture
async def site(bench: Bench) -> Bench:
    await bench.serve(spans=())
    for register in NUMBERS:
        bench.set(bench.point(f"n{register}", (register, "uint16")), register)
    for register in range(300, 310):
        bench.set(bench.point(f"w{register}", (register, "uint16"), command=True), 0x12)
    for register in (400, 402):
        bench.set(bench.point(f"f{register}", (register, "float32"), command=True), 10.0)
    for register in range(500, 516):
        on = register in (500, 502, 515)
        bench.set(bench.point(f"c{register}", (register, "bool"), command=True, kind=ValueKind.BOOL), on)
    return bench


@pytest.mark.parametrize("name", CASES)
async def test_M05_M06_whole_cut_and_between_others(site: Bench, name: str) -> None:
    """Whole; byte by byte; and between two reads in one segment: the same answers, in order."""
    pdu, expected = CASES[name]
    wire = await site.connect()
    assert await wire.ask(pdu) == expected
    for byte in adu(900, pdu):
        wire.send(bytes((byte,)))
        await wire.writer.drain()
        await asyncio.sleep(0)
    assert await wire.frame() == (900, 1, expected)
    wire.send(adu(901, read(110, 1)) + adu(902, pdu) + adu(903, read(111, 1)))
    assert [await wire.frame() for _ in range(3)] == [
        (901, 1, answer(3, words(110))),
        (902, 1, expected),
        (903, 1, answer(3, words(111))),
    ]
    if name in WRITES_NOTHING:
        assert site.commands.calls == []
    else:
        assert len(site.commands.calls) == 3
