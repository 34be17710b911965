"""Answers of real simulators in the table: every value right, every wrong one bad with its reason."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from gateway.core.value import BAD, CONFIG_ERROR, GOOD, STALE
from gateway.simulator import EvceSimulator
from tests.engine.rig import Plant, all_read, until

BAY = "evce/station/Bay 001"
STATUSES = "/stations/statuses"


async def ready(plant, meter="Meter 1"):
    """Everything was read once, with every zone's limit and every station's zone."""
    sim = plant.sims["evce"]
    for zone in sim.site.zones.values():
        for point in ("reduction.applied", "maximum", "stations_charging"):
            await until(lambda n=f"evce/zone/{zone.name}/{point}": plant.value(n) is not None)
    for station in sim.site.stations.values():
        await until(lambda n=f"evce/station/{station.name}/zone": plant.value(n) is not None)
    await until(lambda: plant.quality(f"{BAY}/status") is GOOD)
    await until(lambda: not meter or plant.value(f"evce/meter/{meter}/energy") is not None)


async def test_bulk_answer_gives_every_station_its_own_values(both, plant):
    plant.add("evce", both)
    async with plant.running():
        await all_read(plant)
        for station in both.site.stations.values():
            name = f"evce/station/{station.name}"
            code = ["Available", "Preparing", "Charging", "SuspendedEVSE", "SuspendedEV", "Finishing"]
            assert plant.value(f"{name}/status") == code.index(station.status) + 1
            assert plant.value(f"{name}/current_l1") == pytest.approx(station.current_a[0], abs=0.051)
            assert plant.value(f"{name}/energy") == pytest.approx(station.energy_wh / 1000, abs=0.01)
            assert plant.value(f"{name}/online") is True
            assert plant.value(f"{name}/zone") == station.zone.name
        for zone in both.site.zones.values():
            name = f"evce/zone/{zone.name}"
            assert plant.value(f"{name}/stations_charging") == zone.charging
            assert plant.value(f"{name}/stations_total") == len(zone.stations)
            assert plant.value(f"{name}/current_l1") == pytest.approx(zone.current_a[0], abs=0.051)
            assert plant.value(f"{name}/maximum") == zone.max_a
            assert plant.value(f"{name}/reduction") == plant.value(f"{name}/reduction.applied") == zone.max_a
        assert plant.value("evce/meter/Meter 1/voltage_l1") == pytest.approx(230, abs=1)


async def test_bender_controller(bender, plant):
    plant.add("garage", bender)
    async with plant.running():
        await until(lambda: plant.value("garage/charger/ambient_temp") is not None)
        assert plant.value("garage/charger/system_state") == 2
        assert plant.value("garage/charger/transaction_active") is True
        await bender.do("unplug")
        await until(lambda: plant.value("garage/charger/transaction_active") is False)
        assert plant.value("garage/charger/transaction_energy") == 0
        assert plant.value("garage/charger/transaction_start") == ""


async def test_U30_missing_member_is_bad_with_its_name_and_siblings_are_good(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await ready(plant)
        before = plant.sample(f"{BAY}/power")
        fault = evce.faults.add(STATUSES, member="*.power", change="drop")
        await until(lambda: plant.quality(f"{BAY}/power") is BAD)
        assert plant.sample(f"{BAY}/power")[:3] == (before.value, BAD, "the answer has no power")
        assert plant.quality(f"{BAY}/energy") is GOOD
        evce.faults.remove(fault)
        await until(lambda: plant.quality(f"{BAY}/power") is GOOD)


async def test_null_is_missing(evce, plant):
    evce.faults.add(STATUSES, member="*.power", value=None)
    plant.add("evce", evce)
    async with plant.running():
        await ready(plant)
        assert plant.sample(f"{BAY}/power")[:3] == (None, BAD, "the answer has no power")


@pytest.mark.parametrize(
    ("member", "wrong", "point", "reason"),
    [
        ("*.power", {"value": "12.3"}, "power", "not a number: '12.3'"),
        ("*.power", {"value": [1]}, "power", "not a number: [1]"),
        ("*.power", {"value": True}, "power", "not a number: True"),
        ("*.power", {"raw": "NaN"}, "power", "not a finite number"),
        ("*.power", {"raw": "1e999"}, "power", "not a finite number"),
        ("*.power", {"raw": "9" * 400}, "power", "over-range"),
        ("*.online", {"value": 1}, "online", "not true or false: 1"),
        ("*.status", {"value": {"a": 1}}, "status", "not an enumeration text"),
    ],
)
async def test_U28_U29_wrong_type_is_bad_and_siblings_are_good(evce, plant, member, wrong, point, reason):
    evce.faults.add(STATUSES, member=member, **wrong)
    plant.add("evce", evce)
    async with plant.running():
        await until(lambda: plant.value(f"{BAY}/energy") is not None)
        sample = plant.sample(f"{BAY}/{point}")
        assert (sample.value, sample.quality) == (None, BAD)
        assert reason in sample.reason


@pytest.mark.parametrize("raw", ["-1", "65535", "65536", "1e12"])
async def test_U32_number_outside_its_registers_is_bad_and_never_wrapped(evce, plant, raw):
    evce.faults.add("/em/zones/*/status", member="stations_total", raw=raw)
    plant.add("evce", evce)
    async with plant.running():
        await until(lambda: plant.value("evce/zone/Zone A/power") is not None)
        sample = plant.sample("evce/zone/Zone A/stations_total")
        assert (sample.value, sample.quality) == (None, BAD)
        assert "over-range" in sample.reason


async def test_U31_unknown_state_is_code_0_with_the_raw_text(evce, plant):
    evce.faults.add(STATUSES, member="0.status", value="Hibernating\nfor ever")
    plant.add("evce", evce)
    async with plant.running():
        await until(lambda: plant.quality(f"{BAY}/status") is GOOD)
        assert plant.sample(f"{BAY}/status")[:3] == (0, GOOD, r"unknown text 'Hibernating\nfor ever'")


async def test_station_missing_in_the_bulk_answer_is_bad_also_where_absent_or_a_comparison_would_give_a_value(
    both, plant
):
    plant.add("evce", both)
    async with plant.running():
        await ready(plant)
        both.faults.add(STATUSES, member="0" if both.dialect == "desc" else "data.*", change="drop")
        await until(lambda: plant.quality(f"{BAY}/power") is BAD)
        for point in ("status", "online", "power", "session_energy", "session_tag", "session_duration"):
            assert plant.sample(f"{BAY}/{point}")[1:3] == (BAD, "the answer of status does not hold it"), point
        connector = plant.sample(f"evce/connector/Bay 001#{plant.resource('station', 'Bay 001').children and 1}/status")
        assert connector.quality is BAD
        if both.dialect == "desc":
            assert plant.quality("evce/station/Bay 002/power") is GOOD


async def test_absent_value_while_nobody_charges(evce, plant):
    idle = next(s for s in evce.site.stations.values() if s.transaction is None)
    plant.add("evce", evce)
    async with plant.running():
        await until(lambda: plant.value(f"evce/station/{idle.name}/status") is not None)
        assert plant.sample(f"evce/station/{idle.name}/session_energy")[:2] == (0, GOOD)
        assert plant.sample(f"evce/station/{idle.name}/session_tag")[:2] == ("", GOOD)


async def test_connectors_appear_vanish_and_come_back(evce, plant):
    plant.add("evce", evce)
    station = next(iter(evce.site.stations.values()))
    async with plant.running():
        await ready(plant)
        first = plant.index("evce/connector/Bay 001#1/status")
        station.connectors = 2
        await until(lambda: plant.value("evce/connector/Bay 001#2/status") is not None)
        station.connectors = 1
        second = "evce/connector/Bay 001#2/status"
        await until(lambda: plant.quality(second) is BAD)
        assert plant.reason(second) == "not present in its parent's answer"
        assert plant.resource("connector", "Bay 001#2").present is False
        station.connectors = 2
        await until(lambda: plant.value(second) is not None)
        assert plant.index("evce/connector/Bay 001#1/status") == first


async def test_two_connectors_with_one_id_are_both_wrong(evce, plant):
    station = next(iter(evce.site.stations.values()))
    station.connectors = 2
    evce.faults.add(STATUSES, member="0.evses.0.connectors.*.id", value=1)
    plant.add("evce", evce)
    async with plant.running():
        await until(lambda: plant.quality("evce/connector/Bay 001#1/status") is CONFIG_ERROR)
        assert plant.reason("evce/connector/Bay 001#1/status") == "2 connectors have the id '1'"
        assert plant.value("evce/connector/Bay 002#1/status") is not None


async def test_member_changes_zone(evce, plant):
    plant.add("evce", evce)
    station = next(iter(evce.site.stations.values()))
    other = "Zone B" if station.zone.name == "Zone A" else "Zone A"
    async with plant.running():
        await ready(plant)
        await evce.do("move", name=station.name, zone=other)
        await until(lambda: plant.value(f"{BAY}/zone") == other)
        for zone in evce.site.zones.values():
            await until(lambda z=zone: plant.value(f"evce/zone/{z.name}/stations_charging") == z.charging)


async def test_station_of_no_zone(evce, plant):
    plant.add("evce", evce)
    await evce.do("add", kind="station", name="Loose")
    async with plant.running():
        await until(lambda: plant.reason("evce/station/Loose/zone") == "belongs to no zone")
        assert plant.value("evce/station/Bay 001/zone") is not None


async def test_one_notification_per_bulk_answer(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await ready(plant)
        for station in evce.site.stations.values():
            station.online = False
        await until(lambda: plant.value(f"{BAY}/online") is False)
        seen = {f"evce/station/{s.name}/online" for s in evce.site.stations.values()}
        steps = [step for step in plant.changes if step & seen]
        assert steps[-1] >= seen
        assert len([step for step in steps if BAY + "/online" in step]) == 2


async def test_U20_staleness_badness_and_recovery_with_the_reason_of_the_last_error(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await ready(plant)
        held = plant.sample(f"{BAY}/power").value
        await evce.do("listen", on=False)
        await until(lambda: plant.pollers["evce"].health.state == "down")
        assert plant.quality(f"{BAY}/power") is GOOD
        plant.later(14.5)
        assert plant.quality(f"{BAY}/power") is GOOD
        plant.later(1.5)
        assert plant.sample(f"{BAY}/power")[:2] == (held, STALE)
        assert "cannot connect" in plant.reason(f"{BAY}/power")
        assert plant.table.age_s(plant.index(f"{BAY}/power")) > 15
        plant.later(15.0)
        applied = "evce/zone/Zone A/reduction.applied"
        assert plant.quality(applied) is STALE
        assert plant.quality("evce/zone/Zone A/reduction") is STALE
        assert plant.sample("evce/zone/Zone A/reduction").value == 250.0
        plant.later(15.0)
        assert plant.quality(f"{BAY}/power") is BAD
        assert plant.quality("evce/zone/Zone A/stations_charging") is BAD
        plant.later(1000.0)
        assert plant.quality("evce/zone/Zone A/maximum") is BAD
        assert plant.sample("evce/zone/Zone A/reduction")[:2] == (250.0, BAD)
        await evce.do("listen", on=True)
        await ready(plant)
        assert plant.sample(f"{BAY}/power")[:2] == (held, GOOD)
        assert plant.quality("evce/zone/Zone A/reduction") is GOOD


async def test_U11_forbidden_endpoint_is_a_config_error_of_its_points_logged_once(evce, plant):
    await evce.do("forbid", path="/em/zones/1/status")
    await evce.do("forbid", path="/pms")
    plant.add("evce", evce)
    with capture_logs() as lines:
        async with plant.running():
            await ready(plant, meter=None)
            await until(lambda: plant.quality("evce/zone/Zone A/power") is CONFIG_ERROR)
            assert plant.reason("evce/zone/Zone A/power").startswith("GET /api/v2/em/zones/1/status: 403")
            await until(lambda: plant.pollers["evce"].health.errors > 8)
            assert plant.value("evce/zone/Zone B/power") is not None
            assert plant.pollers["evce"].health.connected
            await evce.do("allow")
            await until(lambda: plant.value("evce/zone/Zone A/power") is not None)
            await until(lambda: plant.value("evce/meter/Meter 1/power") is not None)
    failed = [line["read"] for line in lines if line["event"] == "read.failed"]
    assert sorted(failed) == ["evce/zone/Zone A status", "list meter"]
    assert {line["read"] for line in lines if line["event"] == "read.recovered"} == set(failed)


@pytest.mark.parametrize("fault", [{"replace": "html"}, {"replace": "empty"}, {"nest": 900}, {"cut": "truncate"}])
async def test_U26_unusable_bulk_answer_keeps_the_session_and_goes_stale_with_its_reason(evce, plant, fault):
    plant.add("evce", evce)
    async with plant.running():
        await ready(plant)
        evce.faults.add(STATUSES, **fault)
        health = plant.pollers["evce"].health
        await until(lambda: health.errors >= 3)
        plant.later(16.0)
        assert plant.quality(f"{BAY}/power") is STALE
        assert "/stations/statuses" in plant.reason(f"{BAY}/power")
        assert plant.sources["evce"].session_number == 1
        evce.faults.clear()
        await until(lambda: plant.quality(f"{BAY}/power") is GOOD)


async def test_empty_reduction_answer_is_never_no_limit(evce, plant):
    await evce.do("set_reduction", name="Zone A", amps=40)
    evce.faults.add("/em/zones/1/reduction", method="GET", replace="empty")
    plant.add("evce", evce)
    async with plant.running():
        await until(lambda: "without content" in plant.reason("evce/zone/Zone A/reduction.applied"))
        assert plant.sample("evce/zone/Zone A/reduction.applied")[:2] == (None, BAD)
        await until(lambda: plant.value("evce/zone/Zone A/maximum") is not None)
        await plant.ask(60.0)
        await until(lambda: plant.value("evce/zone/Zone B/reduction.applied") is not None)
        evce.faults.clear()
        await until(lambda: plant.status().name == "IN_FORCE")


async def test_default_that_comes_from_another_answer_is_filled_in_when_it_arrives(evce, plant):
    evce.faults.add("/em/zones/1", status=500, count=1)
    plant.add("evce", evce)
    async with plant.running():
        await until(lambda: plant.value("evce/zone/Zone A/reduction.applied") == 250.0)


async def test_dialects_share_every_point(sim_clock):
    names = {}
    for dialect in ("desc", "nested"):
        async with EvceSimulator(tls=False, stations=2, zones=1, meters=1, clock=sim_clock, dialect=dialect) as sim:
            own = Plant()
            own.add("evce", sim)
            async with own.running():
                await all_read(own)
                names[dialect] = {n for n in own.table.names if own.value(n) is not None}
    assert names["desc"] == names["nested"]
