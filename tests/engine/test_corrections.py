"""Confirm, pin, rename and forget in a running gateway: at once, with everything inside, and safe before any PUT."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.app.control import Control
from gateway.core.delivery import Authority, WriteStatus
from gateway.core.errors import CommandRejected, CorrectionRefused
from gateway.core.priority import Origin
from gateway.core.value import BAD, CONFIG_ERROR
from gateway.engine.setpoint import Limits
from gateway.engine.vitals import Vitals
from tests.engine.limits import limits_up
from tests.engine.rig import MAPPING, POLICY, Plant, limit_of, loaded, puts, until

A, B = "evce/zone/Zone A", "evce/zone/Zone B"


class Operator:
    """Says what the command line says, over what the control socket calls."""

    def __init__(self, plant: Plant, dialect: str = "desc", expect: dict[str, list[str]] | None = None) -> None:
        sources = [SimpleNamespace(name="evce", expect=expect or {})]
        site: Any = SimpleNamespace(
            products={"evce": loaded(MAPPING[dialect])}, config=SimpleNamespace(sources=sources)
        )
        daemon: Any = SimpleNamespace(site=site, book=plant.book, inventory=plant.inventory, pollers=plant.pollers)
        self._control = Control(daemon)

    def __call__(self, verb: str, *names: str, to: str = "") -> list[str]:
        return self._control.correct(verb, list(names), to, "alice")


def alarms(plant: Plant) -> int:
    vitals = Vitals(plant.table, plant.inventory, plant.desk, plant.clock, version="1", map_hash=lambda: 0)
    vitals.pollers = plant.pollers
    return vitals.alarms_active()


async def settled(plant):
    for zone in ("Zone A", "Zone B"):
        await limits_up(plant, zone)
    await until(lambda: plant.value("evce/connector/Bay 001#1/status") is not None)
    await until(lambda: plant.value("evce/station/Bay 001/zone") is not None)


async def swapped(plant, sim):
    """A limit on Zone A, and then the names of both zones change hands."""
    await settled(plant)
    await plant.ask(60.0)
    await until(lambda: plant.status() is WriteStatus.IN_FORCE)
    await sim.do("swap_names", kind="zone", name="Zone A", other="Zone B")
    for name in (A, B):
        await until(lambda n=name: plant.quality(f"{n}/power") is CONFIG_ERROR)


async def test_C14_I10_confirm_names_follow_ids_and_the_limit_stays_with_its_zone(both, plant):
    plant.add("evce", both)
    async with plant.running():
        await swapped(plant, both)
        first, second = plant.resource("zone", "Zone A"), plant.resource("zone", "Zone B")
        index = plant.index(f"{A}/reduction")
        with capture_logs() as lines:
            said = Operator(plant, both.dialect)("confirm")
        assert said == [
            "confirmed: block 0 is evce/zone/Zone B, id 1 (it was evce/zone/Zone A)",
            "confirmed: block 1 is evce/zone/Zone A, id 2 (it was evce/zone/Zone B)",
        ]
        event = next(line for line in lines if line["event"] == "addresses.confirmed")
        assert (event["user"], event["said"]) == ("alice", "; ".join(said))
        assert (first.name, second.name, first.trouble, second.trouble) == ("Zone B", "Zone A", "", "")
        assert plant.index(f"{B}/reduction") == index, "the block follows the id, at once"
        assert plant.status("Zone B") is not WriteStatus.IN_FORCE, "nothing is in force before it was read again (C07)"
        await until(lambda: plant.status("Zone B") is WriteStatus.IN_FORCE)
        await until(lambda: plant.value(f"{A}/power") is not None)
        assert puts(both) == [(200, 60.0)]
        assert puts(both, 2) == []
        await plant.ask(48.0, "Zone A")
        await until(lambda: limit_of(both, 2) == 48.0)
        assert limit_of(both, 1) == 60.0
        assert Operator(plant)("confirm") == ["nothing waits for a confirmation"]


async def test_C14_I10_pins_of_both_names_make_the_blocks_follow_the_names(both, plant):
    plant.add("evce", both)
    async with plant.running():
        await swapped(plant, both)
        operator, first = Operator(plant, both.dialect), plant.resource("zone", "Zone A")
        said = operator("pin", A, to="2")
        assert said == [
            f"{A} (block 0) belongs to id 2 from now on; {B} had that id and waits until it is pinned or confirmed"
        ]
        assert (first.id, first.trouble) == ("2", "")
        assert plant.authority("Zone B") is Authority.INHIBITED
        await until(lambda: limit_of(both, 2) == 60.0)
        assert operator("pin", B, to="1") == [f"{B} (block 1) belongs to id 1 from now on"]
        assert operator("pin", B, to="1") == [f"{B} (block 1) belongs to id 1 already"]
        await until(lambda: plant.value(f"{B}/power") is not None)
        await until(lambda: plant.status() is WriteStatus.IN_FORCE)
        assert puts(both, 2) == [(200, 60.0)]


async def test_C06_C14_a_limit_that_a_pin_leaves_at_its_old_id_is_an_alarm_until_it_is_released(both, plant):
    plant.add("evce", both)
    async with plant.running():
        await swapped(plant, both)
        await both.do("reboot")
        assert plant.reason(f"{A}/power").endswith("`addresses pin 'evce/zone/Zone A' 2` if the names are right")
        operator = Operator(plant, both.dialect)
        operator("pin", A, to="2")
        assert plant.sample(f"{B}/reduction.applied").value is None, "what was read there was another zone's"
        assert plant.sample(f"{B}/maximum").value is None
        text = "its name was found again as id 1 while swapped names waited; `addresses pin 'evce/zone/Zone B' 1`"
        assert plant.reason(f"{B}/power").startswith(text)
        await until(lambda: limit_of(both, 2) == 60.0)
        operator("confirm", B)
        await until(lambda: len(plant.alarms))
        text = f"{B}/reduction: 60 A is in force and nobody here asks for it; `release` from the command line ends it"
        assert list(plant.alarms.texts().values()) == [text]
        await limits_up(plant, "Zone B")
        assert (plant.value(f"{B}/reduction.applied"), plant.authority("Zone B")) == (60.0, Authority.AUTONOMOUS)
        assert alarms(plant) == 1
        await both.do("reboot")
        await until(lambda: plant.pollers["evce"].health.relogins == 2)
        assert list(plant.alarms.texts().values()) == [text], "a new session alone ends nothing"
        assert puts(both) == [(200, 60.0)], "empty slots send nothing (C06)"
        await plant.ask(None, "Zone B", origin=Origin("cli", "local", "alice"))
        await until(lambda: limit_of(both, 1) is None)
        await until(lambda: alarms(plant) == 0)
        assert limit_of(both, 2) == 60.0


@pytest.mark.parametrize("ended_by", ["a person", "a command"])
async def test_C06_a_limit_nobody_here_asks_for_is_an_alarm_after_a_restart_too_and_ends_with_it(both, plant, ended_by):
    await both.do("set_reduction", name="Zone A", amps=40)
    plant.add("evce", both)
    async with plant.running():
        await settled(plant)
        assert plant.alarms.text("foreign evce/zone/0/reduction")
    again = Plant(journal=plant.journal)
    again.add("evce", both)
    async with again.running():
        await settled(again)
        text = f"{A}/reduction: 40 A is in force and nobody here asks for it; `release` from the command line ends it"
        assert list(again.alarms.texts().values()) == [text]
        assert again.desk.foreign_limits() == {f"{A}/reduction": 40.0}
        if ended_by == "a person":
            await both.do("set_reduction", name="Zone A")
            await until(lambda: not again.alarms.texts())
        else:
            await again.ask(40.0)
            assert again.alarms.text("foreign evce/zone/0/reduction") is None
            await until(lambda: again.status() is WriteStatus.IN_FORCE)
        assert puts(both) == ([] if ended_by == "a person" else [(200, 40.0)])


@pytest.mark.parametrize(
    ("verb", "name", "to", "text"),
    [
        ("pin", A, "1", "id 1 is named 'Zone B'; `addresses confirm` makes the block follow its id"),
        ("pin", A, "7", "evce lists no zone with id '7'; it lists: 1 (Zone B), 2 (Zone A)"),
        ("pin", "evce/zone/Zone C", "1", "evce/zone/Zone C has no address; `addresses list` shows what has one"),
        ("pin", "evce/connector/Bay 001#1", "1", "a connector follows its station: correct that one"),
        ("rename", A, "Zone C", f"{A} is listed by the product right now: rename it there"),
        ("forget", A, "", f"{A} is listed by the product right now: it is not gone"),
        ("forget", "evce/source/evce", "", "evce has no list of 'source'; it has: zone, station, connector, meter"),
        ("forget", "annex/zone/A", "", "there is no source 'annex'; there are: evce"),
        ("confirm", "evce/station/Bay 001", "", "evce/station/Bay 001 does not wait for a confirmation"),
    ],
)
async def test_corrections_that_are_refused_change_nothing(evce, plant, verb, name, to, text):
    plant.add("evce", evce)
    async with plant.running():
        await swapped(plant, evce)
        before = [(e.name, e.id, e.new_name, e.forgotten, e.retired) for e in plant.book.entries]
        with pytest.raises(CorrectionRefused) as caught:
            Operator(plant)(verb, name, to=to)
        assert text in str(caught.value)
        assert [(e.name, e.id, e.new_name, e.forgotten, e.retired) for e in plant.book.entries] == before


async def test_I07_duplicates_cannot_be_confirmed(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await settled(plant)
        await evce.do("duplicate_name", kind="zone", name="Zone A", other="Zone B")
        await until(lambda: plant.quality(f"{A}/power") is CONFIG_ERROR)
        operator = Operator(plant)
        assert operator("confirm") == ["not confirmed: two or more zones of evce are named 'Zone A'"]
        with pytest.raises(CorrectionRefused, match="two or more zones are named 'Zone A': rename one in the"):
            operator("confirm", A)
        with pytest.raises(CorrectionRefused, match="two or more zones are named 'Zone A'"):
            operator("pin", A, to="1")
        assert plant.authority() is Authority.INHIBITED


async def test_I11_confirming_a_changed_type_ends_the_inhibition(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await settled(plant)
        await evce.do("zone_type", name="Zone A", type="power")
        await until(lambda: plant.quality(f"{A}/power") is CONFIG_ERROR)
        with pytest.raises(CommandRejected, match="its type changed"):
            await plant.ask(60.0)
        said = Operator(plant)("confirm", A)
        assert said == [f"confirmed: {A} is of type 'power' now (it was 'current')"]
        await until(lambda: plant.value(f"{A}/power") is not None)
        await plant.ask(60.0)


async def test_I06_rename_after_an_import_with_renames(both, plant):
    plant.add("evce", both)
    async with plant.running():
        await settled(plant)
        station = "evce/station/Bay 001"
        index, old = plant.index(f"{station}/power"), plant.resource("station", "Bay 001")
        connector = plant.index("evce/connector/Bay 001#1/status")
        await both.do("rename", kind="station", name="Bay 001", to="Entrance")
        both.site.station("Bay 002").name = "Bay 2"
        await both.do("import")
        await until(lambda: plant.value("evce/station/Entrance/power") is not None)
        await until(lambda: plant.value("evce/connector/Entrance#1/status") is not None)
        reason = plant.reason(f"{station}/power")
        assert reason.startswith("unassigned: no station of this name or id is listed; new is 'Entrance', 'Bay 2'")
        assert "`addresses rename`" in reason
        assert plant.quality(f"{station}/power") is BAD
        new = plant.resource("station", "Entrance")
        assert new.block == 6
        said = Operator(plant, both.dialect)("rename", station, to="Entrance")
        assert said[0] == f"{station} is evce/station/Entrance now and keeps its block 0"
        assert "block 6, which evce/station/Entrance had, is retired" in said[1]
        assert plant.index("evce/station/Entrance/power") == index
        assert plant.index("evce/connector/Entrance#1/status") == connector
        assert plant.resource("station", "Entrance") is old
        await until(lambda: plant.value("evce/station/Entrance/power") is not None)
        await until(lambda: plant.value("evce/connector/Entrance#1/status") is not None)
        assert (new.present, new.dismissed, new.trouble) == (False, True, "retired by the operator")
        assert plant.quality("evce/station/Entrance (retired, block 6)/power") is BAD
        await until(lambda: plant.value("evce/station/Entrance/zone") is not None)
        both.site.station("Entrance").name = "Entrance (retired, block 6)"
        await until(lambda: plant.index("evce/station/Entrance (retired, block 6)/power") == index)


async def test_forgetting_ends_the_alarm_and_the_name_gets_its_block_again(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await settled(plant)
        name = "evce/station/Bay 003"
        station, quiet = plant.resource("station", "Bay 003"), alarms(plant)
        await evce.do("delete", kind="station", name="Bay 003")
        await until(lambda: station.trouble == "not present")
        assert alarms(plant) > quiet
        said = Operator(plant)("forget", name)
        inside = len(station.children)
        assert said[0].startswith(f"{name} and {inside} inside it is forgotten: no alarm any more")
        assert "block 2 stays its own" in said[0]
        assert alarms(plant) == quiet
        again = Plant()
        again.book = plant.book
        again.inventory = again._inventory()
        for kind in sorted(plant.kinds["evce"], key=lambda kind: kind.within is not None):
            again.inventory.restore("evce", kind, ())
            again.inventory.restore_children("evce", kind)
        names = {(kind, called) for _, kind, called in again.inventory.resources}
        assert ("station", "Bay 002") in names
        assert not {called for _, called in names if called and called.startswith("Bay 003")}
        await evce.do("add", kind="station", name="Bay 003", zone="Zone A")
        await until(lambda: plant.value(f"{name}/power") is not None)
        await until(lambda: plant.value("evce/connector/Bay 003#1/status") is not None)
        assert plant.resource("station", "Bay 003") is station
        assert not any(entry.forgotten for entry in plant.book.entries if entry.name in ("Bay 003", "Bay 003#1"))


async def test_what_is_expected_is_not_forgotten(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await settled(plant)
        await evce.do("delete", kind="zone", name="Zone B")
        await until(lambda: plant.resource("zone", "Zone B").trouble == "not present")
        with pytest.raises(CorrectionRefused, match="stands in `expect` of the configuration"):
            Operator(plant, expect={"zone": ["Zone B"]})("forget", B)


async def test_swapped_stations_take_their_connectors_along_when_confirmed(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await settled(plant)
        connector = plant.resource("connector", "Bay 001#1")
        await evce.do("swap_names", kind="station", name="Bay 001", other="Bay 002")
        await until(lambda: plant.quality("evce/station/Bay 001/power") is CONFIG_ERROR)
        Operator(plant)("confirm")
        assert connector.name == "Bay 002#1"
        assert connector.parent is plant.resource("station", "Bay 002")
        assert plant.book.find("evce", "connector", "Bay 002#1").block == connector.block
        await until(lambda: plant.value("evce/connector/Bay 001#1/status") is not None)
        await until(lambda: plant.value("evce/connector/Bay 002#1/status") is not None)


async def test_C14_overrides_belong_to_names_and_follow_a_confirmation(evce):
    plant = Plant(POLICY, {B: Limits(floor=20.0)})
    plant.add("evce", evce)
    async with plant.running():
        await settled(plant)
        with pytest.raises(CommandRejected, match="below the floor 20 A"):
            await plant.ask(10.0, "Zone B")
        await evce.do("swap_names", kind="zone", name="Zone A", other="Zone B")
        await until(lambda: plant.authority() is Authority.INHIBITED)
        Operator(plant)("confirm")
        assert plant.resource("zone", "Zone B").block == 0
        await until(lambda: plant.authority("Zone B") is Authority.AUTONOMOUS)
        with pytest.raises(CommandRejected, match="below the floor 20 A"):
            await plant.ask(10.0, "Zone B")
        await until(lambda: plant.authority("Zone A") is Authority.AUTONOMOUS)
        await plant.ask(10.0, "Zone A")
