"""Virtual devices: what each of them is, and that it is the same one tomorrow."""

from __future__ import annotations

import pytest

from gateway.core.value import GOOD, Sample
from gateway.servers.bacnet import plans
from gateway.servers.bacnet.management import SILENCED
from gateway.servers.bacnet.presence import DUPLICATE
from tests.servers.bacnet.campus import (
    ANALOG_INPUT,
    ANALOG_VALUE,
    DEVICE,
    FIRST,
    NETWORK,
    OBJECT_NAME,
    PRESENT_VALUE,
    WHO_IS,
    Campus,
    behind,
    destined,
    key,
    mac,
    make_campus,
    running,
)
from tests.servers.bacnet.watcher import settle
from tests.site import until

DESCRIPTION, OBJECT_LIST, SERVICES, ACTIVE_COV, REVISION = 28, 76, 97, 152, 155
SUBSCRIBE = "0005 {:02x} 05 0907 1c{} 29{:02x} 3978"
DISABLE_INITIATION, ENABLE = "0005 01 11 1902", "0005 01 11 1900"
REINITIALIZE = "0005 01 14 0901"


def text(octets: str) -> str:
    data = bytes.fromhex(octets)
    at = data.index(b"\x00")
    return data[at + 1 :].decode()


async def test_each_has_its_own_name_and_objects() -> None:
    async with running(2) as (campus, client):
        campus.bench.table.update([(campus.index[1, "current"], Sample(7.5, GOOD, "", 0.0))])
        assert text(await client.read(0, DEVICE, FIRST, OBJECT_NAME)) == "evce.station.Bay 0"
        assert text(await client.read(1, DEVICE, FIRST + 1, DESCRIPTION)) == "evce/station/Bay 1"
        assert await client.read(1, ANALOG_INPUT, 0, PRESENT_VALUE) == "4440f00000"
        assert await client.read(0, ANALOG_INPUT, 0, PRESENT_VALUE) == "447fc00000"
        objects = await client.read(1, DEVICE, 4194303, OBJECT_LIST)
        assert objects.startswith(f"c4{key(DEVICE, FIRST + 1)}c4{key(56, 1)}c4{key(ANALOG_INPUT, 0)}")
        assert objects.count("c4") >= 2 + 9
        heard = await client.ask(0, f"0205 09 0c 0c{key(DEVICE, FIRST + 1)} 194d")
        assert heard is not None
        assert heard.body.hex() == "50090c9101911f", "unknown-object: it is another device's"


async def test_ports_say_which_network_they_stand_in() -> None:
    async with running(1, ip_network=3) as (_, client):
        assert await client.read(0, 56, 1, 427) == "9107"
        assert await client.read(0, 56, 1, 425) == "21c8"
        assert await client.read(0, 56, 1, 423) == f"63{mac(0).hex()}"
        numbers = {}
        for port in (1, 2):
            for prop in (425, 426, 427):
                answer = await client.raw.apdu(f"0205 01 0c 0c{key(56, port)} 1a{prop:04x}")
                assert answer is not None
                numbers[port, prop] = answer[-4:-2]
        assert numbers == {
            (1, 425): "03",
            (1, 426): "03",
            (1, 427): "05",
            (2, 425): "c8",
            (2, 426): "03",
            (2, 427): "07",
        }


async def test_a_write_reaches_the_point_of_that_device_only() -> None:
    async with running(2) as (campus, client):
        heard = await client.ask(1, f"0005 02 0f 0c{key(ANALOG_VALUE, 7)} 1955 3e 4441a00000 3f 4908")
        assert heard is not None
        assert (heard.device, heard.body.hex()) == (FIRST + 1, "20020f")
        ((ask, origin),) = campus.bench.commands.asks
        assert (ask.index, ask.value, ask.slot) == (campus.index[1, "limit"], 20.0, 8)
        assert origin.group == "bacnet"


async def test_a_client_behind_another_router_is_answered_through_it() -> None:
    async with running(1) as (_, client):
        heard = await client.ask(0, f"0205 05 0c 0c{key(DEVICE, FIRST)} 194d", source=behind(9, b"\x17"))
        assert heard is not None
        assert (heard.head.dnet, heard.head.dadr, heard.device) == (9, b"\x17", FIRST)
        assert heard.head.hops > 200
        assert heard.body[:3].hex() == "30050c"


async def test_an_answer_in_segments_comes_through_the_router() -> None:
    async with running(1) as (_, client):
        heard = await client.ask(0, f"0200 06 0c 0c{key(DEVICE, FIRST)} 194c")
        got = b""
        for sequence in range(20):
            assert heard is not None
            assert heard.device == FIRST
            assert heard.body[0] & 0x08
            assert heard.body[2] == sequence
            assert heard.head.control & 0x04, "a Segment-ACK is expected"
            assert len(heard.body) <= 50
            got += heard.body[5:]
            more = heard.body[0] & 0x04
            client.send(destined(bytes((0x40, 6, sequence, 1)), NETWORK, mac(0)))
            if not more:
                break
            heard = await client.hear()
        assert got.count(b"\xc4") >= 11
        assert got.endswith(b"\x3f")


@pytest.mark.parametrize("confirmed", [0, 1])
async def test_changes_come_from_the_device_they_happened_in(confirmed: int) -> None:
    async with running(2) as (campus, client):
        heard = await client.ask(1, SUBSCRIBE.format(3, key(ANALOG_INPUT, 0), confirmed))
        assert heard is not None
        assert heard.body.hex() == "200305"
        first = await client.hear()
        assert first is not None
        assert first.device == FIRST + 1
        at = 4 if confirmed else 2
        assert first.body[at : at + 12].hex() == f"09071c{key(DEVICE, FIRST + 1)}2c{key(ANALOG_INPUT, 0)}"
        if confirmed:
            assert first.head.control & 0x04
            client.send(destined(bytes((0x20, first.body[2], 1)), NETWORK, mac(1)))
        for number, value in ((0, 3.0), (1, 4.0)):
            campus.bench.table.update([(campus.index[number, "current"], Sample(value, GOOD, "", 0.0))])
        campus.bench.pass_time(1.0)
        changed = await client.hear()
        assert changed is not None
        assert changed.device == FIRST + 1
        assert b"\x2e\x44\x40\x80\x00\x00\x2f" in changed.body
        assert await client.read(1, DEVICE, FIRST + 1, ACTIVE_COV) != ""
        assert await client.read(0, DEVICE, FIRST, ACTIVE_COV) == ""
        assert campus.bench.server.counters["subscriptions"] == 1


async def test_B07_a_silenced_device_keeps_its_changes_and_the_others_talk_on() -> None:
    async with running(2) as (campus, client):
        for number in (0, 1):
            assert await client.ask(number, SUBSCRIBE.format(3, key(ANALOG_INPUT, 0), 0)) is not None
            assert await client.hear() is not None
        heard = await client.ask(0, DISABLE_INITIATION)
        assert heard is not None
        assert heard.body.hex() == "200111"
        alarm = f"{SILENCED}.{FIRST}"
        assert f"told virtual device {FIRST} to send no BACnet" in campus.bench.alarms.texts()[alarm]
        campus.bench.pass_time(1.0)
        both = [(campus.index[number, "current"], Sample(5.0 + number, GOOD, "", 0.0)) for number in (0, 1)]
        campus.bench.table.update(both)
        campus.bench.pass_time(1.0)
        (spoken,) = await client.hear_all(1)
        assert spoken.device == FIRST + 1
        await client.ask(0, ENABLE)
        late = await client.hear()
        assert late is not None
        assert late.device == FIRST
        assert b"\x44\x40\xa0\x00\x00" in late.body
        assert alarm not in campus.bench.alarms


async def test_a_silence_of_minutes_ends_by_itself() -> None:
    async with running(1) as (campus, client):
        await client.ask(0, "0005 01 11 0901 1902")
        assert f"{SILENCED}.{FIRST}" in campus.bench.alarms
        campus.bench.pass_time(61.0)
        await until(lambda: f"{SILENCED}.{FIRST}" not in campus.bench.alarms, 3.0)


async def test_B07_a_restart_is_not_a_virtual_devices_to_carry_out() -> None:
    asked: list[int] = []
    async with running(1, terms={"restart": lambda: asked.append(1)}) as (_, client):
        heard = await client.ask(0, REINITIALIZE)
        assert heard is not None
        assert heard.body.hex() == "600109", "Reject unrecognized-service"
        own = await client.raw.apdu(REINITIALIZE)
        assert own == "200114"
        assert asked == [1]
        services = bytes.fromhex(await client.read(0, DEVICE, FIRST, SERVICES))
        assert services[3 + 20 // 8] & (0x80 >> 20 % 8) == 0


def revisions(campus: Campus) -> dict[int, int]:
    return {instance: state["revision"] for instance, state in campus.kept.items()}


async def test_database_revision_is_each_ones_own_and_outlives_a_restart() -> None:
    async with running(2) as (campus, client):
        assert await client.read(0, DEVICE, FIRST, REVISION) == "2203e8"
        campus.add(1, "Bay One")
        assert text(await client.read(1, DEVICE, FIRST + 1, OBJECT_NAME)) == "evce.station.Bay One"
        assert int(await client.read(1, DEVICE, FIRST + 1, REVISION), 16) > 0x2203E8
        campus.add(7)
        assert text(await client.read(7, DEVICE, FIRST + 7, OBJECT_NAME)) == "evce.station.Bay 7"
        known = revisions(campus)
    again = make_campus(1, dict(campus.kept))
    again.add(1, "Bay One")
    again.add(7)
    await again.bench.server.start()
    assert revisions(again) == known
    await again.bench.server.stop()


async def test_a_new_device_introduces_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(1) as (campus, _):
        fleet = campus.bench.server.fleet
        assert fleet is not None
        await until(lambda: not fleet.calls.waits, 3.0)
        said: list[int] = []
        monkeypatch.setattr(fleet.calls, "announce", said.extend)
        campus.add(5)
        campus.add(5, "Renamed")
        assert said == [FIRST + 5]


async def test_a_reload_keeps_devices_and_the_subscriptions_to_them() -> None:
    async with running(3) as (campus, client):
        for number in (0, 2):
            assert await client.ask(number, SUBSCRIBE.format(3, key(ANALOG_INPUT, 0), 0)) is not None
            assert await client.hear() is not None
        server = campus.bench.server
        server.rebuild([*campus.points(0), *campus.points(1), *campus.points(5)], "{name}.{point}")
        assert server.counters["devices"] == 1 + 3
        assert server.counters["subscriptions"] == 1, "that to a device which is no more is over"
        assert await client.ask(2, f"0205 05 0c 0c{key(DEVICE, 4194303)} 194d", wait_s=0.2) is None
        client.send(destined(WHO_IS, NETWORK))
        assert [heard.device for heard in await client.hear_all(3)] == [FIRST, FIRST + 1, FIRST + 5]
        assert text(await client.read(0, ANALOG_INPUT, 0, OBJECT_NAME)) == "Bay 0.current"
        campus.bench.pass_time(1.0)
        campus.bench.table.update([(campus.index[0, "current"], Sample(6.0, GOOD, "", 0.0))])
        heard = await client.hear(2.0)
        assert heard is not None
        assert heard.device == FIRST
        assert b"\x44\x40\xc0\x00\x00" in heard.body


async def test_the_silence_of_a_device_that_a_reload_removed_is_no_alarm_any_more() -> None:
    async with running(2) as (campus, client):
        await client.ask(1, DISABLE_INITIATION)
        alarm = f"{SILENCED}.{FIRST + 1}"
        assert alarm in campus.bench.alarms
        server = campus.bench.server
        server.rebuild(campus.points(0), "{name}.{point}")
        assert alarm not in campus.bench.alarms
        server.rebuild([*campus.points(0), *campus.points(1)], "{name}.{point}")
        assert await client.ask(1, SUBSCRIBE.format(3, key(ANALOG_INPUT, 0), 0)) is not None
        assert await client.hear() is not None, "one that comes back may speak"


async def test_names_are_unique_whatever_the_template_gives() -> None:
    async with running(3, device_name="{source}") as (_, client):
        names = [text(await client.read(number, DEVICE, FIRST + number, OBJECT_NAME)) for number in range(3)]
        assert names == ["evce", f"evce#{FIRST + 1}", f"evce#{FIRST + 2}"]


async def test_B08_a_virtual_devices_number_used_twice_is_an_alarm() -> None:
    async with running(3) as (campus, client):
        double = bytes.fromhex(f"1000 c4{key(DEVICE, FIRST + 2)} 2205c4 9103 2203e7")
        client.send(b"\x01\x00" + double)
        await until(lambda: DUPLICATE in campus.bench.alarms, 3.0)
        told = campus.bench.alarms.texts()[DUPLICATE]
        assert f"says it is BACnet device {FIRST + 2} too" in told
        assert "change bacnet.first_instance here" in told
        assert FIRST + 50 not in campus.bench.server.fleet.numbers
        for _ in range(4):
            campus.bench.pass_time(61.0)
            await settle()
        await until(lambda: DUPLICATE not in campus.bench.alarms, 3.0)


async def test_what_requests_mean_is_kept_within_one_bound_for_all_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "MOST_STEPS", 20)
    async with running(8) as (campus, client):
        for invoke in range(5):
            for number in range(8):
                await client.read(number, ANALOG_INPUT, invoke % 2, PRESENT_VALUE, invoke)
        fleet = campus.bench.server.fleet
        assert fleet is not None
        reads = [device.responder.parts.reads for device in fleet if device.responder is not None]
        assert len(reads) == 8
        assert 0 < sum(len(each._plans) for each in reads) <= 20


async def test_nobody_is_served_who_is_not_there() -> None:
    async with running(1) as (campus, client):
        dropped = campus.bench.server.counters["dropped"]
        assert await client.ask(9, f"0205 05 0c 0c{key(DEVICE, FIRST + 9)} 194d", wait_s=0.2) is None
        assert campus.bench.server.counters["dropped"] == dropped + 1
        client.send(destined(WHO_IS, NETWORK, mac(0)))
        heard = await client.hear()
        assert heard is not None
        assert heard.body.hex().startswith(f"1000c4{key(DEVICE, FIRST)}")
