"""Event notifications on the wire, decoded by hand: who is told what, in which words, how often, and who is not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from gateway.core.alarm import Transition
from gateway.core.value import BAD, CONFIG_ERROR
from gateway.engine.alarms import Alarms
from gateway.servers.bacnet import ClassConfig, Destination, ListKeeper
from gateway.servers.bacnet.alarm_reporting import MOST_CHANGES
from gateway.servers.bacnet.cov import PASS_S
from gateway.servers.bacnet.event_notifications import Notice
from gateway.servers.bacnet.event_sending import Sending
from gateway.servers.bacnet.notification_classes import NotificationClasses
from tests.servers.bacnet.alarm_rig import (
    CLASS,
    CONNECTED,
    CURRENT,
    DEVICE,
    STATUS,
    AlarmRig,
    Bms,
    Event,
    real,
)
from tests.servers.bacnet.conftest import HOST, FakeClock, unicast
from tests.servers.bacnet.watcher import settle
from tests.site import until

NORMAL, FAULT, OFF, HIGH, LOW = range(5)
CHANGE_OF_STATE, OUT_OF_RANGE, CHANGE_OF_RELIABILITY = 1, 5, 19


@pytest.fixture
async def rig() -> AsyncIterator[AlarmRig]:
    made = AlarmRig()
    await made.life()
    made.good()
    yield made
    await made.server.stop()


@pytest.fixture
async def bms(rig: AlarmRig) -> AsyncIterator[Bms]:
    made = Bms(rig.server.port)
    yield made
    made.sock.close()


async def test_a_state_that_is_an_alarm_is_told_and_its_end_too(rig: AlarmRig, bms: Bms) -> None:
    assert await bms.enter(bms.destination()) == "200f"
    rig.faulted()
    told = await bms.must()
    at = time.localtime(round(rig.clock.wall()))
    stamp = bytes((0x2E, 0xA4, at.tm_year - 1900, at.tm_mon, at.tm_mday, at.tm_wday + 1))
    stamp += bytes((0xB4, at.tm_hour, at.tm_min, at.tm_sec, 0, 0x2F))
    assert told == Event(
        invoke=None,
        process=7,
        device=DEVICE,
        key=STATUS,
        stamp=stamp,
        number=1,
        priority=64,
        type=CHANGE_OF_STATE,
        text="evce/station/S-1: Station faulted: Faulted",
        notify=0,
        ack=True,
        came_from=NORMAL,
        to=OFF,
        values=bytes.fromhex("1e 0e b909 0f 1a0480 1f"),  # new-state: unsigned 9, flags: in alarm
    )
    rig.set("status", 1)
    rig.pass_time(10)
    over = await bms.must()
    assert (over.came_from, over.to, over.priority, over.ack) == (OFF, NORMAL, 192, False)
    assert over.values == bytes.fromhex("1e 0e b901 0f 1a0400 1f")


async def test_a_limit_that_is_exceeded_is_told_with_value_limit_and_deadband(rig: AlarmRig, bms: Bms) -> None:
    await bms.enter(bms.destination())
    rig.set("current", 61.5)
    told = await bms.must()
    assert (told.key, told.type, told.to) == (CURRENT, OUT_OF_RANGE, HIGH)
    assert told.text == "evce/station/S-1: Over its limit: 61.5 A is above 60 A"
    assert told.values == b"\x5e\x0c%b\x1a\x04\x80\x2c%b\x3c%b\x5f" % (real(61.5), real(1.5), real(60))
    rig.set("current", 59.0)
    assert await bms.next(0.1) is None, "inside the deadband"
    rig.set("current", 58.0)
    over = await bms.must()
    assert (over.came_from, over.to) == (HIGH, NORMAL)
    assert over.values == b"\x5e\x0c%b\x1a\x04\x00\x2c%b\x3c%b\x5f" % (real(58), real(1.5), real(60))
    rig.set("current", -6.0)
    assert (await bms.must()).to == LOW


async def test_a_binary_tells_its_state_as_binary(rig: AlarmRig, bms: Bms) -> None:
    await bms.enter(bms.destination())
    rig.set("connected", False)
    told = await bms.must()
    assert (told.key, told.to) == (CONNECTED, OFF)
    assert told.values == bytes.fromhex("1e 0e 1900 0f 1a0480 1f")
    rig.set("connected", True)
    assert (await bms.must()).values == bytes.fromhex("1e 0e 1901 0f 1a0400 1f")


async def test_a_fault_is_a_change_of_reliability(rig: AlarmRig, bms: Bms) -> None:
    await bms.enter(bms.destination())
    rig.set("status", None, BAD, "no answer")
    told = await bms.must()
    assert (told.type, told.to, told.priority) == (CHANGE_OF_RELIABILITY, FAULT, 128)
    # reliability communication-failure, flags in alarm and fault, Present_Value of the last state
    assert told.values == bytes.fromhex("fe13 090c 1a04c0 2e 0955 2e 2103 2f 2f ff13")
    rig.set("status", None, CONFIG_ERROR, "the enumeration has changed")
    told = await bms.must()
    assert (told.type, told.came_from, told.to) == (CHANGE_OF_RELIABILITY, FAULT, FAULT)
    assert told.values == bytes.fromhex("fe13 090a 1a04c0 2e 0955 2e 2103 2f 2f ff13"), "configuration-error"
    rig.set("status", 3)
    over = await bms.must()
    assert (over.type, over.to) == (CHANGE_OF_RELIABILITY, NORMAL)
    assert over.values == bytes.fromhex("fe13 0900 1a0400 2e 0955 2e 2103 2f 2f ff13")


async def test_a_recipient_gets_only_the_changes_days_and_hours_it_wants(rig: AlarmRig) -> None:
    local = time.localtime(rig.clock.wall())
    today = tuple(day == local.tm_wday for day in range(7))
    clients = [Bms(rig.server.port) for _ in range(5)]
    everything, never, tomorrow, earlier, ends = clients
    now = (local.tm_hour, local.tm_min, 0, 0)
    try:
        assert (
            await everything.enter(
                everything.destination(days=today),
                never.destination(transitions=(False, True, False)),
                tomorrow.destination(days=tuple(not day for day in today)),
                earlier.destination(hours=(now, (255, 255, 255, 255))),
                ends.destination(transitions=(False, False, True)),
            )
            == "200f"
        )
        rig.set("connected", False)
        rig.set("connected", True)
        assert [(await everything.must()).to for _ in range(2)] == [OFF, NORMAL]
        assert [(await earlier.must()).to for _ in range(2)] == [OFF, NORMAL]
        assert (await ends.must()).to == NORMAL
        for client in (never, tomorrow, ends):
            assert await client.next(0.05) is None
    finally:
        for client in clients:
            client.sock.close()


async def test_confirmed_notifications_come_one_at_a_time_in_order_and_again_until_acknowledged(
    rig: AlarmRig, bms: Bms
) -> None:
    await bms.enter(bms.destination(confirmed=True))
    rig.set("connected", False)
    rig.set("connected", True)
    first = await bms.next(ack=False)
    assert first is not None
    assert first.invoke is not None
    assert first.invoke >= 0x80, "the lower half is of COV notifications"
    assert await bms.next(0.1) is None
    rig.pass_time(3.1)
    again = await bms.next(ack=False)
    assert again == first
    bms.sock.sendto(unicast(bytes((0x20, first.invoke, 2))), bms.target)
    second = await bms.must()
    assert (second.to, second.invoke) != (first.to, first.invoke)
    assert second.to == NORMAL
    assert rig.alarms.texts() == {k: v for k, v in rig.alarms.texts().items() if "recipient" not in k}


async def test_a_dead_recipient_is_dropped_from_waiting_and_not_from_the_list(rig: AlarmRig, bms: Bms) -> None:
    other = Bms(rig.server.port)
    await bms.enter(bms.destination(confirmed=True), other.destination())
    for value in (False, True, False):
        rig.set("connected", value)
    assert await bms.next(ack=False) is not None
    for _ in range(3):
        rig.pass_time(3.1)
        assert await bms.next(ack=False) is not None
    rig.pass_time(3.1)
    assert await bms.next(0.1) is None
    assert [(await other.must()).to for _ in range(3)] == [OFF, NORMAL, OFF]
    (text,) = [text for key, text in rig.alarms.texts().items() if key.startswith("bacnet.recipient")]
    host, port = bms.sock.getsockname()
    assert text == (
        f"bacnet: {host}:{port} acknowledges no alarm notification; 2 more are dropped; "
        "it stays in the Recipient_List, and is tried with the next alarm"
    )
    rig.set("connected", True)
    assert (await bms.must()).to == NORMAL
    for _ in range(100):
        if not any(key.startswith("bacnet.recipient") for key in rig.alarms.texts()):
            break
        await asyncio.sleep(0.01)
    else:
        pytest.fail("the alarm about the recipient did not end")
    other.sock.close()


async def test_a_device_is_looked_for_and_told_once_it_says_where_it_is(rig: AlarmRig, bms: Bms) -> None:
    await bms.enter(Destination(device=4711, process=9))
    rig.set("connected", False)
    assert await bms.next(0.2) is None
    i_am = b"\x10\x00\xc4" + (8 << 22 | 4711).to_bytes(4, "big") + b"\x22\x05\xc4\x91\x03\x21\x08"
    bms.sock.sendto(unicast(i_am, b"\x01\x00"), bms.target)
    told = await bms.must()
    assert (told.process, told.to) == (9, OFF)


async def test_a_device_that_is_not_found_is_an_alarm_and_loses_what_waited(rig: AlarmRig, bms: Bms) -> None:
    await bms.enter(Destination(device=4711))
    rig.set("connected", False)
    await settle()
    for _ in range(13):
        rig.pass_time(5.1)
        await settle()
    (text,) = [text for key, text in rig.alarms.texts().items() if key.startswith("bacnet.recipient")]
    assert text.startswith("bacnet: device 4711 is not found in the network")
    await bms.enter()
    rig.set("connected", True)
    for _ in range(100):
        if not any(key.startswith("bacnet.recipient") for key in rig.alarms.texts()):
            return
        await asyncio.sleep(0.01)
    pytest.fail("the alarm outlived the entry in the list")


async def test_an_unconfirmed_device_that_is_found_again_is_no_alarm_any_more(rig: AlarmRig, bms: Bms) -> None:
    await bms.enter(Destination(device=4711))
    rig.set("connected", False)
    await until(lambda: rig.server._reporting.sending._lines != {}, 3.0)
    while not lost(rig):
        rig.pass_time(5.1)
        await asyncio.sleep(0.01)
    rig.set("connected", True)
    i_am = b"\x10\x00\xc4" + (8 << 22 | 4711).to_bytes(4, "big") + b"\x22\x05\xc4\x91\x03\x21\x08"
    bms.sock.sendto(unicast(i_am, b"\x01\x00"), bms.target)
    assert (await bms.must()).to == NORMAL
    await until(lambda: not lost(rig), 3.0)


def lost(rig: AlarmRig) -> list[str]:
    return [text for key, text in rig.alarms.texts().items() if key.startswith("bacnet.recipient")]


def test_one_peer_in_more_lists_than_there_are_invoke_identifiers_does_not_stop_the_loop() -> None:
    """128 notifications are on their way to it at most; the others wait for an identifier."""
    mac = b"\x0a\x00\x00\x63\xba\xc0"
    everybody = [
        [Destination(mac=mac, process=64 * number + each, confirmed=True) for each in range(64)] for number in range(3)
    ]
    configs = [ClassConfig(instance=n, name=f"{n}", recipients=tuple(those)) for n, those in enumerate(everybody)]
    clock = FakeClock()
    sending = Sending(
        NotificationClasses(configs, ListKeeper({}, lambda *_: None)),
        own=DEVICE,
        silent=lambda _: False,
        alarms=Alarms(),
        now=clock.monotonic,
        wake=lambda: None,
    )
    for number in range(3):
        sending.tell(number, Notice(DEVICE, Transition.TO_FAULT, clock.wall(), b""))
    sent = [datagram for _ in range(10) for datagram in sending.pump()]
    assert [sorted(datagram.apdu[2] for datagram in sent)] == [list(range(128, 256))]
    for datagram in sent:
        sending.answered(datagram.destination, 2, datagram.apdu[2])
    rest = [datagram for _ in range(10) for datagram in sending.pump()]
    assert len(rest) == 3 * 64 - 128


async def test_thousands_of_changes_at_once_are_told_in_portions(rig: AlarmRig, bms: Bms) -> None:
    await bms.enter(bms.destination())
    for i in range(1000):
        rig.set("connected", i % 2 == 1)
    reporting = rig.server._reporting
    assert reporting is not None
    for left in (1000 - MOST_CHANGES, 1000 - 2 * MOST_CHANGES):
        list(reporting.pump())
        assert len(reporting._changes) == left
    assert reporting.rest_s() == PASS_S


async def test_a_storm_of_alarms_is_paced_and_nothing_is_lost(rig: AlarmRig, bms: Bms) -> None:
    await bms.enter(bms.destination())
    for i in range(400):
        rig.set("connected", i % 2 == 1)
    began = time.monotonic()
    states = [(await bms.must()).to for _ in range(400)]
    assert states == [OFF, NORMAL] * 200
    assert time.monotonic() - began > 0.15, "they did not come all at once"


async def test_silence_ordered_by_a_client_keeps_alarms_until_it_ends(rig: AlarmRig, bms: Bms) -> None:
    await bms.enter(bms.destination())
    assert await bms.request(17, b"\x19\x02") == "2011"
    rig.set("connected", False)
    assert await bms.next(0.1) is None
    assert await bms.request(17, b"\x19\x00") == "2011"
    assert (await bms.must()).to == OFF


async def test_recipients_of_the_configuration_are_told_without_any_request() -> None:
    listener = Bms(1)
    rig = AlarmRig(classes=[ClassConfig(recipients=(listener.destination(confirmed=True),))])
    await rig.life()
    listener.target = (HOST, rig.server.port)
    try:
        rig.good()
        rig.set("connected", False)
        assert (await listener.must()).to == OFF
    finally:
        listener.sock.close()
        await rig.server.stop()


async def test_what_clients_write_into_the_list_is_what_they_read(rig: AlarmRig, bms: Bms) -> None:
    mine = bms.destination(confirmed=True, days=(True,) * 5 + (False,) * 2)
    assert mine.octets.hex() == (
        "8201f8 b400000000 b4173b3b63 1e 2100 6506" + bms.mac.hex() + " 1f 2107 11 8205e0"
    ).replace(" ", "")
    assert await bms.enter(mine, Destination(device=3)) == "200f"
    assert await bms.read(CLASS, 102) == mine.octets.hex() + Destination(device=3).octets.hex()
    assert await bms.enter() == "200f"
    assert await bms.read(CLASS, 102) == ""
    assert [(old, new) for _, old, new in rig.written] == [
        ("nobody", f"{mine}, device 3"),
        (f"{mine}, device 3", "nobody"),
    ]


async def test_elements_are_added_and_removed_one_by_one(rig: AlarmRig, bms: Bms) -> None:
    def change(*those: Destination, prop: int = 102, key: int = CLASS) -> bytes:
        octets = b"".join(each.octets for each in those)
        return b"\x0c%b\x19%c\x3e%b\x3f" % (key.to_bytes(4, "big"), prop, octets)

    first, second = bms.destination(), Destination(device=3)
    assert await bms.request(8, change(first)) == "2008"
    assert await bms.request(8, change(second, first)) == "2008"
    assert await bms.read(CLASS, 102) == first.octets.hex() + second.octets.hex()
    assert await bms.request(9, change(first, Destination(device=9))) == "50090e910591510f1900"
    assert await bms.request(9, change(first)) == "2009"
    assert await bms.read(CLASS, 102) == second.octets.hex()
    assert await bms.request(8, change(first, key=15 << 22 | 2)) == "50080e9101911f0f1900"
    assert await bms.request(8, change(first, prop=77)) == "50080e910591160f1900"
    assert await bms.request(8, change(first)[:-1]) == "6005"


@pytest.mark.parametrize(
    ("octets", "answer"),
    [
        ("8201fe b400000000 b4173b3b63 0c02000003 2101 10 8205", "6005"),
        ("8201fe b400000000 b4173b3b63 0c02000003 2101 10", "500f91029109"),
        ("2105", "500f91029109"),
        ("8201fe b400000000 b4183b3b63 0c02000003 2101 10 8205e0", "500f91029125"),  # 24:59
        ("8201fe b400000000 b4173b3b63 0c00000003 2101 10 8205e0", "500f91029125"),  # an analog input is nobody
        ("8201fe b400000000 b4173b3b63 1e21006305010203041f 2101 10 8205e0", "6004"),
        ("8201fe b400000000 b4173b3b63 1e210064010203041f 2101 10 8205e0", "500f91029125"),  # no UDP port
        ("8201fe b400000000 b4173b3b63 1e22ffff60 1f 2101 11 8205e0", "500f91029125"),  # nobody confirms a broadcast
    ],
)
async def test_a_list_that_is_none_is_refused(rig: AlarmRig, bms: Bms, octets: str, answer: str) -> None:
    data = bytes.fromhex(octets.replace(" ", ""))
    got = await bms.request(15, b"\x0c%b\x19\x66\x3e%b\x3f" % (CLASS.to_bytes(4, "big"), data))
    assert got == answer
    assert await bms.read(CLASS, 102) == ""


async def test_only_clients_of_the_write_networks_change_the_list_or_acknowledge() -> None:
    rig = AlarmRig(networks=["10.0.0.0/24"])
    await rig.life()
    bms = Bms(rig.server.port)
    try:
        rig.good()
        rig.faulted()
        assert await bms.enter(bms.destination()) == "500f91029128"
        where = b"\x0c%b\x19\x66\x3e%b\x3f" % (CLASS.to_bytes(4, "big"), bms.destination().octets)
        assert await bms.request(8, where) == "50080e910291280f1900"
        stamp = bytes.fromhex(await bms.read(STATUS, 130, 1))
        assert await bms.acknowledge(STATUS, OFF, stamp) == "50009105911d"
        assert len(rig.refused) == 3
        assert "Porter" in rig.refused[-1]
    finally:
        bms.sock.close()
        await rig.server.stop()


async def test_a_list_outlives_a_restart_until_the_configuration_has_another_one() -> None:
    rig = AlarmRig()
    await rig.life()
    bms = Bms(rig.server.port)
    mine = bms.destination(confirmed=True)
    await bms.enter(mine)
    await rig.server.stop()
    await rig.life()
    bms.target = (HOST, rig.server.port)
    assert await bms.read(CLASS, 102) == mine.octets.hex()
    await rig.server.stop()
    rig.classes = [ClassConfig(recipients=(Destination(device=5),))]
    await rig.life()
    bms.target = (HOST, rig.server.port)
    try:
        assert await bms.read(CLASS, 102) == Destination(device=5).octets.hex()
    finally:
        bms.sock.close()
        await rig.server.stop()
