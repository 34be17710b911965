"""Trend Log objects, and ReadRange octet by octet (ASHRAE 135 clauses 12.25 and 15.8)."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from rusty_bacnet import BACnetClient, ObjectIdentifier, ObjectType, PropertyValue

from gateway.addressing import PlacedDevice, PlacedObject, PlacedPoint, PlacedTrend
from gateway.app.trends import recorder_of
from gateway.core.point import ObjectSpec
from gateway.core.value import BAD, CONFIG_ERROR, GOOD, STALE, Sample
from gateway.engine.resource import Resource
from gateway.servers.bacnet.read_range import ReadRanges
from tests.servers.bacnet.campus import FIRST, running
from tests.servers.bacnet.rusty import P, Rusty
from tests.servers.bacnet.trends import (
    POINTS,
    ZONE,
    Raw,
    Reader,
    TrendBench,
    by_position,
    by_sequence,
    by_time,
    decode,
    place,
    read_range,
    trend_bench,
)

AMPS = ObjectIdentifier(ObjectType.TREND_LOG, 500)
ACCESS_DENIED, OUT_OF_RANGE, WRONG_TYPE = (2, 40), (2, 37), (2, 9)


@pytest.fixture
async def trends(tmp_path: Path) -> AsyncIterator[TrendBench]:
    async with trend_bench(tmp_path) as made:
        yield made


@pytest.fixture
def reader(trends: TrendBench, raw: Raw) -> Reader:
    return Reader(raw(trends.bench))


@pytest.fixture
def peer(trends: TrendBench, client: BACnetClient) -> Rusty:
    return Rusty(client, trends.bench.address)


def shown(at: float) -> tuple[int, ...]:
    """A time as a record shows it."""
    t = time.localtime(at)
    return t.tm_year, t.tm_mon, t.tm_mday, t.tm_wday + 1, t.tm_hour, t.tm_min, t.tm_sec, round(at % 1 * 100)


# -- the object ------------------------------------------------------------------------------------------------------


async def test_the_required_properties(trends: TrendBench, peer: Rusty) -> None:
    trends.minute(12.5)
    trends.minute(13.5)
    read = {prop: await peer.read(AMPS, prop) for prop in (P.LOG_ENABLE, P.STOP_WHEN_FULL, P.BUFFER_SIZE)}
    assert read == {P.LOG_ENABLE: True, P.STOP_WHEN_FULL: False, P.BUFFER_SIZE: 200}
    assert await peer.read(AMPS, P.RECORD_COUNT) == 2
    assert await peer.read(AMPS, P.TOTAL_RECORD_COUNT) == 2
    assert await peer.read(AMPS, P.LOGGING_TYPE) == 0
    assert await peer.read(AMPS, P.LOG_INTERVAL) == 6000
    assert await peer.read(AMPS, P.ALIGN_INTERVALS) is True
    assert await peer.read(AMPS, P.EVENT_STATE) == 0
    assert await peer.read(AMPS, P.OBJECT_NAME) == "evce.Zone B.amps.trend"
    listed = await peer.read(AMPS, P.PROPERTY_LIST)
    assert {126, 131, 132, 133, 141, 144, 145, 197} <= set(listed)


async def test_what_is_kept_is_named(trends: TrendBench, raw: Raw) -> None:
    client = raw(trends.bench)
    answer = await client.apdu("0005010c" + "0c" + f"{20 << 22 | 500:08x}" + "1984")  # Log_DeviceObjectProperty
    assert answer == "30010c" + "0c" + f"{20 << 22 | 500:08x}" + "1984" + "3e" + "0c00000032" + "1955" + "3f"


async def test_an_on_change_log_says_so(trends: TrendBench, peer: Rusty) -> None:
    log = ObjectIdentifier(ObjectType.TREND_LOG, 501)
    assert await peer.read(log, P.LOGGING_TYPE) == 1
    assert await peer.read(log, P.LOG_INTERVAL) == 0
    assert await peer.read(log, P.CLIENT_COV_INCREMENT) is None


async def test_the_device_lists_the_logs_and_what_is_executed(trends: TrendBench, peer: Rusty) -> None:
    device = ObjectIdentifier(ObjectType.DEVICE, 260001)
    objects = await peer.read(device, P.OBJECT_LIST)
    assert [o.instance for o in objects if o.object_type == ObjectType.TREND_LOG] == [500, 501, 502]
    services = await peer.read(device, P.PROTOCOL_SERVICES_SUPPORTED)
    types = await peer.read(device, P.PROTOCOL_OBJECT_TYPES_SUPPORTED)
    assert services["data"][35 // 8] >> (7 - 35 % 8) & 1 == 1
    assert types["data"][20 // 8] >> (7 - 20 % 8) & 1 == 1


async def test_the_buffer_is_read_by_read_range_only(trends: TrendBench, raw: Raw) -> None:
    client, key = raw(trends.bench), f"0c{20 << 22 | 500:08x}"
    assert await client.apdu(f"0005010c{key}1983") == "50010c9102911b"  # property, read-access-denied
    everything = await client.apdu(f"0005010e{key}1e09081f", 1.0)
    assert everything is not None
    assert "29835e9102911b5f" in everything  # beside the values of all other properties
    assert "298d4e" in everything


async def test_a_log_follows_the_name_of_its_point(trends: TrendBench, peer: Rusty) -> None:
    before = await peer.read(ObjectIdentifier(ObjectType.DEVICE, 260001), P.DATABASE_REVISION)
    place(trends, "amps", "North")
    assert await peer.read(AMPS, P.OBJECT_NAME) == "evce.North.amps.trend"
    after = await peer.read(ObjectIdentifier(ObjectType.DEVICE, 260001), P.DATABASE_REVISION)
    assert after == before + 1


# -- records -----------------------------------------------------------------------------------------------------------


async def test_records_say_value_time_and_quality(trends: TrendBench, reader: Reader) -> None:
    begin = trends.wall
    trends.minute(12.5)
    trends.minute(12.5, STALE)
    trends.minute(None, BAD)
    trends.minute(None, CONFIG_ERROR)
    trends.minute(1e39)
    page = await reader.page("amps")
    assert (page.flags, page.count, page.sequence) == ("110", 5, None)
    assert [(r.choice, r.value, r.flags) for r in page.records] == [
        (2, 12.5, "0000"),
        (2, 12.5, "1100"),
        (8, (0, 25), "1100"),  # device, operational-problem
        (8, (2, 132), "1100"),  # property, not-configured
        (8, (2, 37), "1100"),  # property, value-out-of-range: no Real is so large
    ]
    assert [r.at for r in page.records] == [shown(begin + 60 * minute) for minute in range(1, 6)]


async def test_states_are_recorded_in_their_own_datatypes(trends: TrendBench, reader: Reader) -> None:
    trends.bench.clock.now += 0.25
    at = trends.wall
    for plugged in (True, False):
        trends.set("plugged", plugged)
    for mode in (3, 0):
        trends.set("charge_mode", mode)
    plugged_page, mode_page = await reader.page("plugged"), await reader.page("charge_mode")
    assert [(r.choice, r.value) for r in plugged_page.records] == [(3, 1), (3, 0)]
    assert [(r.choice, r.value) for r in mode_page.records] == [(4, 3), (8, (0, 25))]
    assert plugged_page.records[0].at == shown(at)
    assert plugged_page.records[0].at[-1] == 25


async def test_notes_are_log_status_and_time_change(trends: TrendBench, reader: Reader, peer: Rusty) -> None:
    trends.minute(1.0)
    trends.bench.clock.now += 70  # nothing was recorded meanwhile
    trends.minute(2.0)
    assert await peer.write(AMPS, PropertyValue.boolean(False), prop=P.LOG_ENABLE) is None
    trends.minute(3.0)
    assert await peer.write(AMPS, PropertyValue.boolean(True), prop=P.LOG_ENABLE) is None
    page = await reader.page("amps")
    assert [(r.choice, r.value, r.flags) for r in page.records] == [
        (2, 1.0, "0000"),
        (0, "001", None),  # log-interrupted
        (2, 2.0, "0000"),
        (0, "100", None),  # log-disabled
        (0, "000", None),
    ]


# -- ranges ------------------------------------------------------------------------------------------------------------


async def twenty(trends: TrendBench) -> float:
    """Records 1 to 20 with the values 1.0 to 20.0; the time before the first one."""
    begin = trends.wall
    for minute in range(1, 21):
        trends.minute(float(minute))
    return begin


def numbers(low: int, high: int) -> list[float]:
    return [float(number) for number in range(low, high + 1)]


@pytest.mark.parametrize(
    ("index", "count", "flags", "low", "high"),
    [
        (1, 5, "100", 1, 5),
        (16, 5, "010", 16, 20),
        (16, 50, "010", 16, 20),
        (1, 20, "110", 1, 20),
        (10, 1, "000", 10, 10),
        (10, -1, "000", 10, 10),
        (10, -4, "000", 7, 10),
        (3, -9, "100", 1, 3),
        (20, -20, "110", 1, 20),
    ],
)
async def test_by_position(
    trends: TrendBench, reader: Reader, index: int, count: int, flags: str, low: int, high: int
) -> None:
    await twenty(trends)
    page = await reader.page("amps", by_position(index, count))
    assert (page.flags, page.values, page.sequence) == (flags, numbers(low, high), None)


async def test_by_sequence_number(trends: TrendBench, reader: Reader) -> None:
    await twenty(trends)
    for minute in range(21, 221):
        trends.minute(float(minute))  # of 200 that are kept, 21 is the first
    page = await reader.page("amps", by_sequence(21, 3))
    assert (page.flags, page.values, page.sequence) == ("100", numbers(21, 23), 21)
    page = await reader.page("amps", by_sequence(220, -3))
    assert (page.flags, page.values, page.sequence) == ("010", numbers(218, 220), 218)
    page = await reader.page("amps", by_sequence(100, 2))
    assert (page.flags, page.values, page.sequence) == ("000", numbers(100, 101), 100)


async def test_by_time(trends: TrendBench, reader: Reader) -> None:
    begin = await twenty(trends)
    page = await reader.page("amps", by_time(begin + 300, 3))  # newer than record 5
    assert (page.flags, page.values, page.sequence) == ("000", numbers(6, 8), 6)
    page = await reader.page("amps", by_time(begin + 300, -3))  # older than it
    assert (page.flags, page.values, page.sequence) == ("000", numbers(2, 4), 2)
    page = await reader.page("amps", by_time(begin + 299.99, 1))
    assert page.values == [5.0]
    page = await reader.page("amps", by_time(begin, 30000))
    assert (page.flags, page.values) == ("110", numbers(1, 20))
    page = await reader.page("amps", by_time(begin + 9999, -2))
    assert (page.flags, page.values, page.sequence) == ("010", numbers(19, 20), 19)


@pytest.mark.parametrize("where", ["beyond", "zero", "gone", "later", "before", "nothing yet"])
async def test_from_a_record_that_there_is_not_comes_nothing(trends: TrendBench, reader: Reader, where: str) -> None:
    begin = trends.wall
    if where != "nothing yet":
        begin = await twenty(trends)
    asked = {
        "beyond": by_position(21, -3),
        "zero": by_position(0, 5),
        "gone": by_sequence(21, -1),
        "later": by_time(begin + 1200, 5),
        "before": by_time(begin + 60, -5),
        "nothing yet": by_position(1, 1),
    }
    page = await reader.page("amps", asked[where])
    assert (page.flags, page.count, page.values, page.sequence) == ("000", 0, [], None)


@pytest.mark.parametrize(("apdu", "most"), [(0, 1), (1, 4), (3, 20), (5, 66)])
async def test_an_answer_holds_what_fits_the_clients_apdu(
    trends: TrendBench, reader: Reader, apdu: int, most: int
) -> None:
    await twenty(trends)
    for minute in range(21, 101):
        trends.minute(float(minute))
    whole = await reader.page("amps", apdu=apdu)
    assert (whole.flags, whole.values) == ("101", numbers(1, whole.count))
    assert most - 2 <= whole.count <= most
    newest = await reader.page("amps", by_sequence(100, -100), apdu=apdu)
    assert (newest.flags, newest.values) == ("011", numbers(101 - newest.count, 100)), "the named record is there"
    assert newest.sequence == 101 - newest.count


@pytest.mark.parametrize(
    ("answer", "rest", "more"),
    [
        ("501a9101911f", [], {"instance": 999}),  # object, unknown-object
        ("501a91029120", [], {"prop": 85}),  # property, unknown-property
        ("501a91059116", [], {"prop": 77}),  # services, property-is-not-a-list
        ("501a91059116", [], {"kind": 0, "instance": 50, "prop": 85}),
        ("501a91029132", [b"\x29\x01", by_position(1, 1)], {}),  # property, property-is-not-an-array
        ("6006", [by_position(1, 0)], {}),  # a count of 0
        ("6006", [by_time(0, 1)[:1] + b"\xa4\xff\xff\xff\xff\xb4\xff\xff\xff\xff" + by_time(0, 1)[11:]], {}),
        ("6004", [b"\x4e\x21\x01\x32\x00\x01\x4f"], {}),  # a range of another tag
        ("6005", [b"\x3e\x21\x01"], {}),  # missing parameter
        ("6007", [by_position(1, 1), b"\x00"], {}),  # too many arguments
    ],
)
async def test_errors_and_rejects(
    trends: TrendBench, reader: Reader, answer: str, rest: list[bytes], more: dict[str, int]
) -> None:
    await twenty(trends)
    found = await reader.refused(*rest, **more)
    assert (found if found.startswith("50") else found[:2] + found[-2:]) == answer


async def test_a_read_while_the_disk_is_slow_is_answered_in_time(
    trends: TrendBench, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    await twenty(trends)
    monkeypatch.setattr("gateway.servers.bacnet.read_range.ANSWER_WITHIN_S", 0.05)
    answered = threading.Event()
    monkeypatch.setattr(trends.recorder._archive._file, "records", lambda *_: answered.wait(20.0))
    try:
        assert await reader.refused(by_position(1, 5)) == "501a91009119"  # device, operational-problem
    finally:
        answered.set()


async def test_a_mutated_request_always_has_an_answer(trends: TrendBench) -> None:
    begin, chance = await twenty(trends), random.Random(7)
    ranges = ReadRanges(trends.bench.server._store)
    seeds = [
        read_range(500, *rest)[4:] for rest in ([], [by_position(3, 4)], [by_sequence(9, -4)], [by_time(begin, 5)])
    ]
    kinds = set()
    for _ in range(3000):
        body = bytearray(chance.choice(seeds))
        for _ in range(chance.randint(1, 3)):
            body[chance.randrange(len(body))] = chance.randrange(256)
        answer = await ranges.answer(26, 1, bytes(body[: chance.randint(1, 60)]), chance.choice((50, 480, 1476)))
        kinds.add(answer[0] >> 4)
    assert kinds == {3, 5, 6}


async def test_a_virtual_device_has_logs_of_its_own(tmp_path: Path) -> None:
    async with running(2) as (campus, router):
        bench = campus.bench
        recorder = recorder_of(tmp_path, bench.table, bench.clock, bench.alarms)
        await recorder.open()
        bench.server._board.history = recorder
        _, _, spec = POINTS["plugged"]
        for number in (0, 1):
            index = bench.table.add(f"evce/station/Bay {number}/plugged", spec)
            target = PlacedObject("binary-input", 50, ObjectSpec("binary-input", 0))
            device = PlacedDevice(FIRST + number, f"evce/station/Bay {number}")
            trend = PlacedTrend(501, target)
            point = PlacedPoint(f"{device.label}/plugged", spec, (), (target,), trend, device)
            recorder.learn(Resource("evce", ZONE, device.label, "1", None, block=number), [(index, point)])
            bench.server.place([(index, point)])
            bench.table.update([(index, Sample(bool(number), GOOD, "", 0.0))])
        for number in (0, 1):
            heard = await router.ask(number, read_range(501), wait_s=2.0)
            assert heard is not None
            assert heard.device == FIRST + number
            assert decode(heard.body, 501).values == [number]
        await recorder.close()


# -- writes ------------------------------------------------------------------------------------------------------------


async def test_a_log_is_emptied_by_writing_its_record_count(trends: TrendBench, peer: Rusty, reader: Reader) -> None:
    await twenty(trends)
    assert await peer.write(AMPS, PropertyValue.unsigned(7), prop=P.RECORD_COUNT) == OUT_OF_RANGE
    assert await peer.write(AMPS, PropertyValue.unsigned(0), prop=P.RECORD_COUNT) is None
    assert await peer.read(AMPS, P.RECORD_COUNT) == 1
    assert await peer.read(AMPS, P.TOTAL_RECORD_COUNT) == 21
    assert [r.value for r in (await reader.page("amps")).records] == ["010"]  # buffer-purged


async def test_nothing_else_of_a_log_is_written(trends: TrendBench, peer: Rusty) -> None:
    assert await peer.write(AMPS, PropertyValue.real(1.0), prop=P.LOG_ENABLE) == WRONG_TYPE
    for prop, value in (
        (P.LOG_BUFFER, PropertyValue.unsigned(0)),
        (P.BUFFER_SIZE, PropertyValue.unsigned(5)),
        (P.STOP_WHEN_FULL, PropertyValue.boolean(True)),
        (P.LOG_INTERVAL, PropertyValue.unsigned(5)),
        (P.TOTAL_RECORD_COUNT, PropertyValue.unsigned(0)),
    ):
        assert await peer.write(AMPS, value, prop=prop) == ACCESS_DENIED


async def test_only_the_write_networks_stop_or_empty_a_log(tmp_path: Path, client: BACnetClient) -> None:
    async with trend_bench(tmp_path, networks=["10.0.0.0/24"]) as trends:
        peer = Rusty(client, trends.bench.address)
        trends.minute(1.0)
        assert await peer.write(AMPS, PropertyValue.boolean(False), prop=P.LOG_ENABLE) == ACCESS_DENIED
        assert await peer.write(AMPS, PropertyValue.unsigned(0), prop=P.RECORD_COUNT) == ACCESS_DENIED
        assert await peer.read(AMPS, P.RECORD_COUNT) == 1
