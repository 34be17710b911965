"""What independent clients and Wireshark make of Trend Logs: rusty-bacnet, @bacnet-js/client, tshark."""

from __future__ import annotations

import shutil
import struct
import time
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest
from rusty_bacnet import BACnetClient, ObjectIdentifier, ObjectType, decode_log_records

from gateway.core.value import BAD, CONFIG_ERROR, GOOD, STALE, Quality
from tests.servers.bacnet.conftest import Node
from tests.servers.bacnet.rusty import P
from tests.servers.bacnet.trends import (
    LOGS,
    Raw,
    TrendBench,
    by_position,
    by_sequence,
    by_time,
    datagram,
    read_range,
    trend_bench,
)
from tests.site import run_program

AMPS = ObjectIdentifier(ObjectType.TREND_LOG, LOGS["amps"])
PORT = 47808


@pytest.fixture
async def trends(tmp_path: Path) -> AsyncIterator[TrendBench]:
    async with trend_bench(tmp_path) as made:
        yield made


def fill(trends: TrendBench, count: int, odd: dict[int, Quality] | None = None) -> float:
    """Records 1 to `count` with their numbers as values, some of another quality; the time before the first."""
    begin = trends.wall
    for number in range(1, count + 1):
        quality = (odd or {}).get(number, GOOD)
        trends.minute(float(number) if quality <= STALE else None, quality)
    return begin


def pair(at: float) -> tuple[tuple[int, ...], tuple[int, ...]]:
    t = time.localtime(at)
    return (t.tm_year, t.tm_mon, t.tm_mday, t.tm_wday + 1), (t.tm_hour, t.tm_min, t.tm_sec, 0)


async def test_rusty_reads_the_whole_log_page_by_page(trends: TrendBench, client: BACnetClient) -> None:
    begin = fill(trends, 150, {98: STALE, 99: BAD, 100: CONFIG_ERROR})
    trends.bench.clock.now += 90  # nothing was recorded meanwhile
    trends.minute(152.0)
    found, cursor, pages = [], None, 0
    while True:
        page = await client.read_log_page(trends.bench.address, AMPS, cursor, 40)
        assert (page["violations"], page["gap"]) == ([], None)
        found += page["records"]
        pages += 1
        if page["done"]:
            break
        cursor = page["next"]
    assert pages == 4
    assert [r["timestamp"] for r in found[:150]] == [pair(begin + 60 * n) for n in range(1, 151)]
    datums = [r["datum"] for r in found]
    assert [d["real"] for d in datums[:98]] == [float(n) for n in range(1, 99)]
    assert [r["status_flags"] for r in found[96:99]] == [0, 12, 12]  # in alarm and fault
    assert [d["failure"] for d in datums[98:100]] == [(0, 25), (2, 132)]
    assert datums[150] == {"kind": "log_status", "log_status": 4}  # log-interrupted
    assert datums[151]["real"] == 152.0


async def test_rusty_reads_by_position_sequence_and_time(trends: TrendBench, client: BACnetClient) -> None:
    begin = fill(trends, 20)
    where = trends.bench.address, AMPS, P.LOG_BUFFER

    async def values(**asked: object) -> tuple[list[float], tuple[bool, ...], int | None]:
        result = await client.read_range(*where, **asked, validation="strict")
        reals = [record["datum"]["real"] for record in decode_log_records(result)]
        return reals, result["result_flags"], result["first_sequence_number"]

    inside, end = (False, False, False), (False, True, False)
    assert await values(range_type="position", reference_index=5, count=3) == ([5.0, 6.0, 7.0], inside, None)
    assert await values(range_type="sequence", reference_seq=20, count=-2) == ([19.0, 20.0], end, 19)
    moment = datetime.fromtimestamp(begin + 600)  # noqa: DTZ006  # the device's local time
    assert await values(range_type="time", reference_time=moment, count=2) == ([11.0, 12.0], inside, 11)
    assert await values(range_type="time", reference_time=moment, count=-2) == ([8.0, 9.0], inside, 8)


async def test_js_reads_by_position(trends: TrendBench, node: Node) -> None:
    """The client has neither the other two ranges nor failures; it names the four flags in the wrong order."""
    begin = fill(trends, 20, {7: STALE})
    first, last = await node(
        trends.bench,
        [["readRange", {"type": 20, "instance": 500}, 6, 3], ["readRange", {"type": 20, "instance": 500}, 20, -20]],
    )
    assert (first["itemCount"], first["resultFlag"]) == (3, {"value": [0], "bitsUsed": 3})
    assert [record["value"] for record in first["values"]] == [6, 7, 8]
    assert [record["status"]["overridden"] for record in first["values"]] == [False, True, False]
    seconds = [datetime.fromisoformat(record["timestamp"]).timestamp() for record in first["values"]]
    assert seconds == [begin + 60 * number for number in (6, 7, 8)]
    assert [record["value"] for record in last["values"]] == list(range(1, 21))
    assert last["resultFlag"]["value"] == [3]  # first and last item


async def test_the_log_of_the_last_run_is_read_after_a_restart(tmp_path: Path, client: BACnetClient) -> None:
    async with trend_bench(tmp_path) as before:
        fill(before, 5)
        ended = before.bench.clock.now
    async with trend_bench(tmp_path, now=ended) as after:
        after.minute(6.0)
        page = await client.read_log_page(after.bench.address, AMPS)
        datums = [record["datum"] for record in page["records"]]
        assert [d.get("real", d["kind"]) for d in datums] == [1.0, 2.0, 3.0, 4.0, 5.0, "log_status", 6.0]
        assert page["done"]
        assert await client.read_property(after.bench.address, AMPS, P.TOTAL_RECORD_COUNT)


async def test_wireshark_finds_nothing_malformed(trends: TrendBench, raw: Raw, tmp_path: Path) -> None:
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed")
    begin = fill(trends, 100, {7: STALE, 8: BAD, 9: CONFIG_ERROR})
    trends.set("plugged", True)
    trends.set("charge_mode", 2)
    trends.bench.clock.now += 90
    trends.minute(5.0)
    client, frames = raw(trends.bench), []
    asked = [
        read_range(LOGS["amps"]),
        read_range(LOGS["amps"], by_position(5, 10)),
        read_range(LOGS["amps"], by_sequence(102, -5)),
        read_range(LOGS["amps"], by_time(begin + 300, 5), apdu=1),
        read_range(LOGS["amps"], by_position(500, 5)),
        read_range(LOGS["plugged"]),
        read_range(LOGS["charge_mode"]),
        read_range(LOGS["amps"], prop=85),
    ]
    for request in asked:
        answer = await client.ask(datagram(request), 2.0)
        assert answer is not None
        frames += [datagram(request), answer]
    file = tmp_path / "trends.pcap"
    file.write_bytes(capture(frames))
    fields = ["-T", "fields", "-e", "_ws.malformed", "-e", "_ws.expert.message", "-e", "bacapp.confirmed_service"]
    code, out, err = await run_program("tshark", "-r", str(file), *fields)
    assert code == 0, err
    assert out.splitlines() == ["\t\t26"] * len(frames)
    _, details, _ = await run_program("tshark", "-r", str(file), "-V")
    assert details.count("log-interrupted") + details.count("Log Interrupted") >= 1


def capture(frames: list[bytes]) -> bytes:
    """A capture file of UDP datagrams to and from the BACnet port (raw IP, link type 101)."""
    out = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
    for number, data in enumerate(frames):
        udp = struct.pack(">HHHH", PORT, PORT, 8 + len(data), 0) + data
        head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), number, 0, 64, 17, 0) + bytes((127, 0, 0, 1)) * 2
        packet = head + udp
        out += struct.pack("<IIII", number, 0, len(packet), len(packet)) + packet
    return out
