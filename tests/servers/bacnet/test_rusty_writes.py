"""What writes of an independent client written in Rust (rusty-bacnet) do."""

from __future__ import annotations

import math

import pytest
from rusty_bacnet import BacnetProtocolError, ObjectIdentifier, PropertyValue

from gateway.core.errors import CommandRejected, Reject
from gateway.servers.bacnet.device import APDU_TIMEOUT_MS
from gateway.servers.bacnet.writes import ANSWER_WITHIN_S
from tests.servers.bacnet.rusty import (
    ACCESS_DENIED,
    CHARGING,
    CURRENT,
    DEVICE,
    ENABLE,
    LIMIT,
    MODE,
    NOTE,
    OUT_OF_RANGE,
    PORT,
    RELEASE,
    STATE,
    WRONG_TYPE,
    P,
    Rusty,
    T,
)


async def test_a_write_reaches_the_commands_and_null_releases(bench, rusty):
    assert await rusty.write(LIMIT, PropertyValue.real(32.0), 8) is None
    assert await rusty.write(LIMIT, PropertyValue.real(60.0)) is None
    asks = [(ask.index, ask.value, ask.slot) for ask, _ in bench.commands.asks]
    assert asks == [(bench.index["limit"], 32.0, 8), (bench.index["limit"], 60.0, 16)]
    origin = bench.commands.asks[0][1]
    assert origin.protocol == "bacnet"
    assert origin.client.startswith("127.0.0.1:")
    assert await rusty.read(LIMIT, P.PRESENT_VALUE) == 32.0
    assert await rusty.read(LIMIT, P.CURRENT_COMMAND_PRIORITY) == 8
    array = await rusty.read(LIMIT, P.PRIORITY_ARRAY)
    assert array == [None] * 7 + [32.0] + [None] * 7 + [60.0]
    assert await rusty.read(LIMIT, P.PRIORITY_ARRAY, 8) == 32.0
    assert await rusty.read(LIMIT, P.PRIORITY_ARRAY, 0) == 16
    assert await rusty.write(LIMIT, PropertyValue.null(), 8) is None
    assert await rusty.read(LIMIT, P.PRESENT_VALUE) == 60.0
    assert await rusty.write(LIMIT, PropertyValue.null()) is None
    assert await rusty.read(LIMIT, P.PRESENT_VALUE) == 250.0 == await rusty.read(LIMIT, P.RELINQUISH_DEFAULT)
    assert await rusty.read(LIMIT, P.CURRENT_COMMAND_PRIORITY) is None
    assert bench.server.counters["writes"] == 4


async def test_states_binaries_and_plain_writable_points(bench, rusty):
    bench.commands.default_value = 1
    assert await rusty.write(MODE, PropertyValue.unsigned(3), 10) is None
    assert await rusty.write(ENABLE, PropertyValue.enumerated(1), 10) is None
    assert await rusty.write(RELEASE, PropertyValue.enumerated(1)) is None
    assert await rusty.write(RELEASE, PropertyValue.null()) is None
    asks = {bench.table.specs[ask.index].name: ask.value for ask, _ in bench.commands.asks}
    assert asks == {"mode": 3, "enable": True, "limit.release": 1}
    assert await rusty.read(MODE, P.PRESENT_VALUE) == 3
    assert await rusty.read(ENABLE, P.PRESENT_VALUE) == 1


@pytest.mark.parametrize(
    ("obj", "value", "priority", "error"),
    [
        (LIMIT, PropertyValue.real(1.0), 6, ACCESS_DENIED),
        (LIMIT, PropertyValue.real(math.nan), 8, OUT_OF_RANGE),
        (LIMIT, PropertyValue.real(math.inf), 8, OUT_OF_RANGE),
        (LIMIT, PropertyValue.real(-math.inf), None, OUT_OF_RANGE),
        (LIMIT, PropertyValue.unsigned(32), 8, WRONG_TYPE),
        (LIMIT, PropertyValue.signed(32), 8, WRONG_TYPE),
        (LIMIT, PropertyValue.character_string("32"), 8, WRONG_TYPE),
        (MODE, PropertyValue.unsigned(0), 8, OUT_OF_RANGE),
        (MODE, PropertyValue.unsigned(4), 8, OUT_OF_RANGE),
        (MODE, PropertyValue.real(2.0), 8, WRONG_TYPE),
        (ENABLE, PropertyValue.enumerated(2), 8, OUT_OF_RANGE),
        (ENABLE, PropertyValue.boolean(True), 8, WRONG_TYPE),
        (NOTE, PropertyValue.character_string("x"), None, ACCESS_DENIED),
        (ObjectIdentifier(T.ANALOG_VALUE, 99), PropertyValue.real(1.0), 8, (1, 31)),
    ],
)
async def test_refused_writes(bench, rusty, obj, value, priority, error):
    assert await rusty.write(obj, value, priority) == error
    assert bench.commands.asks == []


async def test_a_double_is_a_real(bench, rusty):
    assert await rusty.write(LIMIT, PropertyValue.double(31.5), 8) is None
    assert bench.commands.asks[0][0].value == 31.5


async def test_B06_nothing_but_a_commandable_present_value_is_writable(bench, rusty):
    for obj in (CURRENT, CHARGING, STATE, NOTE, LIMIT, MODE, ENABLE, RELEASE, DEVICE, PORT):
        listed = [P.from_raw(prop) for prop in await rusty.read(obj, P.PROPERTY_LIST)]
        for prop in [P.OBJECT_IDENTIFIER, P.OBJECT_NAME, P.OBJECT_TYPE, P.PROPERTY_LIST, *listed]:
            if prop == P.PRESENT_VALUE and obj in (LIMIT, MODE, ENABLE, RELEASE):
                continue
            assert await rusty.write(obj, PropertyValue.real(1.0), 8, prop) == ACCESS_DENIED, (obj, prop)
    assert await rusty.write(LIMIT, PropertyValue.real(1.0), 8, P.PRIORITY_ARRAY, 8) == ACCESS_DENIED
    assert await rusty.write(LIMIT, PropertyValue.real(1.0), 8, P.PRESENT_VALUE, 1) == (2, 50)
    assert await rusty.write(LIMIT, PropertyValue.real(1.0), 8, P.POLARITY) == (2, 32)
    assert bench.commands.asks == []


async def test_a_client_outside_the_write_networks_only_reads(read_only, client):
    rusty = Rusty(client, read_only.address)
    assert await rusty.write(LIMIT, PropertyValue.real(1.0), 8) == ACCESS_DENIED
    assert await rusty.write(LIMIT, PropertyValue.null(), 8) == ACCESS_DENIED
    assert await rusty.write(RELEASE, PropertyValue.enumerated(1)) == ACCESS_DENIED
    assert await rusty.read(LIMIT, P.OBJECT_NAME) == "evce.Zone B.limit"
    assert read_only.commands.asks == []


EXPECTED = {
    Reject.UNKNOWN_POINT: (1, 31),
    Reject.NOT_WRITABLE: ACCESS_DENIED,
    Reject.NO_RIGHT: ACCESS_DENIED,
    Reject.TYPE: WRONG_TYPE,
    Reject.NOT_FINITE: OUT_OF_RANGE,
    Reject.RANGE: OUT_OF_RANGE,
    Reject.FLOOR: OUT_OF_RANGE,
    Reject.SLOT: ACCESS_DENIED,
    Reject.PARTIAL: WRONG_TYPE,
    Reject.INHIBITED: (0, 25),
    Reject.BUSY: (1, 82),
    Reject.UPSTREAM: (0, 25),
    Reject.NO_HEARTBEAT: (0, 25),
    Reject.READ_ONLY: (0, 25),
}


@pytest.mark.parametrize("reject", Reject)
async def test_every_refusal_of_the_engine_has_its_error(bench, rusty, reject):
    bench.commands.refuse = CommandRejected(reject, "no")
    assert await rusty.write(LIMIT, PropertyValue.real(1.0), 8) == EXPECTED[reject]


async def test_a_command_that_takes_too_long_is_answered_before_the_client_gives_up(bench, rusty, monkeypatch):
    assert ANSWER_WITHIN_S < APDU_TIMEOUT_MS / 1000
    monkeypatch.setattr("gateway.servers.bacnet.writes.ANSWER_WITHIN_S", 0.1)
    bench.commands.delay_s = 30.0
    assert await rusty.write(LIMIT, PropertyValue.real(1.0), 8) == (0, 25)


async def test_write_multiple_stops_at_the_first_failure_and_names_it(bench, rusty):
    good = [(P.PRESENT_VALUE, PropertyValue.real(20.0), 8, None)]
    bad = [(P.PRESENT_VALUE, PropertyValue.real(1.0), 8, None)]
    await rusty.client.write_property_multiple(rusty.address, [(LIMIT, good)])
    with pytest.raises(BacnetProtocolError) as caught:
        await rusty.client.write_property_multiple(rusty.address, [(LIMIT, bad), (CURRENT, bad), (LIMIT, good)])
    assert (caught.value.error_class, caught.value.error_code) == ACCESS_DENIED
    failed = caught.value.first_failed_write_attempt
    assert str(CURRENT) in str(failed)
    assert [ask.value for ask, _ in bench.commands.asks] == [20.0, 1.0]
