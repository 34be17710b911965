"""Which resource an answer belongs to, and what happens to names and ids (FAULTS section 3, C07, C14)."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import structlog
from structlog.testing import capture_logs

from gateway import telemetry
from gateway.core.delivery import Authority, WriteStatus
from gateway.core.errors import CommandRejected, Reject
from gateway.core.point import Region
from gateway.core.value import BAD, CONFIG_ERROR, GOOD
from gateway.engine.vitals import Vitals
from tests.engine.limits import limits_up
from tests.engine.rig import Plant, limit_of, loaded, puts, until

ZONE = "evce/zone/Zone A"


async def settled(plant):
    for zone in ("Zone A", "Zone B"):
        await limits_up(plant, zone)
    await until(lambda: plant.value("evce/station/Bay 001/zone") is not None)


def alarms(plant):
    vitals = Vitals(plant.table, plant.inventory, plant.desk, plant.clock, version="1", map_hash=lambda: 0)
    vitals.pollers = plant.pollers
    return vitals.alarms_active()


async def listed_again(plant, sim, kind="zone"):
    """Two more list answers have been taken."""
    path = {"zone": "/em/zones", "station": "/stations"}[kind]
    sim.faults.add(path, headers={"X-Seen": "1"}, count=2)
    await until(lambda: not any(fault.path == path for fault in sim.faults.active().values()))
    sim.faults.add(path, headers={"X-Seen": "1"}, count=1)
    await until(lambda: not any(fault.path == path for fault in sim.faults.active().values()))


async def test_U43_empty_list_is_held_for_three_polls_and_then_missing(both, plant):
    plant.add("evce", both)
    async with plant.running():
        await settled(plant)
        path = "/em/zones"
        both.faults.add(path, empty_list=True, count=2)
        await until(lambda: not both.faults.active())
        assert plant.resource("zone", "Zone A").present
        await listed_again(plant, both)
        assert plant.quality(f"{ZONE}/power") is GOOD
        both.faults.add(path, empty_list=True)
        await until(lambda: plant.quality(f"{ZONE}/power") is BAD)
        assert plant.reason(f"{ZONE}/power") == "not present: no zone of this name is listed"
        assert plant.resource("zone", "Zone A").trouble == "not present"
        both.faults.clear()
        await until(lambda: plant.quality(f"{ZONE}/power") is GOOD)


async def test_I03_deleted_station_is_bad_and_keeps_its_address(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await settled(plant)
        index, block = plant.index("evce/station/Bay 003/power"), plant.book.reserve("evce", "station", "Bay 003", 9)
        await evce.do("delete", kind="station", name="Bay 003")
        gone = "not present: no station of this name is listed"
        await until(lambda: plant.reason("evce/station/Bay 003/power") == gone)
        assert plant.quality("evce/station/Bay 003/power") is BAD
        assert plant.quality("evce/connector/Bay 003#1/status") is BAD
        await evce.do("add", kind="station", name="Bay 099", zone="Zone A")
        await until(lambda: plant.value("evce/station/Bay 099/status") is not None)
        assert plant.index("evce/station/Bay 003/power") == index
        new = plant.book.reserve("evce", "station", "Bay 099", 99)
        assert block is not None
        assert new is not None
        assert new.block == 6


async def test_I02_replaced_station_continues_at_its_place_and_its_counter_is_flagged_once(both, plant):
    plant.add("evce", both)
    async with plant.running():
        await settled(plant)
        name = "evce/station/Bay 001"
        energy = await until(lambda: plant.value(f"{name}/energy"))
        index, old = plant.index(f"{name}/power"), plant.resource("station", "Bay 001").id
        with capture_logs() as lines:
            new = (await both.do("replace", name="Bay 001"))["id"]
            await until(lambda: plant.resource("station", "Bay 001").id == str(new) != old)
            await until(lambda: plant.value(f"{name}/energy") == 0)
            both.site.station("Bay 002").faulted = True
            await until(lambda: plant.value("evce/station/Bay 002/status") == 9)
        assert plant.index(f"{name}/power") == index
        told = [line for line in lines if line["event"] in ("resource.replaced", "counter.restarted")]
        assert [line["event"] for line in told] == ["resource.replaced", "counter.restarted"]
        assert (told[0]["resource"], told[0]["old_id"], told[0]["id"]) == (name, old, str(new))
        assert (told[1]["point"], told[1]["old"], told[1]["new"]) == (f"{name}/energy", energy, 0)
        assert plant.inventory.counters.restarted == {f"{name}/energy": (energy, 0.0)}
        assert not plant.inventory.counters, "nothing is compared any more"


async def test_I05_a_counter_that_goes_on_after_an_import_is_no_news(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await settled(plant)
        await until(lambda: plant.value("evce/station/Bay 001/energy") is not None)
        with capture_logs() as lines:
            moved = await evce.do("import")
            new = {str(ident) for kind in moved.values() for ident in kind.values()}
            resources = [r for r in plant.inventory.resources.values() if r.parent is None and r.kind.list]
            await until(lambda: {r.id for r in resources} == new)
            await until(lambda: not plant.inventory.counters)
        assert plant.inventory.counters.restarted == {}
        told = [(line["event"], line.get("kind"), line.get("count")) for line in lines if "resource" in line["event"]]
        assert ("resources.rebound", "station", 6) in told
        assert ("resources.rebound", "zone", 2) in told
        assert len(told) == 3, "one line for each kind, and none for each resource"


async def test_I04_rename_keeps_the_block_and_moves_the_name(both, plant):
    plant.add("evce", both)
    async with plant.running():
        await settled(plant)
        index = plant.index(f"{ZONE}/power")
        await both.do("rename", kind="zone", name="Zone A", to="North / 1")
        name = "evce/zone/North %2F 1/power"
        await until(lambda: plant.table.find(name) is not None)
        assert plant.index(name) == index
        assert plant.table.find(f"{ZONE}/power") is None
        await until(lambda: plant.value("evce/station/Bay 001/zone") in ("North / 1", "Zone B"))
        await until(lambda: plant.value(name) is not None)


async def test_I05_import_rebinds_every_name_and_verifies_before_it_writes(both, plant):
    plant.add("evce", both)
    async with plant.running():
        await settled(plant)
        await plant.ask(60.0)
        await until(lambda: plant.status() is WriteStatus.IN_FORCE)
        names = {name: i for i, name in enumerate(plant.table.names)}
        moved = await both.do("import", keep_reductions=False)
        new = next(iter(moved["zones"].values()))
        await until(lambda: plant.resource("zone", "Zone A").id == str(new))
        await until(lambda: limit_of(both, new) == 60.0)
        await until(lambda: plant.status() is WriteStatus.IN_FORCE)
        assert {name: i for i, name in enumerate(plant.table.names)} == names
        assert puts(both, 1) == [(200, 60.0)]
        assert puts(both, new) == [(200, 60.0)]


@pytest.mark.parametrize("parallel", [1, 4])
async def test_I05_an_import_is_seen_by_every_read_at_once_and_told_in_one_line_a_kind(evce, plant, parallel):
    plant.add("evce", evce, factor=1.0, parallel=parallel)
    power = "evce/station/Bay 006/power"
    async with plant.running():
        await settled(plant)
        await until(lambda: plant.value(power) is not None)
        with capture_logs() as lines:
            moved = await evce.do("import")
            plant.clock.added += 6
            for kind, found in (("zone", moved["zones"]), ("station", moved["stations"]), ("meter", moved["meters"])):
                names = [resource.name for resource in plant.inventory.of("evce", kind)]
                new = {str(ident) for ident in found.values()}
                await until(lambda k=kind, n=names, i=new: {plant.resource(k, name).id for name in n} == i)
            await until(lambda: plant.value(power) is not None)
            await until(lambda: plant.value(f"{ZONE}/power") is not None)
    events = [line["event"] for line in lines]
    assert sorted(line["kind"] for line in lines if line["event"] == "resources.rebound") == ["station", "zone"]
    assert events.count("resource.replaced") == 1
    assert not {"read.failed", "read.recovered", "resource.missing"} & set(events)


async def test_a_404_that_the_list_does_not_explain_is_told_once(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await settled(plant)
        with capture_logs() as lines:
            evce.faults.add("/em/zones/1/status", status=404)
            await until(lambda: any(line["event"] == "read.failed" for line in lines))
            await listed_again(plant, evce)
            evce.faults.clear()
            await until(lambda: any(line["event"] == "read.recovered" for line in lines))
    told = [(line["event"], line["read"]) for line in lines if line["event"].startswith("read.")]
    assert told == [("read.failed", f"{ZONE} status"), ("read.recovered", f"{ZONE} status")]


async def test_a_bulk_answer_that_always_lacks_somebody_hastens_the_list_once(traced, plant):
    plant.add("evce", traced, factor=1.0)
    async with plant.running():
        await settled(plant)
        lists, answers = traced.traffic.total["/stations"], traced.traffic.total["/stations/statuses"]
        traced.faults.add("/stations/statuses", member="0.id", change="set", value=999)
        for more in (1, 2, 3):
            plant.clock.added += 5.5
            await until(lambda n=answers + more: traced.traffic.total["/stations/statuses"] >= n)
        await until(lambda: traced.traffic.total["/stations"] > lists)
        assert traced.traffic.total["/stations"] <= lists + 2  # one is hastened, one may be due


async def test_I05_import_that_kept_the_limits_needs_no_put(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await settled(plant)
        await plant.ask(60.0)
        await until(lambda: plant.status() is WriteStatus.IN_FORCE)
        moved = await evce.do("import")
        new = next(iter(moved["zones"].values()))
        await until(lambda: plant.resource("zone", "Zone A").id == str(new))
        await until(lambda: plant.status() is WriteStatus.IN_FORCE)
        assert puts(evce, new) == []


async def test_I07_two_zones_of_one_name_are_both_config_errors_and_nothing_is_sent(both, plant):
    plant.add("evce", both)
    async with plant.running():
        await settled(plant)
        with capture_logs() as lines:
            await both.do("duplicate_name", kind="zone", name="Zone A", other="Zone B")
            await until(lambda: plant.quality(f"{ZONE}/power") is CONFIG_ERROR)
            await until(lambda: plant.quality("evce/zone/Zone B/power") is CONFIG_ERROR)
            await listed_again(plant, both)
        assert plant.reason("evce/zone/Zone B/power") == "two or more zones are named 'Zone A'"
        for zone in ("Zone A", "Zone B"):
            with pytest.raises(CommandRejected, match="two or more zones are named 'Zone A'") as caught:
                await plant.ask(60.0, zone)
            assert caught.value.reject is Reject.INHIBITED
            assert plant.authority(zone) is Authority.INHIBITED
        assert len([line for line in lines if line["event"] == "resource.inhibited"]) == 2
        await plant.ask(None)
        both.site.zones[2].name = "Zone B"
        await until(lambda: plant.authority("Zone B") is Authority.AUTONOMOUS)
        assert puts(both) == puts(both, 2) == []


async def test_I07_a_limit_waiting_for_an_outage_to_end_is_not_sent_to_a_duplicate(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await settled(plant)
        await evce.do("listen", on=False)
        await until(lambda: plant.pollers["evce"].health.state == "down")
        await plant.ask(60.0)
        await evce.do("duplicate_name", kind="zone", name="Zone B", other="Zone A")
        await evce.do("listen", on=True)
        await until(lambda: plant.authority() is Authority.INHIBITED)
        await listed_again(plant, evce)
        assert plant.status() is WriteStatus.BLOCKED
        assert puts(evce) == puts(evce, 2) == []


async def test_I10_swapped_names_inhibit_both_until_confirmed(both, plant):
    plant.add("evce", both)
    async with plant.running():
        await settled(plant)
        await plant.ask(60.0)
        await until(lambda: plant.status() is WriteStatus.IN_FORCE)
        await both.do("swap_names", kind="zone", name="Zone A", other="Zone B")
        await until(lambda: plant.quality(f"{ZONE}/power") is CONFIG_ERROR)
        await until(lambda: plant.quality("evce/zone/Zone B/power") is CONFIG_ERROR)
        pin = "`addresses pin 'evce/zone/Zone A' 2` if the names are right"
        assert plant.reason(f"{ZONE}/power") == (
            "id 1 is now named 'Zone B': names were swapped; "
            f"`addresses confirm` if the zones were renamed there, {pin}"
        )
        await until(lambda: plant.status() is WriteStatus.BLOCKED)
        await both.do("set_reduction", name="Zone A")
        await both.do("set_reduction", name="Zone B")
        await listed_again(plant, both)
        assert puts(both) == [(200, 60.0)]
        assert puts(both, 2) == []


async def test_I11_changed_type_inhibits_once_and_is_logged_once(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await settled(plant)
        with capture_logs() as lines:
            await evce.do("zone_type", name="Zone A", type="power")
            await until(lambda: plant.quality(f"{ZONE}/power") is CONFIG_ERROR)
            await listed_again(plant, evce)
        assert (
            plant.reason(f"{ZONE}/power")
            == "its type changed from 'current' to 'power'; confirm with `addresses confirm`"
        )
        assert [line["event"] for line in lines].count("resource.inhibited") == 1
        assert plant.pollers["evce"].health.errors == 0


async def test_I12_more_stations_than_blocks(evce, plant):
    small = [
        replace(kind, modbus=replace(kind.modbus, capacity=4)) if kind.name == "station" else kind
        for kind in loaded("evce.yaml").kinds.values()
    ]
    plant.add("evce", evce, kinds=small)
    with capture_logs() as lines:
        async with plant.running():
            await until(lambda: plant.value("evce/station/Bay 004/zone") is not None)
            await listed_again(plant, evce, "station")
            assert plant.table.find("evce/station/Bay 005/status") is None
            assert plant.inventory.unassigned["evce", "station"] == 2
            assert alarms(plant) == 1, "one alarm, with the count in `status`"
            known = [plant.resource("station", f"Bay 00{i}").block for i in range(1, 5)]
            assert known == [0, 1, 2, 3]
            await evce.do("delete", kind="station", name="Bay 005")
            await until(lambda: plant.inventory.unassigned["evce", "station"] == 1)
    full = [line for line in lines if line["event"] == "addresses.full"]
    assert [line["without_address"] for line in full] == [2]


async def test_I12_connectors_without_a_block_are_counted_once_not_at_every_poll(evce, plant):
    small = [
        replace(kind, modbus=Region(49000, 8, 2, 4)) if kind.name == "connector" else kind
        for kind in loaded("evce.yaml").kinds.values()
    ]
    plant.add("evce", evce, kinds=small)
    with capture_logs() as lines:
        async with plant.running():
            await settled(plant)
            seen = len(plant.changes)
            evce.faults.add("/stations/statuses", headers={"X-Seen": "1"}, count=5)
            await until(lambda: not evce.faults.active() and len(plant.changes) >= seen)
            total = sum(station.connectors for station in evce.site.stations.values())
            assert plant.inventory.unassigned["evce", "connector"] == total - 2
    assert len([line for line in lines if line["event"] == "addresses.full"]) <= total - 2


async def test_exclude_patterns(evce, plant):
    plant.add("evce", evce, exclude=["station/Bay 00[2-5]", "zone/*B"])
    async with plant.running():
        await until(lambda: plant.value("evce/station/Bay 001/status") is not None)
        names = {name for kind, name in [(k[1], k[2]) for k in plant.inventory.resources]}
        assert names == {"Bay 001", "Bay 006", "Zone A", "Meter 1", "Bay 001#1", "Bay 006#1"} | {
            f"{s.name}#2" for s in evce.site.stations.values() if s.connectors == 2 and s.name in ("Bay 001", "Bay 006")
        }


@pytest.mark.parametrize("name", ["x" * 300, "Parkhaus 🚗", "two\nlines", "a/b%c", "'; DROP", " Zone A", "ZONE A"])
async def test_I08_I09_names_of_every_kind_are_their_own(evce, plant, name):
    plant.add("evce", evce)
    evce.site.zones[2].name = name
    async with plant.running():
        await until(lambda: plant.value(f"{ZONE}/reduction.applied") is not None)
        await until(lambda: ("evce", "zone", name) in plant.inventory.resources)
        zone = plant.resource("zone", name)
        await until(lambda: plant.table.sample(zone.indices["power"]).quality is GOOD)
        full = plant.table.names[zone.indices["power"]]
        assert full.split("/")[2] == name.replace("%", "%25").replace("/", "%2F")


@pytest.mark.parametrize("name", ["", "  "])
async def test_I08_a_zone_without_a_name_is_served_under_its_id_until_it_gets_one(both, plant, name):
    plant.add("evce", both)
    both.site.zones[2].name = name
    with capture_logs() as lines:
        async with plant.running():
            await until(lambda: plant.value("evce/zone/#2/power") is not None)
            await listed_again(plant, both)
            index, block = plant.index("evce/zone/#2/power"), plant.resource("zone", "#2").block
            both.site.zones[2].name = "Zone B"
            await until(lambda: plant.value(f"{ZONE[:-1]}B/power") is not None)
            assert plant.index("evce/zone/Zone B/power") == index
            assert plant.resource("zone", "Zone B").block == block == 1
    said = [line["served_as"] for line in lines if line["event"] == "list.nameless"]
    assert said == ["#2", "none any more"]


async def test_I08_connectors_of_a_nameless_station_are_its_own(evce, plant):
    plant.add("evce", evce)
    station = evce.site.station("Bay 003")
    station.name = ""
    async with plant.running():
        await until(lambda: plant.value(f"evce/connector/#{station.id}#1/status") is not None)
        assert plant.resource("connector", f"#{station.id}#1").parent is plant.resource("station", f"#{station.id}")


@pytest.mark.parametrize("name", ["zone a", "Zone  A", "Zone\u00a0A", "\uff3aone A"], ids=ascii)
async def test_I09_names_that_only_a_machine_tells_apart_are_two_and_said_once(evce, plant, name):
    plant.add("evce", evce)
    evce.site.zones[2].name = name
    with capture_logs() as lines:
        async with plant.running():
            await until(lambda: plant.value(f"{ZONE}/power") is not None)
            await until(lambda: plant.value(f"evce/zone/{name}/power") is not None)
            assert plant.resource("zone", "Zone A").block != plant.resource("zone", name).block
            assert plant.inventory.lookalikes == {("evce", "zone"): [["Zone A", name]]}
            await listed_again(plant, evce)
            assert alarms(plant) == 0, "a warning, no alarm"
            evce.site.zones[2].name = "Zone B"
            await until(lambda: plant.inventory.lookalikes == {("evce", "zone"): []})
    assert len([line for line in lines if line["event"] == "names.alike"]) == 1


@pytest.mark.parametrize(
    "name", ["x" * 300, "two\nlines 12:00:00 [info] forged.line", "\x1b[31mred\u202e", "\ud83d\ude97"]
)
async def test_I08_no_name_breaks_a_log_line(evce, plant, name, capfd):
    telemetry.configure("info", colors=False)
    plant.add("evce", evce)
    evce.site.zones[2].name = name.encode("utf-16", "surrogatepass").decode("utf-16")
    try:
        async with plant.running():
            await until(lambda: plant.value(f"{ZONE}/power") is not None)
            await evce.do("delete", kind="zone", name=evce.site.zones[2].name)
            await until(lambda: plant.inventory.of("evce", "zone")[1].trouble == "not present")
    finally:
        structlog.reset_defaults()
    lines = capfd.readouterr().err.splitlines()
    assert len([line for line in lines if "resource.missing" in line]) == 1
    assert not [line for line in lines if not line.isprintable() or len(line) > 600]
    assert all(re.match(r"\d\d:\d\d:\d\d \[", line) and "] forged" not in line[:30] for line in lines)


async def test_I13_two_products_with_the_same_names(sim_clock, evce, plant):
    from gateway.simulator import EvceSimulator

    async with EvceSimulator(tls=False, stations=2, zones=1, meters=1, clock=sim_clock, seed=9) as second:
        plant.add("evce", evce)
        plant.add("annex", second)
        second.site.zones[1].max_a = 99.0
        async with plant.running():
            await settled(plant)
            await until(lambda: plant.value("annex/zone/Zone A/maximum") == 99.0)
            assert plant.value(f"{ZONE}/maximum") == 250.0
            await plant.ask(60.0)
            await until(lambda: limit_of(evce) == 60.0)
            assert second.received[1:] == []


async def test_new_station_is_found_by_the_next_list(both, plant):
    plant.add("evce", both)
    async with plant.running():
        await settled(plant)
        await both.do("add", kind="station", name="Newcomer", zone="Zone B")
        await until(lambda: plant.value("evce/station/Newcomer/status") is not None)
        await until(lambda: plant.value("evce/station/Newcomer/zone") == "Zone B")


async def test_I01_404_on_one_zone_reads_the_list_again_once_and_binds_the_name_to_its_new_id(traced, plant):
    plant.add("evce", traced, factor=1.0)
    async with plant.running():
        await until(lambda: plant.value("evce/zone/Zone H/power") is not None)
        await until(lambda: plant.value(f"{ZONE}/reduction.applied") is not None)
        lists, block = traced.traffic.total["/em/zones"], plant.resource("zone", "Zone A").block
        with capture_logs() as lines:
            await traced.do("delete", kind="zone", name="Zone A")
            new = (await traced.do("add", kind="zone", name="Zone A"))["id"]
            plant.clock.added += 6
            await until(lambda: plant.resource("zone", "Zone A").id == str(new))
            await until(lambda: plant.value(f"{ZONE}/power") is not None)
        assert traced.traffic.total["/em/zones"] == lists + 1
        assert plant.resource("zone", "Zone A").block == block
        told = [(line["event"], line["id"]) for line in lines if line["event"].startswith("resource")]
        assert told == [("resource.replaced", str(new))]


async def test_I01_404_hastens_the_list(evce, plant):
    plant.add("evce", evce, factor=1.0)
    plant.kinds["evce"] = []
    async with plant.running():
        await settled(plant)
        await evce.do("import")
        plant.clock.added += 6
        await until(lambda: plant.resource("zone", "Zone A").id == str(next(iter(evce.site.zones))))


async def test_missing_zone_has_no_derived_values_either(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await settled(plant)
        await until(lambda: plant.value(f"{ZONE}/stations_charging") is not None)
        await evce.do("delete", kind="zone", name="Zone A")
        await until(lambda: plant.quality(f"{ZONE}/stations_charging") is BAD)
        await until(lambda: plant.reason("evce/station/Bay 001/zone").startswith("belongs to no zone"), 4)
        for station in evce.site.stations.values():
            station.faulted = not station.faulted
        await until(lambda: plant.value("evce/station/Bay 001/status") == 9)
        assert plant.quality(f"{ZONE}/stations_charging") is BAD
        listed = ("not present", "not present: no zone of this name is listed")  # the latter from the next list on
        assert plant.reason(f"{ZONE}/stations_charging") in listed


def test_expected_names_have_their_block_before_the_product_answers():
    plant = Plant()
    kinds = loaded("evce.yaml").kinds
    plant.inventory.restore("evce", kinds["zone"], ["Zone B", "Zone A"])
    assert [entry.name for entry in plant.book.of("evce", "zone")] == ["Zone B", "Zone A"]
    assert plant.reason("evce/zone/Zone B/power") == "not read yet"
    plant.inventory.restore("evce", kinds["zone"], ["Zone B", "Zone A"])
    assert len(plant.inventory.of("evce", "zone")) == 2
