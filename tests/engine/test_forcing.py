"""Which points a person may take out of service: nothing that a command depends on, however far behind it."""

from __future__ import annotations

import pytest

from gateway.core.errors import CommandRejected
from gateway.core.point import CommandSpec, Factor, KindSpec, PointSpec
from gateway.core.priority import Origin
from gateway.core.value import GOOD, ValueKind
from gateway.engine.alarms import Alarms
from gateway.engine.forcing import Forcing
from gateway.engine.ports import Evidence
from gateway.engine.resource import Resource
from gateway.engine.table import PointTable
from tests.engine.test_table import HandClock, good

OSKAR = Origin("page", "10.0.0.5", "oskar")
LIMIT = CommandSpec("PUT", "/x", {}, {}, Factor(250), None, None, "float", None, None, False, "low")


class Notes:
    """A journal that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[Evidence] = []

    def note(self, _states: object, events: object) -> None:
        self.events += events  # type: ignore[operator]


def number(name: str, **more: object) -> PointSpec:
    return PointSpec(name=name, kind=ValueKind.NUMBER, read="status", **more)  # type: ignore[arg-type]


class Site:
    """A zone whose limit may go up to the sum of what its station's cables bear, through one more step."""

    def __init__(self) -> None:
        self.clock, self.notes, self.alarms = HandClock(), Notes(), Alarms()
        self.table = PointTable(self.clock)
        top = (Factor(0.0), Factor(0.0, "maximum"))
        zone = [number("maximum"), number("sum"), number("reduction", command=LIMIT, range=top), number("current")]
        station = [number("rated"), number("factor"), number("power", scale=Factor(0.0, "factor"))]
        self.owners: dict[int, Resource] = {}
        self.zone, self.station = self.resource("zone", zone), self.resource("station", station)
        self.forcing = Forcing(self.table, self.clock, self.notes, self.alarms, self.owners.get)  # type: ignore[arg-type]

    def resource(self, kind: str, specs: list[PointSpec]) -> dict[str, int]:
        spec = KindSpec(kind, None, None, None, {}, {one.name: one for one in specs}, None, None)
        made = Resource("evce", spec, "A", "1", None)
        for one in specs:
            index = made.indices[one.name] = self.table.add(f"evce/{kind}/A/{one.name}", one)
            self.owners[index] = made
            self.table.update([(index, good(1.0))])
        return made.indices

    def derive(self) -> None:
        add = lambda samples: (samples[0].value, GOOD, "")  # noqa: E731
        self.table.derive(self.zone["sum"], [self.station["rated"]], add)
        self.table.derive(self.zone["maximum"], [self.zone["sum"]], add)


def test_what_a_commands_range_is_derived_from_is_not_forced() -> None:
    site = Site()
    site.derive()
    for index in (site.zone["maximum"], site.zone["sum"], site.station["rated"]):
        with pytest.raises(CommandRejected, match="commands of evce/zone/A depend on it"):
            site.forcing.force(index, 9.0, 60.0, OSKAR)
    with pytest.raises(CommandRejected, match="other values of evce/station/A are calculated with it"):
        site.forcing.force(site.station["factor"], 9.0, 60.0, OSKAR)
    assert not site.table.any_forced
    site.forcing.force(site.zone["current"], 9.0, 60.0, OSKAR)
    assert site.table.good_value(site.zone["current"]) == 9.0


def test_a_force_ends_when_a_command_comes_to_depend_on_the_point() -> None:
    site = Site()
    site.forcing.force(site.station["rated"], 9.0, 60.0, OSKAR)
    site.forcing.tick()
    assert site.table.is_forced(site.station["rated"])
    site.derive()
    site.forcing.tick()
    assert not site.table.any_forced
    assert site.table.good_value(site.zone["maximum"]) == 1.0
    assert [event.event for event in site.notes.events] == ["forced", "unforced"]
    assert "depend on it" in site.notes.events[-1].answer
