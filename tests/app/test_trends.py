"""The whole gateway keeps histories: from the product's answer to a record that a BMS reads, over a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rusty_bacnet import BACnetClient, ObjectIdentifier, ObjectType, PropertyIdentifier, PropertyValue

from tests.site import MAPPINGS, AheadClock, Running, running_site, until

HOST = "127.0.0.1"
CURRENT, ASKED, APPLIED = (ObjectIdentifier(ObjectType.TREND_LOG, number) for number in (1006, 1040, 1041))
REDUCTION = ObjectIdentifier(ObjectType.ANALOG_VALUE, 1040)


async def next_record(site: Running, clock: AheadClock, point: str, *, read: bool = True) -> None:
    """Moves to just before the next full minute, and waits for the record of it.

    The way there can be longer than the point's stale time; it is read again on the way, unless its source is lost.
    """
    index = site.daemon.table.find(point)
    assert index is not None
    log = site.daemon.history.log(index)
    assert log is not None
    if read:
        clock.ahead_s += (50 - clock.wall()) % 60
        there = clock.monotonic()
        await until(lambda: site.daemon.table.sample(index).time > there)
    clock.ahead_s += 60 - clock.wall() % 60 - 0.2
    had = log.last
    await until(lambda: log.last > had)


async def datums(client: BACnetClient, site: Running, log: ObjectIdentifier) -> list[dict[str, Any]]:
    page = await client.read_log_page(f"{HOST}:{site.bacnet_port}", log)
    assert page["done"]
    return [record["datum"] for record in page["records"]]


@pytest.mark.parametrize("dialect", ["desc", "nested"])
async def test_current_and_limit_of_a_zone_are_kept_over_a_restart(tmp_path: Path, dialect: str) -> None:
    clock = AheadClock()
    async with (
        running_site(tmp_path, dialect, gateway_clock=clock) as site,
        BACnetClient(HOST, 0, "127.255.255.255", 3000) as client,
    ):
        await site.complete()
        await next_record(site, clock, "evce/zone/Zone A/current")
        await client.write_property(
            f"{HOST}:{site.bacnet_port}", REDUCTION, PropertyIdentifier.PRESENT_VALUE, PropertyValue.real(40.0), 8
        )
        await until(lambda: site.value("evce/zone/Zone A/reduction.applied") == 40.0)
        since, now = clock.wall() - 3600, clock.wall() + 1
        kept = await site.daemon.history.read("evce/zone/Zone A/current", since, now, 100)
        currents = await datums(client, site, CURRENT)
        assert currents[-1]["real"] == pytest.approx(kept[-1].value)
        assert kept[-1].at % 60 == 0
        assert (await datums(client, site, ASKED))[-1] == {"kind": "real", "real": 40.0}
        assert (await datums(client, site, APPLIED))[-1] == {"kind": "real", "real": 40.0}
        limits = await site.daemon.history.read("evce/zone/Zone A/reduction.applied", since, now, 100)
        assert limits[-1].value == 40.0

    async with (
        running_site(tmp_path, dialect, gateway_clock=clock) as site,
        BACnetClient(HOST, 0, "127.255.255.255", 3000) as client,
    ):
        again = await datums(client, site, CURRENT)
        assert again[: len(currents)] == currents
        assert again[len(currents)] == {"kind": "log_status", "log_status": 4}  # log-interrupted
        assert {"kind": "real", "real": 40.0} in await datums(client, site, APPLIED)


async def test_a_source_that_is_lost_leaves_records_without_a_value(tmp_path: Path) -> None:
    clock = AheadClock()
    async with running_site(tmp_path, gateway_clock=clock) as site:
        await site.complete()
        site.evce.faults.add(status=503)
        clock.ahead_s += 600  # far beyond every stale time
        await until(lambda: site.value("evce/zone/Zone A/current") is None)
        await next_record(site, clock, "evce/zone/Zone A/current", read=False)
        kept = await site.daemon.history.read("evce/zone/Zone A/current", clock.wall() - 90, clock.wall(), 1)
        assert kept[-1].value is None


async def test_a_history_that_was_damaged_is_an_alarm_and_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / "history.db").write_text("not a database")
    async with running_site(tmp_path) as site:
        await site.complete()
        text = site.daemon.alarms.text("history.mended")
        assert text is not None
        assert "kept as history.db.broken" in text
        index = site.daemon.table.find("evce/zone/Zone A/reduction.applied")
        assert index is not None
        log = site.daemon.history.log(index)
        assert log is not None
        await until(lambda: log.count > 0)


async def test_a_reload_takes_another_trend_and_keeps_the_records(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"

    def write(zone: str) -> None:
        own.write_text(f"extends: {MAPPINGS / 'evce.yaml'}\nresources: {{zone: {{points: {zone}}}}}\n")

    def use(data: dict[str, Any]) -> None:
        write("{}")
        data["sources"][0]["mapping"] = "own.yaml"

    clock = AheadClock()
    async with (
        running_site(tmp_path, gateway_clock=clock, change=use) as site,
        BACnetClient(HOST, 0, "127.255.255.255", 3000) as client,
    ):
        await site.complete()
        await next_record(site, clock, "evce/zone/Zone A/current")
        before = await datums(client, site, CURRENT)
        write("{current: {trend: {every: 5m, buffer: 500}}, power: {trend: null, bacnet: {trend: null}}}")
        found = await site.daemon.reload("anna")
        assert found.refused == []
        where = f"{HOST}:{site.bacnet_port}"
        interval = await client.read_property(where, CURRENT, PropertyIdentifier.LOG_INTERVAL)
        size = await client.read_property(where, CURRENT, PropertyIdentifier.BUFFER_SIZE)
        assert (interval.value, size.value) == (30_000, 500)
        after = await datums(client, site, CURRENT)
        assert after == [*before, {"kind": "log_status", "log_status": 4}]
        device = ObjectIdentifier(ObjectType.DEVICE, 260001)
        listed = await client.read_property(where, device, PropertyIdentifier.OBJECT_LIST)
        logs = [each.instance for each in listed.value if each.object_type == ObjectType.TREND_LOG]
        assert 1006 in logs
        assert 1008 not in logs
