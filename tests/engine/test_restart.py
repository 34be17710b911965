"""A gateway that starts again: every block as it was, and names judged against what it knew (DESIGN 6.5, C14)."""

from __future__ import annotations

from dataclasses import replace

from gateway.addressing import AddressBook
from gateway.core.value import CONFIG_ERROR
from gateway.engine.derive import Derivations
from gateway.engine.intake import Intake
from tests.engine.limits import limits_up
from tests.engine.rig import Plant, until

ZONE = "evce/zone/Zone A"


async def settled(plant):
    for zone in ("Zone A", "Zone B"):
        await limits_up(plant, zone)
    await until(lambda: plant.value("evce/station/Bay 001/zone") is not None)


async def restarted(first, evce):
    """A new gateway with the address book of the old one, before the product has answered."""
    again = Plant()
    entries = [replace(entry) for entry in first.book.entries]
    again.book = AddressBook(entries, {})
    again.inventory = again._inventory()
    again.intake = Intake(again.table, again.inventory, again.clock, again.desk.read_back)
    again.derivations = Derivations(again.table, again.inventory, again.clock)
    again.add("evce", evce)
    for kind in sorted(again.kinds["evce"], key=lambda kind: kind.within is not None):
        again.inventory.restore("evce", kind, ())
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
