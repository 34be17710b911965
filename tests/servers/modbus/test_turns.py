"""FC22 and FC23 read what they write: nobody else's write comes between."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from dataclasses import replace

from gateway.core.priority import Origin
from gateway.engine.ports import Ask
from gateway.servers.modbus.turns import Turns
from tests.servers.modbus.conftest import BMS, Bench, Recorder, Wire, read


class Slow(Recorder):
    """What is accepted is seen a while later, and the answer comes later still, as with a disk in between."""

    async def submit(self, asks: Sequence[Ask], origin: Origin) -> None:
        await asyncio.sleep(0.01)
        await super().submit(asks, origin)
        await asyncio.sleep(0.01)


def mask(keep: int, add: int) -> bytes:
    return struct.pack(">BHHH", 22, 1040, keep, add)


def write6(word: int, register: int = 1040) -> bytes:
    return struct.pack(">BHH", 6, register, word)


async def two(bench: Bench, **group: float) -> tuple[Wire, Wire]:
    bench.commands = Slow(bench.table)
    await bench.serve(groups=[replace(BMS, **group)])
    bench.set(bench.point("p", (1040, "uint16"), command=True), 0)
    bench.point("q", (1041, "uint16"), command=True)
    return await bench.connect(), await bench.connect()


async def test_masks_of_two_clients_at_once_are_both_in_the_register(bench: Bench) -> None:
    one, other = await two(bench)
    answers = await asyncio.gather(one.ask(mask(0xFFFE, 1)), other.ask(mask(0xFFFD, 2)))
    assert answers == [mask(0xFFFE, 1), mask(0xFFFD, 2)]
    assert await one.ask(read(1040, 1)) == bytes.fromhex("0302 0003")


async def test_a_mask_is_laid_on_what_another_client_just_wrote(bench: Bench) -> None:
    one, other = await two(bench)
    await asyncio.gather(one.ask(write6(0x1200)), other.ask(mask(0xFF00, 0x34)))
    assert await one.ask(read(1040, 1)) == bytes.fromhex("0302 1234")


async def test_23_reads_what_it_wrote_and_not_what_came_after(bench: Bench) -> None:
    one, other = await two(bench)
    both = struct.pack(">BHHHHBH", 23, 1040, 1, 1040, 1, 2, 7)
    answers = await asyncio.gather(one.ask(both), other.ask(write6(8)))
    assert answers == [bytes.fromhex("1702 0007"), write6(8)]
    assert await one.ask(read(1040, 1)) == bytes.fromhex("0302 0008")


async def test_a_turn_that_does_not_come_in_time_is_06_and_others_go_on(bench: Bench) -> None:
    one, other = await two(bench, answer_within_s=1.0)
    third = await bench.connect()
    bench.commands.gate = asyncio.Event()
    answers = await asyncio.gather(one.ask(write6(5)), other.ask(mask(0, 1)))
    assert answers == [b"\x86\x06", b"\x96\x06"]
    bench.commands.gate.set()
    assert await other.ask(mask(0xFFFE, 1)) == mask(0xFFFE, 1)
    assert await third.ask(read(1040, 1)) == bytes.fromhex("0302 0001")


async def test_ordinary_writes_wait_for_nobody_and_nothing_is_kept_of_them() -> None:
    turns, inside = Turns(), 0

    async def write(points: set[int]) -> None:
        nonlocal inside
        async with turns.take(points, alone=False):
            inside += 1
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert inside == 3
            await asyncio.sleep(0)

    await asyncio.gather(write({1, 2}), write({2}), write({2, 3}))
    assert not turns._writers
    assert not turns._alone
