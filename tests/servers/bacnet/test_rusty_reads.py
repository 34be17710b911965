"""What an independent client written in Rust (rusty-bacnet) reads from the server."""

from __future__ import annotations

import asyncio
import math

import pytest
from rusty_bacnet import BacnetProtocolError, BacnetRejectError, ObjectIdentifier

from gateway.addressing import PlacedObject, PlacedPoint
from gateway.core.point import ObjectSpec, PointSpec
from gateway.core.value import BAD, CONFIG_ERROR, STALE, ValueKind
from tests.servers.bacnet.rusty import (
    CHARGING,
    CURRENT,
    DEVICE,
    ENABLE,
    ENERGY,
    LIMIT,
    MODE,
    NOTE,
    PORT,
    RELEASE,
    STATE,
    P,
    T,
)

FINE, FAULT = b"\x00", b"\xc0"


async def test_values_of_every_datatype(bench, rusty):
    for point, value in {"current": 12.5, "charging": True, "state": 2, "note": "Ladesäule", "limit": 32.0}.items():
        bench.set(point, value)
    assert await rusty.state(CURRENT) == (12.5, 0, FINE)
    assert await rusty.state(CHARGING) == (1, 0, FINE)
    assert await rusty.state(STATE) == (2, 0, FINE)
    assert await rusty.state(NOTE) == ("Ladesäule", 0, FINE)
    assert await rusty.state(LIMIT) == (32.0, 0, FINE)


async def test_a_point_never_read_is_not_zero(rusty):
    value, reliability, flags = await rusty.state(CURRENT)
    assert math.isnan(value)
    assert (reliability, flags) == (12, FAULT)
    assert await rusty.state(STATE) == (1, 12, FAULT)
    assert await rusty.state(CHARGING) == (0, 12, FAULT)
    assert await rusty.state(NOTE) == ("", 12, FAULT)
    assert await rusty.read(CURRENT, P.EVENT_STATE) == 1


async def test_stale_keeps_the_value_and_says_so(bench, rusty):
    bench.set("current", 12.5, STALE, "no answer")
    assert await rusty.state(CURRENT) == (12.5, 12, FAULT)


@pytest.mark.parametrize(
    ("quality", "reason", "reliability"),
    [(BAD, "no answer", 12), (BAD, "over-range: 9 is outside 0..1", 2), (CONFIG_ERROR, "unit changed", 10)],
)
async def test_bad_is_nan_for_analog_and_the_last_state_for_others(bench, rusty, quality, reason, reliability):
    for point, value in {"current": 12.5, "energy": 7.0, "state": 3, "charging": True, "note": "x"}.items():
        bench.set(point, value)
        bench.set(point, None, quality, reason)
    value, *rest = await rusty.state(CURRENT)
    assert math.isnan(value)
    assert rest == [reliability, FAULT]
    assert await rusty.state(ENERGY) == (7.0, reliability, FAULT)
    assert await rusty.state(STATE) == (3, reliability, FAULT)
    assert await rusty.state(CHARGING) == (1, reliability, FAULT)
    assert await rusty.state(NOTE) == ("x", reliability, FAULT)


async def test_an_unknown_text_keeps_the_last_state_with_multi_state_fault(bench, rusty):
    bench.set("state", 2)
    bench.set("state", 0, reason="unknown text 'Weird'")
    assert await rusty.state(STATE) == (2, 9, FAULT)
    bench.set("state", 3)
    assert await rusty.state(STATE) == (3, 0, FINE)


async def test_a_commandable_value_is_shown_whatever_its_quality(bench, rusty):
    bench.set("limit", 32.0)
    bench.set("limit", None, BAD, "no answer")
    assert await rusty.state(LIMIT) == (32.0, 12, FAULT)


async def test_a_number_beyond_single_precision_is_over_range(bench, rusty):
    bench.set("current", 1e300)
    value, reliability, flags = await rusty.state(CURRENT)
    assert math.isnan(value)
    assert (reliability, flags) == (2, FAULT)


async def test_properties_of_a_point(rusty):
    assert await rusty.read(CURRENT, P.OBJECT_NAME) == "evce.Zone B.current"
    assert await rusty.read(CURRENT, P.DESCRIPTION) == "Current of the zone"
    assert await rusty.read(ENERGY, P.DESCRIPTION) == "evce/zone/Zone B/energy"
    assert await rusty.read(CURRENT, P.UNITS) == 3
    assert await rusty.read(ENERGY, P.UNITS) == 19
    assert await rusty.read(CURRENT, P.COV_INCREMENT) == pytest.approx(0.1)
    assert await rusty.read(LIMIT, P.MIN_PRES_VALUE) == 0.0
    assert await rusty.read(LIMIT, P.MAX_PRES_VALUE) == 250.0
    assert await rusty.read(STATE, P.NUMBER_OF_STATES) == 3
    assert await rusty.read(STATE, P.STATE_TEXT) == ["Free", "Busy", "Fault"]
    assert await rusty.read(STATE, P.STATE_TEXT, 0) == 3
    assert await rusty.read(STATE, P.STATE_TEXT, 2) == "Busy"
    assert await rusty.read(CHARGING, P.ACTIVE_TEXT) == "on"
    assert await rusty.read(CHARGING, P.INACTIVE_TEXT) == "off"
    assert await rusty.read(CHARGING, P.POLARITY) == 0
    assert await rusty.read(CURRENT, P.OUT_OF_SERVICE) is False


@pytest.mark.parametrize("obj", [CURRENT, CHARGING, STATE, NOTE, LIMIT, MODE, ENABLE, RELEASE, DEVICE, PORT])
async def test_every_listed_property_can_be_read(rusty, obj):
    listed = await rusty.read(obj, P.PROPERTY_LIST)
    everything = [P.OBJECT_IDENTIFIER, P.OBJECT_NAME, P.OBJECT_TYPE, *(P.from_raw(prop) for prop in listed)]
    for prop in everything:
        await rusty.read(obj, prop)
    (result,) = await rusty.client.read_property_multiple(rusty.address, [(obj, [(P.ALL, None)])])
    assert sorted(each["property_id"].to_raw() for each in result["results"]) == sorted(
        prop.to_raw() for prop in everything
    )
    assert [each["error"] for each in result["results"]] == [None] * len(everything)


async def test_device_object(bench, rusty):
    wildcard = ObjectIdentifier(T.DEVICE, 4194303)
    assert await rusty.read(wildcard, P.OBJECT_NAME) == "EV Gateway"
    expected = {
        P.SYSTEM_STATUS: 0,
        P.VENDOR_NAME: "EVCE gateway",
        P.VENDOR_IDENTIFIER: 999,
        P.FIRMWARE_REVISION: "1.2.3",
        P.APPLICATION_SOFTWARE_VERSION: "1.2.3",
        P.PROTOCOL_VERSION: 1,
        P.PROTOCOL_REVISION: 22,
        P.MAX_APDU_LENGTH_ACCEPTED: 1476,
        P.SEGMENTATION_SUPPORTED: 0,
        P.MAX_SEGMENTS_ACCEPTED: 64,
        P.APDU_TIMEOUT: 3000,
        P.NUMBER_OF_APDU_RETRIES: 3,
        P.LOCATION: "Car Park",
    }
    assert {prop: await rusty.read(DEVICE, prop) for prop in expected} == expected
    services = bits(await rusty.read(DEVICE, P.PROTOCOL_SERVICES_SUPPORTED))
    assert services == [0, 3, 5, 8, 9, 12, 14, 15, 16, 17, 32, 33, 34, 35, 36, 38, 39]
    types = bits(await rusty.read(DEVICE, P.PROTOCOL_OBJECT_TYPES_SUPPORTED))
    assert types == [0, 1, 2, 3, 4, 5, 8, 13, 14, 15, 19, 20, 40, 56]
    assert await rusty.read(PORT, P.BACNET_IP_UDP_PORT) == bench.server.port
    assert await rusty.read(PORT, P.MAC_ADDRESS) == b"\x7f\x00\x00\x01" + bench.server.port.to_bytes(2, "big")


def bits(value) -> list[int]:
    count = len(value["data"]) * 8 - value["unused_bits"]
    return [bit for bit in range(count) if value["data"][bit // 8] & (0x80 >> bit % 8)]


async def test_objects_added_later_are_listed_and_raise_the_revision(bench, rusty):
    revision = await rusty.read(DEVICE, P.DATABASE_REVISION)
    count = await rusty.read(DEVICE, P.OBJECT_LIST, 0)
    points = []
    for number in range(2000):
        spec = PointSpec(name="p", kind=ValueKind.NUMBER)
        name = f"evce/station/S{number}/p"
        points.append((bench.table.add(name, spec), spec, name, number))
    bench.server.place(
        [
            (index, PlacedPoint(name, spec, (), (PlacedObject("analog-input", 5000 + n, ObjectSpec("", 0)),)))
            for index, spec, name, n in points
        ]
    )
    listed = await rusty.read(DEVICE, P.OBJECT_LIST)
    assert len(listed) == await rusty.read(DEVICE, P.OBJECT_LIST, 0) == count + 2000
    assert listed[:3] == [DEVICE, PORT, CURRENT]
    assert listed[-1] == await rusty.read(DEVICE, P.OBJECT_LIST, count + 2000) == ObjectIdentifier(T.ANALOG_INPUT, 6999)
    assert await rusty.read(DEVICE, P.DATABASE_REVISION) == revision + 1


@pytest.mark.parametrize(
    ("obj", "prop", "index", "error"),
    [
        (ObjectIdentifier(T.ANALOG_INPUT, 99), P.PRESENT_VALUE, None, (1, 31)),
        (ObjectIdentifier(T.DEVICE, 1), P.OBJECT_NAME, None, (1, 31)),
        (CURRENT, P.PRIORITY_ARRAY, None, (2, 32)),
        (CURRENT, P.PRESENT_VALUE, 1, (2, 50)),
        (STATE, P.STATE_TEXT, 4, (2, 42)),
        (LIMIT, P.PRIORITY_ARRAY, 17, (2, 42)),
        (DEVICE, P.OBJECT_LIST, 9999, (2, 42)),
    ],
)
async def test_read_errors(rusty, obj, prop, index, error):
    with pytest.raises(BacnetProtocolError) as caught:
        await rusty.read(obj, prop, index)
    assert (caught.value.error_class, caught.value.error_code) == error


async def test_multiple_reads_answer_in_request_order_with_errors_beside_values(bench, rusty):
    bench.set("current", 1.5)
    missing = ObjectIdentifier(T.ANALOG_INPUT, 99)
    specs = [
        (LIMIT, [(P.UNITS, None), (P.ARCHIVE, None)]),
        (missing, [(P.PRESENT_VALUE, None)]),
        (CURRENT, [(P.PRESENT_VALUE, None)]),
    ]
    results = await rusty.client.read_property_multiple(rusty.address, specs)
    assert [each["object_id"] for each in results] == [LIMIT, missing, CURRENT]
    assert [str(each["error"]) if each["error"] else each["value"].value for r in results for each in r["results"]] == [
        3,
        "(ErrorClass.PROPERTY, ErrorCode.UNKNOWN_PROPERTY)",
        "(ErrorClass.OBJECT, ErrorCode.UNKNOWN_OBJECT)",
        1.5,
    ]


async def test_required_and_optional(rusty):
    specs = [(LIMIT, [(P.REQUIRED, None)]), (LIMIT, [(P.OPTIONAL, None)])]
    required, optional = await rusty.client.read_property_multiple(rusty.address, specs)
    names = [each["property_id"] for each in required["results"]]
    assert names == [
        P.OBJECT_IDENTIFIER,
        P.OBJECT_NAME,
        P.OBJECT_TYPE,
        P.PRESENT_VALUE,
        P.STATUS_FLAGS,
        P.EVENT_STATE,
        P.OUT_OF_SERVICE,
        P.UNITS,
    ]
    assert P.PRIORITY_ARRAY in [each["property_id"] for each in optional["results"]]


async def test_unserved_services_are_rejected(rusty):
    with pytest.raises(BacnetRejectError) as caught:
        await rusty.client.get_event_information(rusty.address)
    assert "9" in str(caught.value) or "UNRECOGNIZED" in str(caught.value).upper()


async def test_who_is_and_who_has(bench, rusty):
    await rusty.client.who_is_directed(rusty.address)
    await rusty.client.who_is_directed(rusty.address, 1, 260000)
    for _ in range(50):
        devices = await rusty.client.discovered_devices()
        if devices:
            break
        await asyncio.sleep(0.02)
    (device,) = devices
    assert device.object_identifier == DEVICE
    assert (device.vendor_id, device.max_apdu_length) == (999, 1476)


async def test_hundreds_of_objects_in_one_request(bench, rusty):
    """B10: an ALL over many objects is segmented and does not hold up others."""
    specs = [(LIMIT, [(P.ALL, None)])] * 150
    results = await rusty.client.read_property_multiple(rusty.address, specs)
    assert len(results) == 150
    assert all(len(each["results"]) == 16 for each in results)
