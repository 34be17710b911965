"""What an object with an alarm shows: the properties of intrinsic reporting, and Status_Flags with COV."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from rusty_bacnet import BACnetClient, ObjectIdentifier, ObjectType, PropertyIdentifier

from gateway.core.value import BAD
from gateway.servers.bacnet import ClassConfig
from tests.servers.bacnet import watcher as cov
from tests.servers.bacnet.alarm_rig import CLASS, CONNECTED, CURRENT, DEVICE, LIMIT, STATUS, AlarmRig, Bms, real
from tests.servers.bacnet.rusty import Rusty

P = PropertyIdentifier
NEVER = "2ea4ffffffffb4ffffffff2f"


@pytest.fixture
async def rig() -> AsyncIterator[AlarmRig]:
    made = AlarmRig()
    await made.life()
    yield made
    await made.server.stop()


@pytest.fixture
async def bms(rig: AlarmRig) -> AsyncIterator[Bms]:
    made = Bms(rig.server.port)
    yield made
    made.sock.close()


async def test_a_state_has_its_alarm_values_and_no_limits(rig: AlarmRig, bms: Bms) -> None:
    rig.good()
    assert await bms.read(STATUS, 7) == "2109"  # Alarm_Values: 9
    assert await bms.read(STATUS, 113) == "210a"  # Time_Delay: 10 s
    assert await bms.read(STATUS, 17) == "2101"  # Notification_Class
    assert await bms.read(STATUS, 35) == "8205e0"  # Event_Enable: all three
    assert await bms.read(CONNECTED, 35) == "8205a0"  # faults are not told there
    assert await bms.read(STATUS, 72) == "9100"  # Notify_Type: alarm
    assert await bms.read(STATUS, 353) == "11"  # Event_Detection_Enable
    assert await bms.read(STATUS, 45) == "500c91029120"  # it has no High_Limit
    assert await bms.read(CONNECTED, 6) == "9100"  # Alarm_Value: inactive
    assert await bms.read(LIMIT, 17) == "500c91029120"  # a point without an alarm has none of this


async def test_a_limit_that_another_point_gives_follows_it(rig: AlarmRig, bms: Bms) -> None:
    rig.good()
    assert await bms.read(CURRENT, 45) == "44" + real(60).hex()
    assert await bms.read(CURRENT, 59) == "44" + real(-5).hex()
    assert await bms.read(CURRENT, 25) == "44" + real(1.5).hex()
    assert await bms.read(CURRENT, 52) == "8206c0"
    rig.set("limit", 32.0)
    assert await bms.read(CURRENT, 45) == "44" + real(32).hex()
    rig.set("limit", None, BAD, "lost")
    assert (await bms.read(CURRENT, 45))[:4] == "447f"  # NaN


async def test_arrays_of_what_happened(rig: AlarmRig, bms: Bms) -> None:
    rig.good()
    assert await bms.read(STATUS, 130) == NEVER * 3
    assert await bms.read(STATUS, 130, 0) == "2103"
    rig.faulted()
    stamp = await bms.read(STATUS, 130, 1)
    assert stamp != NEVER
    assert await bms.read(STATUS, 130, 2) == NEVER
    assert await bms.read(STATUS, 130, 4) == "500c9102912a"
    text = bytes.fromhex(await bms.read(STATUS, 351, 1))
    assert text.endswith(b"evce/station/S-1: Station faulted: Faulted")
    assert await bms.read(STATUS, 0) == "820560"  # Acked_Transitions: to-off-normal is not


async def test_state_and_flags_say_the_same_and_watchers_are_told(rig: AlarmRig, bms: Bms) -> None:
    rig.good()
    watching = Bms(rig.server.port)
    try:
        assert await watching.request(5, cov.subscription(STATUS, 60, False, 1)) == "2005"
        first = cov.decode(await watching.apdu_in(1) or b"")
        assert first is not None
        assert first.values[cov.FLAGS] == "0000"
        rig.clock.now += 0.2  # two notifications of one subscription do not follow one another at once
        rig.set("status", 9)
        moved = cov.decode(await watching.apdu_in(1) or b"")
        assert moved is not None
        assert (moved.values[cov.PV], moved.values[cov.FLAGS]) == (9, "0000")
        rig.pass_time(10)
        alarm = cov.decode(await watching.apdu_in(1) or b"")
        assert alarm is not None
        assert alarm.values[cov.FLAGS] == "1000"
    finally:
        watching.sock.close()
    assert await bms.read(STATUS, 36) == "9102"
    assert await bms.read(STATUS, 111) == "820480"
    rig.set("status", None, BAD, "no answer")
    assert await bms.read(STATUS, 36) == "9101"
    assert await bms.read(STATUS, 111) == "8204c0"
    rig.set("status", 3)
    assert await bms.read(STATUS, 36) == "9100"
    assert await bms.read(STATUS, 111) == "820400"


async def test_rusty_reads_all_of_an_alarm_object_and_of_its_class(rig: AlarmRig) -> None:
    rig.good()
    async with BACnetClient("127.0.0.1", 0, "127.255.255.255", 3000) as client:
        rusty = Rusty(client, f"127.0.0.1:{rig.server.port}")
        state = ObjectIdentifier(ObjectType.MULTI_STATE_INPUT, 5)
        of_class = ObjectIdentifier(ObjectType.NOTIFICATION_CLASS, 1)
        listed = await rusty.read(ObjectIdentifier(ObjectType.DEVICE, 260001), P.OBJECT_LIST)
        assert of_class in listed
        for which, expected in ((state, P.EVENT_TIME_STAMPS), (of_class, P.RECIPIENT_LIST)):
            answer = await client.read_property_multiple(rusty.address, [(which, [(P.ALL, None)])])
            found = {item["property_id"]: item for item in answer[0]["results"]}
            assert expected in found
            assert [item for item in found.values() if item.get("error")] == []
        assert await rusty.read(of_class, P.PRIORITY) == [64, 128, 192]
        assert await rusty.read(of_class, P.NOTIFICATION_CLASS) == 1
        assert (await rusty.read(of_class, P.ACK_REQUIRED))["data"] == b"\x80"
        assert await rusty.read(of_class, P.OBJECT_NAME) == "Alarms"


async def test_the_device_says_which_services_it_executes(rig: AlarmRig, bms: Bms) -> None:
    services = bytes.fromhex(await bms.read(DEVICE, 97))[3:]
    bits = {i for i in range(len(services) * 8) if services[i // 8] & 0x80 >> i % 8}
    assert {0, 3, 8, 9, 39} <= bits
    types = bytes.fromhex(await bms.read(DEVICE, 96))[3:]
    assert types[15 // 8] & 0x80 >> 15 % 8


async def test_nothing_of_it_is_writable(rig: AlarmRig, bms: Bms) -> None:
    rig.good()
    for prop, value in ((35, b"\x82\x05\x00"), (17, b"\x21\x02"), (113, b"\x21\x00"), (45, b"\x44" + real(1))):
        key = CURRENT.to_bytes(4, "big")
        assert await bms.request(15, b"\x0c%b\x19%c\x3e%b\x3f" % (key, prop, value)) == "500f91029128"
    assert await bms.request(15, b"\x0c%b\x19\x56\x3e\x21\x01\x3f" % CLASS.to_bytes(4, "big")) == "500f91029128"


async def test_classes_of_the_configuration_are_objects_of_their_own() -> None:
    rig = AlarmRig(classes=[ClassConfig(3, "Urgent", (1, 2, 3), (True, True, True)), ClassConfig(4, "Other")])
    await rig.life()
    bms = Bms(rig.server.port)
    try:
        assert await bms.read(15 << 22 | 3, 86) == "210121022103"
        assert await bms.read(15 << 22 | 3, 1) == "8205e0"
        assert await bms.read(15 << 22 | 4, 17) == "2104"
        assert await bms.read(CLASS, 17) == "500c9101911f"
    finally:
        bms.sock.close()
        await rig.server.stop()
