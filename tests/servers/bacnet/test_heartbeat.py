"""The heartbeat object of `bacnet.heartbeat: true`, written by an independent client in Rust (rusty-bacnet)."""

from __future__ import annotations

import math

import pytest
from rusty_bacnet import BacnetProtocolError, ObjectIdentifier, PropertyValue

from gateway.addressing import Seat, gateway_kind, place
from tests.servers.bacnet.conftest import Bench
from tests.servers.bacnet.rusty import ACCESS_DENIED, LIMIT, OUT_OF_RANGE, WRONG_TYPE, P, Rusty, T

BEAT, AGE = ObjectIdentifier(T.ANALOG_VALUE, 15), ObjectIdentifier(T.ANALOG_INPUT, 16)


def header(bench: Bench) -> None:
    """Places the header as the gateway does."""
    kind = gateway_kind("big", "big", [], heartbeat=True)
    for point in place(list(kind.points.values()), kind, source="gateway", name=None, block=0, seat=Seat(1, 0)):
        bench.index[point.spec.name] = bench.table.add(point.name, point.spec)
        bench.server.place([(bench.index[point.spec.name], point)])


async def test_C04_it_is_a_plain_value_of_the_group_bacnet(bench, rusty):
    header(bench)
    assert await rusty.read(BEAT, P.OBJECT_NAME) == "gateway.header.bms_heartbeat"
    assert await rusty.write(BEAT, PropertyValue.real(41.0)) is None
    assert await rusty.write(BEAT, PropertyValue.real(65535.0), 8) is None
    assert bench.commands.beats == [("bacnet", 41), ("bacnet", 65535)]
    assert bench.commands.asks == [], "a heartbeat is no command"
    assert await rusty.read(BEAT, P.PRESENT_VALUE) == 65535.0, "shown at once, not with the next second"
    assert await rusty.read(BEAT, P.MAX_PRES_VALUE) == 65535.0
    with pytest.raises(BacnetProtocolError) as refused:
        await rusty.read(BEAT, P.PRIORITY_ARRAY)
    assert (refused.value.error_class, refused.value.error_code) == (2, 32)
    bench.set("bms_heartbeat_age_s", 12)
    assert await rusty.read(AGE, P.PRESENT_VALUE) == 12.0
    bench.set("bms_heartbeat_age_s", None)
    assert math.isnan(await rusty.read(AGE, P.PRESENT_VALUE))


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (PropertyValue.real(-1.0), OUT_OF_RANGE),
        (PropertyValue.real(65536.0), OUT_OF_RANGE),
        (PropertyValue.real(1.5), OUT_OF_RANGE),
        (PropertyValue.real(math.nan), OUT_OF_RANGE),
        (PropertyValue.unsigned(1), WRONG_TYPE),
        (PropertyValue.null(), None),
    ],
)
async def test_what_is_no_heartbeat_is_no_sign_of_life(bench, rusty, value, error):
    header(bench)
    assert await rusty.write(BEAT, value) == error
    assert bench.commands.beats == []
    assert await rusty.write(AGE, PropertyValue.real(1.0)) == ACCESS_DENIED


async def test_only_the_write_networks_have_a_heartbeat(read_only, client):
    header(read_only)
    rusty = Rusty(client, read_only.address)
    assert await rusty.write(BEAT, PropertyValue.real(1.0)) == ACCESS_DENIED
    assert read_only.commands.beats == []


async def test_heartbeat_and_limit_in_one_request_come_in_their_order(bench, rusty, client):
    header(bench)
    written = [
        (BEAT, [(P.PRESENT_VALUE, PropertyValue.real(5.0), None, None)]),
        (LIMIT, [(P.PRESENT_VALUE, PropertyValue.real(20.0), 8, None)]),
    ]
    await client.write_property_multiple(rusty.address, written)
    assert bench.commands.beats == [("bacnet", 5)]
    assert [(ask.value, ask.slot) for ask, _ in bench.commands.asks] == [(20.0, 8)]


async def test_without_the_key_there_is_no_object(bench, rusty):
    assert await rusty.write(BEAT, PropertyValue.real(1.0)) == (1, 31)
