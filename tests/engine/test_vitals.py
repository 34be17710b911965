"""Status words, the source's own points and the header's counts, once a second."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.addressing import source_kind
from gateway.addressing.builtin import GATEWAY_SOURCE, gateway_kind
from gateway.engine import poller
from gateway.engine.vitals import Vitals
from tests.engine.rig import POLICY, Plant, all_read, until

BAY = "evce/station/Bay 001"


@pytest.fixture
async def site(evce, plant):
    """The engine with its vitals, turned by hand."""
    plant.add("evce", evce)
    plant.vitals = Vitals(plant.table, plant.inventory, plant.desk, plant.clock, version="1.2", map_hash=lambda: 7)
    plant.vitals.pollers = plant.pollers
    plant.vitals.header = plant.inventory.single(GATEWAY_SOURCE, gateway_kind("big", "big", [(0, "evce")]))
    for single in (plant.vitals.header, plant.inventory.single("evce", source_kind("big", "big"))):
        single.present, single.trouble = True, ""
    return plant


def header(plant, name):
    index = plant.vitals.header.indices[name]
    return plant.table.sample(index).value


async def good(plant):
    await until(lambda: plant.value(f"{BAY}/zone") is not None)
    await until(lambda: plant.value("evce/zone/Zone B/reduction.applied") is not None)
    await until(lambda: plant.value("evce/zone/Zone B/power") is not None)
    await until(lambda: plant.value("evce/meter/Meter 1/power") is not None)
    for _ in range(2):
        plant.vitals.tick()


async def test_everything_well(site):
    async with site.running():
        await all_read(site)
        await good(site)
        assert site.value(f"{BAY}/status.online") == 1
        assert site.value(f"{BAY}/status.quality") == 1
        assert site.value(f"{BAY}/status.age_s") == 0
        assert site.value("evce/source/connected") is True
        assert (header(site, "sources_good"), header(site, "sources_total")) == (1, 1)
        assert header(site, "alarms_active") == 0
        bad = [n for i, n in enumerate(site.table.names) if site.table.sample(i).quality > 2]
        assert bad == []
        assert header(site, "points_bad") == 0
        assert (header(site, "version"), header(site, "map_hash")) == ("1.2", 7)


async def test_heartbeat_moves_with_every_tick(site):
    beats = []
    async with site.running():
        for _ in range(3):
            site.vitals.tick()
            beats.append(header(site, "heartbeat"))
    assert beats == [1, 2, 3]


async def test_one_missing_member_does_not_take_a_station_off_line(site):
    site.sims["evce"].faults.add("/stations/statuses", member="*.power", change="drop")
    async with site.running():
        await until(lambda: site.value(f"{BAY}/energy") is not None)
        site.vitals.tick()
        assert site.value(f"{BAY}/status.online") == 1
        assert site.value(f"{BAY}/status.quality") == 3


async def test_inhibited_resources_are_off_line_and_an_alarm(site):
    async with site.running():
        await good(site)
        await site.sims["evce"].do("duplicate_name", kind="zone", name="Zone A", other="Zone B")
        await until(lambda: site.resource("zone", "Zone B").trouble.startswith("two or more"))
        site.vitals.tick()
        assert site.value("evce/zone/Zone A/status.online") == 0
        assert site.value("evce/zone/Zone A/status.quality") == 4
        assert header(site, "alarms_active") == 2


async def test_dead_source_ages_and_says_so(site):
    async with site.running():
        await good(site)
        await site.sims["evce"].do("listen", on=False)
        await until(lambda: site.pollers["evce"].health.state == "down")
        site.later(20)
        site.vitals.tick()
        assert site.value("evce/source/connected") is False
        assert site.value("evce/source/last_good") >= 20
        assert site.value(f"{BAY}/status.online") == 0
        assert site.value(f"{BAY}/status.quality") == 2
        assert site.value(f"{BAY}/status.age_s") >= 20
        assert header(site, "sources_good") == 0
        assert header(site, "alarms_active") == 1


async def test_U20_the_circuit_of_a_source_is_points(site, monkeypatch):
    monkeypatch.setattr(poller, "BACKOFF_S", (1.0, 2.0))
    async with site.running():
        await good(site)
        assert site.value("evce/source/state") == 2
        assert site.sample("evce/source/retry_in_s")[:2] == (None, 1)
        assert site.value("evce/source/reason") == ""
        await site.sims["evce"].do("listen", on=False)
        await until(lambda: site.pollers["evce"].health.next_try is not None)
        site.vitals.tick()
        assert site.value("evce/source/state") == 3
        assert site.value("evce/source/retry_in_s") in (1, 2)
        assert "cannot connect" in site.value("evce/source/reason")
        await site.sims["evce"].do("listen", on=True)
        await until(lambda: site.pollers["evce"].health.state == "up")
        site.vitals.tick()
        assert site.value("evce/source/state") == 2
        assert site.value("evce/source/retry_in_s") is None
        assert site.value("evce/source/reason") == ""


async def test_U22_overruns_and_U01_relogins_are_points(site):
    async with site.running():
        await good(site)
        site.vitals.tick()
        assert (site.value("evce/source/overruns"), site.value("evce/source/relogins")) == (0, 0)
        site.sims["evce"].faults.add("/stations/statuses", delay_s=0.4)
        await until(lambda: site.pollers["evce"].health.overruns > 0)
        await site.sims["evce"].do("revoke")
        await until(lambda: site.pollers["evce"].health.relogins == 1)
        site.vitals.tick()
        assert site.value("evce/source/overruns") > 0
        assert site.value("evce/source/relogins") == 1
        site.pollers["evce"].health.overruns = 70_000
        site.vitals.tick()
        assert site.value("evce/source/overruns") == 65534


async def test_a_quiet_second_changes_only_what_counts_seconds(site):
    async with site.running():
        await good(site)
        site.vitals.tick()
        site.changes.clear()
        site.vitals.tick()
        names = {name for step in site.changes for name in step}
        assert {name.rpartition("/")[2] for name in names} <= {"heartbeat", "uptime_s", "poll_ms", "session_age_s"}


async def test_C16_C03_the_flags_say_what_stands_between_a_command_and_its_effect(site):
    async with site.running():
        await good(site)
        assert header(site, "flags") == 0
        await site.ask(20.0, slot=10)
        await site.ask(30.0, slot=8)
        site.vitals.tick()
        assert header(site, "flags") == 0b1000, "30 A hide the tighter 20 A"
        site.journal.hang = True
        await site.ask(None, slot=8)
        site.vitals.tick()
        assert header(site, "flags") == 0b0001, "accepted, and not on the disk"
        assert header(site, "alarms_active") >= 1


@pytest.mark.parametrize(
    ("dry_run", "read_only", "flags"), [(True, False, 0b10), (False, True, 0b100), (True, True, 0b110)]
)
async def test_the_flags_tell_how_the_gateway_is_set(evce, dry_run, read_only, flags):
    plant = Plant(replace(POLICY, dry_run=dry_run, read_only=read_only))
    plant.vitals = Vitals(plant.table, plant.inventory, plant.desk, plant.clock, version="1", map_hash=lambda: 7)
    plant.vitals.header = plant.inventory.single(GATEWAY_SOURCE, gateway_kind("big", "big", []))
    plant.vitals.tick()
    assert header(plant, "flags") == flags


async def test_the_table_holds_the_heartbeat_of_bacnet(site):
    site.vitals.tick()
    assert (header(site, "bms_heartbeat"), header(site, "bms_heartbeat_age_s")) == (0, None)
    for value in (7, 8):
        site.desk.heartbeat("bacnet", value)
    site.desk.heartbeat("modbus/bms", 500)
    site.clock.added += 12.0
    site.vitals.tick()
    assert (header(site, "bms_heartbeat"), header(site, "bms_heartbeat_age_s")) == (8, 12)
    site.clock.added += 1e6
    site.vitals.tick()
    assert header(site, "bms_heartbeat_age_s") == 65534
