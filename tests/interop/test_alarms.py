"""Alarms of the whole gateway: the product has a trouble, a BMS is told, acknowledges, and is told of its end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.app.control import Control
from gateway.cli.show import show_status
from gateway.core.priority import Origin
from gateway.engine.ports import Ask
from gateway.servers.bacnet.npdu import header
from tests.servers.bacnet.alarm_rig import Bms, Event
from tests.servers.bacnet.js_bms import JsBms
from tests.site import DIALECTS, MAPPINGS, AheadClock, Running, running_site

NORMAL, FAULT, OFF, HIGH, LOW = range(5)
ZONE = "evce/zone/Zone A"
LIMIT = f"{ZONE}/reduction"
TYPES = {"analog-input": 0, "binary-input": 3, "multi-state-input": 13}
SMALL: dict[str, Any] = {"stations": 4, "zones": 1, "meters": 1}


def quick(folder: Path, dialect: str = "desc", share: float = 1.05) -> Any:
    """The shipped mapping with short delays, polled each second; a zone may draw `share` of its limit."""
    alarm = {"delay": "100ms", "high": {"point": "reduction.applied", "by": share}}
    resources = {
        "station": {"reads": {"status": {"every": "1s"}}, "points": {"status": {"alarm": {"delay": "100ms"}}}},
        "zone": {
            "reads": {"status": {"every": "1s"}, "reduction": {"every": "1s"}},
            "points": {"current": {"alarm": alarm}},
        },
    }
    mapping = {"extends": str(MAPPINGS / DIALECTS[dialect]), "resources": resources}
    (folder / "quick.yaml").write_text(yaml.safe_dump(mapping), encoding="utf-8")
    return lambda data: data["sources"][0].update(mapping="quick.yaml")


@asynccontextmanager
async def told(site: Running) -> AsyncIterator[Bms]:
    """A BMS that has entered itself into the Recipient_List."""
    bms = Bms(site.bacnet_port)
    try:
        assert await bms.enter(bms.destination(confirmed=True)) == "200f"
        yield bms
    finally:
        bms.sock.close()


def key_of(site: Running, point: str) -> int:
    place = site.placed(point).objects[0]
    return TYPES[place.object] << 22 | int(place.instance)


async def about(bms: Bms, key: int, to: int) -> Event:
    """The notification of an object's change to a state; others that come before are passed over."""
    for _ in range(50):
        event = await bms.next(15.0)
        assert event is not None, "nobody was told"
        if (event.key, event.to, event.notify) == (key, to, 0):
            return event
    pytest.fail("fifty other alarms")


@pytest.mark.parametrize("dialect", ["desc", "nested"])
async def test_a_faulted_station_is_told_acknowledged_and_told_to_be_well_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], dialect: str
) -> None:
    async with running_site(tmp_path, dialect, change=quick(tmp_path, dialect), **SMALL) as site:
        await site.complete()
        name = next(iter(site.evce.site.stations.values())).name
        key = key_of(site, f"evce/station/{name}/status")
        async with told(site) as bms:
            await site.evce.do("station_fault", name=name, faulted=True)
            event = await about(bms, key, OFF)
            assert event.text == f"evce/station/{name}: station faulted: Faulted" or dialect == "nested"
            assert event.text.lower() == f"evce/station/{name}: station faulted: faulted".lower()
            assert (event.number, event.priority, event.ack) == (1, 64, True)
            status = Control(site.daemon).status()
            assert event.text in status["alarm_texts"]
            (row,) = [row for row in status["point_alarms"] if row["point"] == f"evce/station/{name}/status"]
            assert (row["state"], row["acknowledged"], row["text"]) == ("off-normal", False, event.text)
            show_status(status)
            assert f"not acknowledged {event.text}" in capsys.readouterr().out
            assert await bms.read(key, 111) == "820480"
            assert await bms.acknowledge(key, OFF, event.stamp) == "2000"
            ack = await bms.next(5.0)
            assert ack is not None
            assert (ack.notify, ack.key) == (2, key)
            await site.evce.do("station_fault", name=name, faulted=False)
            assert "back to normal" in (await about(bms, key, NORMAL)).text
            assert await bms.read(key, 111) == "820400"
            assert event.text not in site.daemon.alarms.texts().values()


async def test_js_is_told_of_a_faulted_station_and_acknowledges(tmp_path: Path) -> None:
    async with running_site(tmp_path, change=quick(tmp_path), **SMALL) as site:
        await site.complete()
        name = next(iter(site.evce.site.stations.values())).name
        key = key_of(site, f"evce/station/{name}/status")
        async with JsBms(site.bacnet_port) as js, told(site) as bms:
            await bms.enter(js.destination(confirmed=True, transitions=(True, False, False)))
            await site.evce.do("station_fault", name=name, faulted=True)
            while (event := await js.event())["eventObjectId"] != {"type": 13, "instance": key & 0x3FFFFF}:
                pass
            assert event["messageText"] == f"evce/station/{name}: station faulted: Faulted"
            assert await js.ask("acknowledge Jane Doe") is None
            assert await bms.read(key, 0) == "8205e0"


async def test_a_zone_over_its_limit_is_told_with_both_numbers(tmp_path: Path) -> None:
    async with running_site(tmp_path, change=quick(tmp_path, share=0.01), **SMALL) as site:
        await site.complete()
        async with told(site) as bms:
            event = await about(bms, key_of(site, f"{ZONE}/current"), HIGH)
            limit = site.value(f"{LIMIT}.applied") * 0.01
            assert event.text.startswith(f"{ZONE}: zone over its limit: ")
            assert event.text.endswith(f" A is above {limit:.4g} A")
            assert event.type == 5


async def test_a_lost_source_is_told_once_and_its_end_too(tmp_path: Path) -> None:
    clock = AheadClock()
    async with running_site(tmp_path, change=quick(tmp_path), gateway_clock=clock, **SMALL) as site:
        await site.complete()
        key = key_of(site, "evce/source/connected")
        await site.until(lambda: site.value("evce/source/connected") is True)
        async with told(site) as bms:
            await site.evce.do("listen", on=False)
            await site.until(lambda: site.value("evce/source/connected") is False, 30.0)
            clock.ahead_s += 16
            event = await about(bms, key, OFF)
            assert event.text == "evce/source: source lost: off"
            await site.evce.do("listen", on=True)
            clock.ahead_s += 60
            await site.until(lambda: site.value("evce/source/connected") is True, 30.0)
            clock.ahead_s += 16
            await about(bms, key, NORMAL)


async def test_failsafe_and_a_value_that_is_not_in_force_are_told(tmp_path: Path) -> None:
    clock = AheadClock()
    change = quick(tmp_path)

    def leased(data: dict[str, Any]) -> None:
        change(data)
        data["bacnet"] |= {"lease_s": 60, "on_bms_loss": "release"}

    async with running_site(tmp_path, change=leased, gateway_clock=clock, **SMALL) as site:
        await site.complete()
        index = site.daemon.table.find(LIMIT)
        assert index is not None
        asked = [Ask(index, 40.0, 9)]
        async with told(site) as bms:
            await site.daemon.desk.submit(asked, Origin("bacnet", "10.0.0.9:47808"))
            await site.until(lambda: site.value(f"{LIMIT}.write_status") == 4)
            clock.ahead_s += 61
            event = await about(bms, key_of(site, f"{LIMIT}.authority"), OFF)
            assert event.text == f"{ZONE}: failsafe is active: failsafe"
            site.evce.faults.add("*", method="PUT", status=400)
            await site.daemon.desk.submit([Ask(index, 30.0, 9)], Origin("bacnet", "10.0.0.9:47808"))
            await about(bms, key_of(site, f"{LIMIT}.authority"), NORMAL)
            await site.until(lambda: site.value(f"{LIMIT}.write_status") == 8)
            clock.ahead_s += 10
            event = await about(bms, key_of(site, f"{LIMIT}.write_status"), OFF)
            assert event.text == f"{ZONE}: what is asked is not in force: rejected"


async def test_a_virtual_device_tells_of_its_own_alarms_and_takes_the_acknowledgement(tmp_path: Path) -> None:
    change, network = quick(tmp_path), 200

    def divided(data: dict[str, Any]) -> None:
        change(data)
        data["bacnet"] |= {"devices": "per_resource", "network": network, "first_instance": 271000}

    async with running_site(tmp_path, change=divided, **SMALL) as site:
        await site.complete()
        name = next(iter(site.evce.site.stations.values())).name
        point = f"evce/station/{name}/status"
        key, device = key_of(site, point), site.placed(point).device.instance
        bms = Bms(site.bacnet_port)
        try:
            assert await bms.enter(bms.destination()) == "200f"
            await site.evce.do("station_fault", name=name, faulted=True)
            while True:
                event = await about(bms, key, OFF)
                if event.device == 8 << 22 | device:
                    break
            assert bms.source == (network, device.to_bytes(3, "big"))
            assert name in event.text
            bms.npci = header(0x04, network, device.to_bytes(3, "big"))
            assert await bms.read(15 << 22 | 1, 102) == bms.destination().octets.hex(), "the classes of all are one"
            assert await bms.acknowledge(key, OFF, event.stamp) == "2000"
            assert await bms.read(key, 0) == "8205e0"
        finally:
            bms.sock.close()
