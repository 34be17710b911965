"""Acknowledging and asking for alarms: in octets, by rusty-bacnet and by @bacnet-js/client."""

from __future__ import annotations

import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from rusty_bacnet import (
    BACnetClient,
    BacnetProtocolError,
    BACnetTimeStamp,
    EventState,
    ObjectIdentifier,
    ObjectType,
)

from gateway.core.point import KindSpec
from gateway.core.value import BAD, GOOD, Sample
from gateway.engine.resource import Resource
from gateway.servers.bacnet import ClassConfig
from tests.servers.bacnet.alarm_rig import CLASS, CONNECTED, CURRENT, LIMIT, SPECS, STATUS, AlarmRig, Bms
from tests.servers.bacnet.conftest import placed
from tests.servers.bacnet.js_bms import JsBms
from tests.servers.bacnet.test_trend_peers import capture
from tests.site import run_program

NORMAL, FAULT, OFF, HIGH, LOW = range(5)
NEVER = "2ea4ffffffffb4ffffffff2f"


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


async def test_an_acknowledgement_is_kept_told_to_everybody_and_written_down(rig: AlarmRig, bms: Bms) -> None:
    other = Bms(rig.server.port)
    await bms.enter(bms.destination(), other.destination(process=8))
    rig.faulted()
    told = await bms.must()
    assert (await other.must()).stamp == told.stamp
    rig.clock.now += 60
    assert await bms.acknowledge(STATUS, told.to, told.stamp) == "2000"
    assert await bms.read(STATUS, 0) == "8205e0"
    for client, process in ((bms, 7), (other, 8)):
        ack = await client.must()
        assert (ack.notify, ack.process, ack.to, ack.came_from, ack.ack) == (2, process, OFF, None, None)
        assert ack.stamp != told.stamp, "the time of the acknowledgement"
        assert ack.text.startswith("evce/station/S-1: Station faulted: Faulted; acknowledged by bacnet 127.0.0.1:")
        assert ack.text.endswith(" Porter")
    (record,) = [item for item in rig.journal.evidence if item.event == "acknowledged"]
    assert record.point == "evce/station/S-1/status"
    assert (record.origin.user, record.origin.client) == ("Porter", f"127.0.0.1:{bms.sock.getsockname()[1]}")
    other.sock.close()


async def test_again_is_fine_and_told_to_nobody(rig: AlarmRig, bms: Bms) -> None:
    rig.faulted()
    stamp = bytes.fromhex(await bms.read(STATUS, 130, 1))
    assert await bms.acknowledge(STATUS, OFF, stamp) == "2000"
    await bms.enter(bms.destination())
    assert await bms.acknowledge(STATUS, OFF, stamp) == "2000"
    assert await bms.next(0.1) is None
    assert len(rig.journal.evidence) == 1


async def test_what_cannot_be_acknowledged_is_refused_by_its_cause(rig: AlarmRig, bms: Bms) -> None:
    rig.faulted()
    stamp = bytes.fromhex(await bms.read(STATUS, 130, 1))
    later = stamp[:-2] + bytes((stamp[-2] + 1,)) + stamp[-1:]
    unknown, none, state, at = "50009101911f", "50009101914a", "500091059149", "50009105910e"
    assert await bms.acknowledge(STATUS + 1, OFF, stamp) == unknown
    assert await bms.acknowledge(LIMIT, OFF, stamp) == none
    assert await bms.acknowledge(CLASS, OFF, stamp) == none
    assert await bms.acknowledge(STATUS, HIGH, stamp) == state
    assert await bms.acknowledge(STATUS, FAULT, stamp) == state
    assert await bms.acknowledge(STATUS, 77, stamp) == state
    assert await bms.acknowledge(STATUS, OFF, later) == at
    assert await bms.acknowledge(STATUS, OFF, b"\x19\x00") == at  # a sequence number
    assert await bms.acknowledge(STATUS, OFF, b"\x0c\x01\x02\x03\x04") == at  # a time of day
    assert await bms.acknowledge(STATUS, OFF, b"\x2e\x2f") == "6004"
    assert await bms.read(STATUS, 0) == "820560"
    any_weekday = stamp[:5] + b"\xff" + stamp[6:]
    assert await bms.acknowledge(STATUS, OFF, any_weekday) == "2000"


async def test_an_older_alarm_cannot_be_acknowledged_any_more(rig: AlarmRig, bms: Bms) -> None:
    rig.set("connected", False)
    first = bytes.fromhex(await bms.read(CONNECTED, 130, 1))
    rig.set("connected", True)
    rig.clock.now += 1
    rig.set("connected", False)
    assert await bms.acknowledge(CONNECTED, OFF, first) == "50009105910e"
    assert await bms.acknowledge(CONNECTED, OFF, bytes.fromhex(await bms.read(CONNECTED, 130, 1))) == "2000"


async def test_states_and_acknowledgements_outlive_the_process_and_are_told_once() -> None:
    rig = AlarmRig()
    await rig.life()
    rig.good()
    rig.set("connected", False)
    rig.faulted()
    bms = Bms(rig.server.port)
    stamp = bytes.fromhex(await bms.read(STATUS, 130, 1))
    await bms.acknowledge(STATUS, OFF, stamp)
    await bms.enter(bms.destination())
    await rig.server.stop()
    rig.clock.now += 3600
    await rig.life()
    bms.target = ("127.0.0.1", rig.server.port)
    try:
        assert await bms.read(STATUS, 36) == "9102"
        assert await bms.read(STATUS, 0) == "8205e0"
        assert await bms.read(CONNECTED, 0) == "820560"
        assert await bms.read(STATUS, 130, 1) == stamp.hex()
        rig.good()  # the outage ended while the gateway was down, the station is not faulted any more
        assert (await bms.must()).key == CONNECTED
        rig.set("status", 9)
        rig.pass_time(30)
        assert await bms.next(0.1) is None, "it is the same alarm as before"
    finally:
        bms.sock.close()
        await rig.server.stop()


async def test_event_information_lists_what_is_open(rig: AlarmRig, bms: Bms) -> None:
    assert await bms.request(29, b"") == "301d0e0f1900"
    rig.faulted()
    stamp = await bms.read(STATUS, 130, 1)
    entry = "0c03400005 1902 2a0560 3e" + stamp + NEVER * 2 + "3f 4900 5a05e0 6e 2140 2180 21c0 6f"
    assert await bms.request(29, b"") == ("301d0e" + entry + "0f1900").replace(" ", "")
    assert await bms.request(29, b"\x0c\x03\x40\x00\x05") == "301d0e0f1900", "nothing comes after it"
    assert await bms.request(3, b"") == "3003" + "c403400005 9102 820560".replace(" ", "")
    rig.set("status", 3)
    rig.pass_time(10)
    normal = await bms.request(29, b"")
    assert normal is not None
    assert normal.startswith("301d0e0c034000051900"), "it is normal and not acknowledged"
    assert await bms.request(3, b"") == "3003"
    await bms.acknowledge(STATUS, OFF, bytes.fromhex(stamp))
    assert await bms.request(29, b"") == "301d0e0f1900"
    assert await bms.request(29, b"\x19\x00") == "6007"
    assert await bms.request(3, b"\x00") == "6007"


async def test_a_small_client_asks_on_for_what_did_not_fit(rig: AlarmRig, bms: Bms) -> None:
    rig.faulted()
    rig.set("connected", False)
    rig.set("current", 100.0)
    found, after = [], b""
    for _ in range(4):
        answer = await bms.request(29, after, size=1)  # 128 octets
        assert answer is not None
        assert len(answer) // 2 + 1 <= 128
        found.append(answer[8:16])
        after = bytes.fromhex("0c" + answer[8:16])
        if answer.endswith("1900"):
            break
        assert answer.endswith("1901")
    assert found == ["00000005", "00c00005", "03400005"]


async def test_the_smallest_client_is_told_that_it_needs_segments(rig: AlarmRig, bms: Bms) -> None:
    """50 octets hold no entry; an empty list with More_Events would have it ask for ever."""
    rig.faulted()
    assert await bms.request(29, b"", size=0) == "7104", "Abort segmentation-not-supported"


async def test_a_fault_of_the_source_is_event_information_as_well(rig: AlarmRig, bms: Bms) -> None:
    rig.set("current", None, BAD, "no answer")
    answer = await bms.request(29, b"")
    assert answer is not None
    assert answer.startswith("301d0e0c000000051901 2a05e0".replace(" ", ""))
    assert CURRENT == 5


async def test_a_summary_that_does_not_fit_comes_in_segments(rig: AlarmRig) -> None:
    lost = SPECS["connected"][2]
    for number in range(200):
        name = f"evce/station/S-{number + 2}/connected"
        index = rig.table.add(name, lost)
        kind = KindSpec("station", None, None, None, {}, {}, None, None)
        rig.desk.learn(Resource("evce", kind, f"S-{number + 2}", "1", None, {"connected": index}, block=number + 1))
        rig.server.place([(index, placed(name, "binary-input", 100 + number, lost))])
        rig.table.update([(index, Sample(False, GOOD, "", 0.0))])
    async with BACnetClient("127.0.0.1", 0, "127.255.255.255", 3000) as client:
        summary = await client.get_alarm_summary(f"127.0.0.1:{rig.server.port}")
    assert [item["object_id"].instance for item in summary] == list(range(100, 300))


async def test_rusty_reads_the_summaries_and_acknowledges(rig: AlarmRig) -> None:
    rig.faulted()
    at = time.localtime(round(rig.clock.wall()))
    exact = BACnetTimeStamp.date_time(
        (at.tm_year, at.tm_mon, at.tm_mday, at.tm_wday + 1), (at.tm_hour, at.tm_min, at.tm_sec, 0)
    )
    station = ObjectIdentifier(ObjectType.MULTI_STATE_INPUT, 5)
    async with BACnetClient("127.0.0.1", 0, "127.255.255.255", 3000) as client:
        address = f"127.0.0.1:{rig.server.port}"
        summary = await client.get_alarm_summary(address)
        assert [(item["object_id"], item["alarm_state"]) for item in summary] == [(station, EventState.OFFNORMAL)]
        info = await client.get_event_information(address)
        assert info.startswith(b"\x0e\x0c\x03\x40\x00\x05\x19\x02\x2a\x05\x60\x3e"), "the raw octets, as it gives them"
        number = BACnetTimeStamp.sequence_number(0)
        with pytest.raises(BacnetProtocolError) as refused:
            await client.acknowledge_alarm_request(address, 1, station, EventState.OFFNORMAL, number, "rusty", exact)
        assert (refused.value.error_class, refused.value.error_code) == (5, 14)
        await client.acknowledge_alarm_request(address, 1, station, EventState.OFFNORMAL, exact, "Rusty Röst", exact)
    assert rig.journal.evidence[-1].origin.user == "Rusty Röst"


@pytest.mark.parametrize("confirmed", [False, True])
async def test_js_is_told_acknowledges_and_is_told_of_the_end(rig: AlarmRig, bms: Bms, confirmed: bool) -> None:
    async with JsBms(rig.server.port) as js:
        await bms.enter(js.destination(confirmed=confirmed))
        rig.faulted()
        told = await js.event()
        assert told["messageText"] == "evce/station/S-1: Station faulted: Faulted"
        assert (told["eventObjectId"], told["fromState"], told["toState"]) == ({"type": 13, "instance": 5}, 0, 2)
        assert (told["notificationClass"], told["priority"], told["ackRequired"]) == (1, 64, True)
        assert (told["initiatingObjectId"], told["processId"]) == ({"type": 8, "instance": 260001}, 57)
        (alarm,) = await js.ask("summary")
        assert (alarm["objectId"], alarm["alarmState"]) == ({"type": 13, "instance": 5}, 2)
        assert await bms.acknowledge(STATUS, OFF, b"\x19\x00") != "2000"
        rig.set("status", 1)
        rig.pass_time(10)
        over = await js.event()
        assert (over["fromState"], over["toState"], over["ackRequired"]) == (2, 0, False)
        assert await js.ask("summary") == []


async def test_js_acknowledges(rig: AlarmRig, bms: Bms) -> None:
    async with JsBms(rig.server.port) as js:
        await bms.enter(js.destination(transitions=(False, True, True)))
        rig.set("status", None, BAD, "no answer")
        assert (await js.event())["toState"] == FAULT
        assert await js.ask("acknowledge Jane Doe") is None
    assert rig.journal.evidence == [], "a class that asks for none of faults has it acknowledged already"


async def test_js_acknowledges_where_it_is_asked_to() -> None:
    rig = AlarmRig(classes=[ClassConfig(ack_required=(True, True, True))])
    await rig.life()
    bms = Bms(rig.server.port)
    try:
        rig.good()
        async with JsBms(rig.server.port) as js:
            await bms.enter(js.destination(transitions=(True, False, False)))
            rig.faulted()
            await js.event()
            assert await js.ask("acknowledge Jane Doe") is None
        assert rig.journal.evidence[-1].origin.user == "Jane Doe"
        assert await bms.read(STATUS, 0) == "8205e0"
    finally:
        bms.sock.close()
        await rig.server.stop()


async def test_wireshark_finds_nothing_malformed(rig: AlarmRig, bms: Bms, tmp_path: Path) -> None:
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed")
    assert await bms.request(8, b"\x0c\x03\xc0\x00\x01\x19\x66\x3e%b\x3f" % bms.destination().octets) == "2008"
    await bms.enter(bms.destination(confirmed=True))
    rig.faulted()
    told = await bms.must()
    rig.set("current", 61.5)
    rig.set("connected", False)
    for _ in range(2):
        await bms.must()
    await bms.acknowledge(STATUS, OFF, told.stamp)
    assert (await bms.must()).notify == 2
    await bms.acknowledge(STATUS, HIGH, told.stamp)
    for prop in (0, 7, 17, 35, 72, 102, 113, 130, 351, 353):
        await bms.read(CLASS if prop == 102 else STATUS, prop)
    await bms.request(29, b"")
    await bms.request(3, b"")
    rig.set("status", None, BAD, "no answer")
    rig.set("status", 1)
    for _ in range(2):
        await bms.must()
    await bms.request(9, b"\x0c\x03\xc0\x00\x01\x19\x66\x3e%b\x3f" % bms.destination(process=99).octets)
    file = tmp_path / "alarms.pcap"
    file.write_bytes(capture(bms.frames))
    fields = ["-T", "fields", "-e", "_ws.malformed", "-e", "_ws.expert.message", "-e", "bacapp.type"]
    code, out, err = await run_program("tshark", "-r", str(file), *fields)
    assert code == 0, err
    wrong = [line for line in out.splitlines() if not line.startswith("\t\t")]
    assert wrong == []
    assert len(out.splitlines()) == len(bms.frames) > 40
    _, details, _ = await run_program("tshark", "-r", str(file), "-V")
    assert "Station faulted: Faulted" in details
    for word in ("high-limit", "offnormal", "change-of-reliability", "out-of-range", "change-of-state"):
        assert word in details.lower().replace(" ", "-"), word
