"""A gateway that starts again: every block as it was, and names judged against what it knew (DESIGN 6.5, C14)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.addressing import AddressBook
from gateway.core.delivery import Authority
from gateway.core.errors import CommandRejected
from gateway.core.value import BAD, CONFIG_ERROR
from gateway.engine.derive import Derivations
from gateway.engine.intake import Intake
from tests.engine.limits import limits_up
from tests.engine.rig import Plant, until

ZONE = "evce/zone/Zone A"


async def settled(plant):
    for zone in ("Zone A", "Zone B"):
        await limits_up(plant, zone)
    await until(lambda: plant.value("evce/station/Bay 001/zone") is not None)
    await until(lambda: plant.value("evce/connector/Bay 001#1/status") is not None)


async def restarted(first, evce, exclude=()):
    """A new gateway with the address book of the old one, before the product has answered."""
    again = Plant()
    entries = [replace(entry) for entry in first.book.entries]
    again.book = AddressBook(entries, {}, first.book.certificates)
    again.inventory = again._inventory()
    again.intake = Intake(again.table, again.inventory, again.clock, again.desk.read_back)
    again.derivations = Derivations(again.table, again.inventory, again.clock)
    again.add("evce", evce, exclude=exclude)
    for kind in sorted(again.kinds["evce"], key=lambda kind: kind.within is not None):
        again.inventory.restore("evce", kind, (), exclude)
        again.inventory.restore_children("evce", kind)
    return again


def blocks(plant):
    return {(entry.kind, entry.name): entry.block for entry in plant.book.entries}


async def test_restart_serves_every_name_at_its_block_before_the_product_answers(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await settled(plant)
    again = await restarted(plant, evce)
    assert again.reason("evce/connector/Bay 001#1/status") == "not read yet"
    async with again.running():
        await settled(again)
    assert blocks(again) == blocks(plant)


async def test_I10_names_swapped_while_the_gateway_was_down(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await settled(plant)
    await evce.do("swap_names", kind="zone", name="Zone A", other="Zone B")
    again = await restarted(plant, evce)
    async with again.running():
        await until(lambda: again.quality(f"{ZONE}/power") is CONFIG_ERROR)
        await until(lambda: again.quality("evce/zone/Zone B/power") is CONFIG_ERROR)


async def test_I04_connectors_of_a_renamed_station_keep_their_block_over_a_restart(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await settled(plant)
        before = blocks(plant)["connector", "Bay 001#1"]
        await evce.do("rename", kind="station", name="Bay 001", to="Entrance")
        await until(lambda: plant.value("evce/station/Entrance/status") is not None)
    again = await restarted(plant, evce)
    async with again.running():
        await until(lambda: again.value("evce/connector/Entrance#1/status") is not None)
    assert blocks(again)["connector", "Entrance#1"] == before


async def test_C14_I10_a_swap_that_waits_is_still_inhibited_after_a_restart(both, plant):
    plant.add("evce", both)
    async with plant.running():
        await settled(plant)
        await both.do("swap_names", kind="zone", name="Zone A", other="Zone B")
        await until(lambda: plant.authority() is Authority.INHIBITED)
    again = await restarted(plant, both)
    assert again.quality(f"{ZONE}/power") is CONFIG_ERROR, "before the product has answered"
    with pytest.raises(CommandRejected, match="names were swapped; `addresses confirm` if the zones"):
        await again.ask(60.0)
    both.faults.add("/em/zones", headers={"X-Seen": "1"}, count=1)
    async with again.running():
        await until(lambda: not both.faults.active())
        await until(lambda: again.pollers["evce"].health.connected)
        assert again.authority() is Authority.INHIBITED
        assert [r.path for r in both.received if r.method == "PUT"] == []


async def test_C14_half_a_list_after_a_restart_does_not_resolve_a_swap(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await settled(plant)
        await evce.do("swap_names", kind="zone", name="Zone A", other="Zone B")
        await until(lambda: plant.authority() is Authority.INHIBITED)
    await evce.do("delete", kind="zone", name="Zone A")
    again = await restarted(plant, evce)
    async with again.running():
        await until(lambda: again.pollers["evce"].health.connected)
        assert again.resource("zone", "Zone A").id == "1"
        assert again.authority() is Authority.INHIBITED, "id 1 is called Zone B now, and nobody has confirmed it"
        assert again.resource("zone", "Zone B").trouble == "not present"


async def test_I11_a_type_that_changed_while_the_gateway_was_down_inhibits(both, plant):
    plant.add("evce", both)
    async with plant.running():
        await settled(plant)
    guard = plant.book.find("evce", "zone", "Zone A").guard
    assert guard is not None
    await both.do("zone_type", name="Zone A", type="power")
    again = await restarted(plant, both)
    async with again.running():
        await until(lambda: again.quality(f"{ZONE}/power") is CONFIG_ERROR)
        assert "its type changed from" in again.reason(f"{ZONE}/power")
        with pytest.raises(CommandRejected, match="its type changed"):
            await again.ask(60.0)
    third = await restarted(again, both)
    assert third.authority() is Authority.INHIBITED
    await both.do("zone_type", name="Zone A", type="current")
    async with third.running():
        await until(lambda: third.authority() is Authority.AUTONOMOUS)


async def test_I03_a_deleted_station_keeps_its_address_over_a_restart(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await settled(plant)
        before = blocks(plant)
        await evce.do("delete", kind="station", name="Bay 003")
        await until(lambda: plant.resource("station", "Bay 003").trouble == "not present")
    again = await restarted(plant, evce)
    assert again.resource("station", "Bay 003").block == before["station", "Bay 003"] == 2
    async with again.running():
        gone = "not present: no station of this name is listed"
        await until(lambda: again.reason("evce/station/Bay 003/power") == gone)
        assert again.quality("evce/station/Bay 003/power") is BAD
        assert again.quality("evce/connector/Bay 003#1/status") is BAD
    assert blocks(again) == before


async def test_what_was_excluded_since_keeps_its_block_and_is_not_served(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await settled(plant)
    before = blocks(plant)
    again = await restarted(plant, evce, exclude=["station/Bay 00[23]", "connector/Bay 004#?"])
    assert ("evce", "station", "Bay 002") not in again.inventory.resources
    assert ("evce", "connector", "Bay 002#1") not in again.inventory.resources
    assert ("evce", "connector", "Bay 004#1") not in again.inventory.resources
    async with again.running():
        await settled(again)
        await until(lambda: again.value("evce/station/Bay 004/power") is not None)
        names = {name for _, kind, name in again.inventory.resources if kind in ("station", "connector")}
        assert not names & {"Bay 002", "Bay 003", "Bay 002#1", "Bay 003#1", "Bay 004#1"}
        assert not [r.label for r in again.inventory.resources.values() if r.trouble]
    assert blocks(again) == before
    third = await restarted(again, evce)
    assert third.resource("station", "Bay 002").block == before["station", "Bay 002"]
