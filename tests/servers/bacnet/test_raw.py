"""Octets that no proper client sends: every confirmed request gets Reject or Abort, everything else silence."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable

import pytest

from tests.servers.bacnet.conftest import Bench, RawClient, unicast

Raw = Callable[[Bench], RawClient]
READ = "0205 01 0c 0c00000000 1955"
READ_DEVICE_LIST = "02750b0c0c023fffff194c"


def reject(reason: int, invoke: int = 1) -> str:
    return bytes((0x60, invoke, reason)).hex()


MISSING, INVALID_TAG, OUT_OF_RANGE, TOO_MANY, UNRECOGNIZED = 5, 4, 6, 7, 9


@pytest.fixture
async def sent(bench: Bench, raw: Raw, caplog: pytest.LogCaptureFixture):
    """Sends APDUs to the bench; nothing may be logged, and the server must still answer afterwards."""
    client = raw(bench)
    caplog.set_level(logging.WARNING)
    yield client
    assert (await client.apdu(READ)).startswith("30010c")
    assert [record.getMessage() for record in caplog.records] == []


@pytest.mark.parametrize(
    ("apdu", "answer"),
    [
        ("0205 01 0c", reject(MISSING)),
        ("0205 01 0c 0c0000", reject(MISSING)),
        ("0205 01 0c 0c00000000", reject(MISSING)),
        ("0205 01 0c 0b000000 1955", reject(INVALID_TAG)),
        ("0205 01 0c 1c00000000 1955", reject(INVALID_TAG)),
        ("0205 01 0c 0c00000000 1955 00", reject(TOO_MANY)),
        ("0205 01 0c 0c00000000 1d0a", reject(MISSING)),
        ("0205 01 0c 0dffffffffff", reject(MISSING)),
        ("0205 01 0e", reject(MISSING)),
        ("0205 01 0e 0c00000000 1e0955", reject(MISSING)),
        ("0205 01 0e 0c00000000 1e1f", reject(INVALID_TAG)),
        ("0205 01 0e 0c00000000 1e09551f 00", reject(INVALID_TAG)),
        ("0205 01 0f", reject(MISSING)),
        ("0205 01 0f 0c00800007 1955", reject(MISSING)),
        ("0205 01 0f 0c00800007 1955 3e", reject(MISSING)),
        ("0205 01 0f 0c00800007 1955 3e3f", reject(MISSING)),
        ("0205 01 0f 0c00800007 1955 3e4442000000", reject(MISSING)),
        ("0205 01 0f 0c00800007 1955 3e44420000003f 4908 00", reject(TOO_MANY)),
        ("0205 01 0f 0c00800007 1955 3e44420000003f 4900", reject(OUT_OF_RANGE)),
        ("0205 01 0f 0c00800007 1955 3e44420000003f 4911", reject(OUT_OF_RANGE)),
        ("0205 01 0f 0c00800007 1955 3e" + "2e" * 200, reject(1)),
        ("0205 01 0f 0c00800007 1955 3e2e3f", reject(INVALID_TAG)),
        ("0205 01 10 0c00800007", reject(MISSING)),
        ("0205 01 10 0c00800007 1e0955", reject(MISSING)),
        ("0205 01 05 0901", reject(MISSING)),
        ("0205 01 05 09011c00000000 3901", reject(MISSING)),
        ("0205 01 11", reject(MISSING)),
        ("0205 01 11 1903", reject(8)),
        ("0205 01 11 0b010000 1902", reject(OUT_OF_RANGE)),
        ("0205 01 11 1902 2d16" + "00" + "41" * 21, reject(OUT_OF_RANGE)),
        ("0205 01 1c 0901 1c00000000", reject(MISSING)),
        ("0205 01 14 0900", reject(UNRECOGNIZED)),
        ("0205 01 1b", reject(UNRECOGNIZED)),
        ("0205 01 1e 00", reject(UNRECOGNIZED)),
        ("0205 01 63", reject(UNRECOGNIZED)),
        ("0205 01", reject(MISSING)),
        ("020f 01 0c 0c00000000 1955", "710100"),
    ],
)
async def test_a_malformed_request_is_rejected(bench: Bench, sent: RawClient, apdu: str, answer: str) -> None:
    assert await sent.apdu(apdu) == answer
    assert bench.commands.asks == []


async def test_a_constructed_or_second_value_is_a_wrong_datatype(sent: RawClient) -> None:
    error = "50010f91029109"
    assert await sent.apdu("0205 01 0f 0c00800007 1955 3e 2e4442000000 2f 3f 4908") == error
    assert await sent.apdu("0205 01 0f 0c00800007 1955 3e 4442000000 4442000000 3f 4908") == error
    assert await sent.apdu("0205 01 0f 0c00800007 1955 3e 434200 00 3f 4908") == error


async def test_broadcast_confirmed_requests_get_no_answer(sent: RawClient) -> None:
    read = bytes.fromhex(READ)
    assert await sent.ask(unicast(read, function=0x0B)) is None
    assert await sent.ask(unicast(read, npci=bytes.fromhex("0124ffff00ff"))) is None


async def test_silence_for_what_asks_nothing(sent: RawClient) -> None:
    read = bytes.fromhex(READ)
    for datagram in (
        b"",
        b"\x81",
        b"\x82\x0a\x00\x04",
        b"\x81\x0a\x00\x04",
        unicast(b""),
        unicast(b"\x02"),
        unicast(b"\x02\x05"),
        unicast(read)[:-3],
        unicast(read, npci=b"\x02\x04"),
        unicast(b"\xff", npci=bytes.fromhex("010c0001")),
        unicast(bytes.fromhex("2001 0c")),
        unicast(bytes.fromhex("300100")),
        unicast(bytes.fromhex("40010001")),
        unicast(bytes.fromhex("700100")),
        unicast(bytes.fromhex("1008 09ff")),
        unicast(bytes.fromhex("1008 0900 1900 29")),
        unicast(bytes.fromhex("1007")),
        unicast(bytes.fromhex("1007 2c00ffffff")),
        unicast(bytes.fromhex("10")),
        unicast(bytes.fromhex("f0010203")),
    ):
        assert await sent.ask(datagram, 0.03) is None, datagram.hex()


async def test_ten_thousand_mutations(bench: Bench, raw: Raw, caplog: pytest.LogCaptureFixture) -> None:
    """B02: whatever comes, nothing is logged, nothing piles up, and the server goes on."""
    client = raw(bench)
    seeds = [bytes.fromhex(text) for text in (READ, READ_DEVICE_LIST, "0205010e0c000000001e095509671f")]
    seeds += [bytes.fromhex("0205010f0c0080000719553e44420000003f4908"), bytes.fromhex("1008"), b"\x40\x01\x00\x02"]
    seeds += [bytes.fromhex("0a7501000 20f0c00".replace(" ", ""))]
    dice = random.Random(7)
    for number in range(10_000):
        octets = bytearray(unicast(dice.choice(seeds)))
        for _ in range(dice.randint(1, 4)):
            octets[dice.randrange(len(octets))] = dice.randrange(256)
        if dice.random() < 0.3:
            octets = octets[: dice.randrange(len(octets))]
        elif dice.random() < 0.7:
            octets[2:4] = len(octets).to_bytes(2, "big")
        client.send(bytes(octets))
        if number % 50 == 0:
            await asyncio.sleep(0)
            while await client.receive(0.001):
                pass
    await asyncio.sleep(0.1)
    while await client.receive(0.01):
        pass
    assert (await client.apdu(READ, 1.0)).startswith("30010c")
    assert [record.getMessage() for record in caplog.records] == []


async def test_a_client_without_segmentation_is_told(bench: Bench, raw: Raw) -> None:
    for number in range(400):
        bench.add(f"evce/zone/Z{number}/p", "analog-input", 100 + number, bench.table.specs[0])
    client = raw(bench)
    assert await client.apdu("0005 01 0c 0c023fffff 194c") == "710104"


async def test_segments_are_no_longer_than_the_client_can_take(bench: Bench, raw: Raw) -> None:
    for number in range(400):
        bench.add(f"evce/zone/Z{number}/p", "analog-input", 100 + number, bench.table.specs[0])
    client = raw(bench)
    answer = bytes.fromhex(await client.apdu("0273 01 0c 0c023fffff 194c"))
    data = b""
    sequence = 0
    while True:
        assert len(answer) <= 480
        assert (answer[0] & 0xF8, answer[1], answer[2], answer[4]) == (0x38, 1, sequence, 0x0C)
        data += answer[5:]
        if not answer[0] & 0x04:
            break
        sequence += 1
        answer = bytes.fromhex(await client.apdu(bytes((0x40, 1, sequence - 1, 1))))
    assert await client.apdu(bytes((0x40, 1, sequence, 1))) is None
    assert len(data) == 5 + 2 + 2 + 5 * (402 + len(bench.index))
    assert data[:8].hex() == "0c0203f7a1194c3e"


async def test_a_lost_segment_is_sent_again(bench: Bench, raw: Raw) -> None:
    for number in range(400):
        bench.add(f"evce/zone/Z{number}/p", "analog-input", 100 + number, bench.table.specs[0])
    client = raw(bench)
    first = await client.apdu("0275 01 0c 0c023fffff 194c")
    assert first is not None
    assert first[4:6] == "00"
    second = await client.apdu(bytes((0x40, 1, 0, 4)))
    assert second is not None
    assert second[:6] == "380101"
    assert await client.apdu(bytes((0x42, 1, 0, 4)), 3.0) == second
    assert await client.apdu(bytes((0x40, 1, 1, 4))) is None


async def test_the_first_segment_is_repeated_without_an_acknowledgement(bench: Bench, raw: Raw) -> None:
    for number in range(400):
        bench.add(f"evce/zone/Z{number}/p", "analog-input", 100 + number, bench.table.specs[0])
    client = raw(bench)
    first = await client.apdu("0275 01 0c 0c023fffff 194c")
    assert (await client.receive(3.0))[6:].hex() == first


async def test_a_segmented_request_is_put_together(bench: Bench, raw: Raw) -> None:
    client = raw(bench)
    body = bytes.fromhex("0c00800007 1955 3e44420000003f 4908")
    assert await client.apdu(bytes((0x0E, 0x75, 5, 0, 2, 15)) + body[:9]) == "41050001"
    client.send(unicast(bytes((0x0A, 0x75, 5, 1, 2, 15)) + body[9:]))
    assert (await client.receive())[6:].hex() == "41050101"
    assert (await client.receive())[6:].hex() == "20050f"
    assert [ask.value for ask, _ in bench.commands.asks] == [32.0]


async def test_a_repeated_write_is_carried_out_once(bench: Bench, raw: Raw) -> None:
    bench.commands.delay_s = 0.1
    client = raw(bench)
    write = unicast(bytes.fromhex("0205 07 0f 0c00800007 1955 3e44420000003f 4908"))
    for _ in range(3):
        client.send(write)
    assert (await client.receive())[6:].hex() == "20070f"
    assert await client.receive() is None
    assert len(bench.commands.asks) == 1


async def test_a_fault_of_ours_is_an_abort_and_one_log_line(bench, raw, caplog) -> None:
    bench.commands.refuse = RuntimeError("a bug")
    client = raw(bench)
    for _ in range(5):
        assert await client.apdu("0205 07 0f 0c00800007 1955 3e44420000003f 4908") == "710700"
    assert len(caplog.records) == 1


async def test_a_routed_client_is_answered_through_its_router(bench: Bench, raw: Raw) -> None:
    client = raw(bench)
    npci = bytes.fromhex("010c 0007 01 2a")
    answer = await client.ask(unicast(bytes.fromhex(READ), npci=npci))
    assert answer is not None
    assert answer[4:].startswith(bytes.fromhex("0120 0007 01 2a ff 30010c"))
    write = unicast(bytes.fromhex("0205 01 0f 0c00800007 1955 3e44420000003f 4908"), npci=npci)
    assert (await client.ask(write))[-3:].hex() == "20010f"
    assert "7:2a via 127.0.0.1:" in bench.commands.asks[0][1].client


async def test_a_routed_client_is_judged_by_its_router(read_only: Bench, raw: Raw) -> None:
    write = bytes.fromhex("0205 01 0f 0c00800007 1955 3e44420000003f 4908")
    answer = await raw(read_only).ask(unicast(write, npci=bytes.fromhex("010c 0007 01 2a")))
    assert answer is not None
    assert answer[-7:].hex() == "50010f91029128"


async def test_who_has(bench: Bench, raw: Raw) -> None:
    client = raw(bench)
    i_have = bytes.fromhex("1001 c40203f7a1 c400000000") + b"\x75\x14\x00evce.Zone B.current"
    assert await client.apdu("1007 2c00000000") == i_have.hex()
    assert await client.apdu(b"\x10\x07\x3d\x14\x00evce.Zone B.current") == i_have.hex()
    assert await client.apdu(bytes.fromhex("1007 0900 1901 2c00000000")) is None


async def test_other_bvlc_functions_are_refused(bench: Bench, raw: Raw) -> None:
    client = raw(bench)
    assert await client.ask(bytes.fromhex("8102 0004")) == bytes.fromhex("8100 0006 0020")
    assert await client.ask(bytes.fromhex("8105 0006 003c")) == bytes.fromhex("8100 0006 0030")
