"""Modbus units: who is given which, that nobody ever moves or shares, and what can be read in each."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.addressing import AddressBook, Entry, Seat, Span, UnitMode, UnitPlan, source_kind, units
from gateway.addressing.builtin import GATEWAY_SOURCE, HEADER_KIND
from gateway.addressing.corrections import forget, rename
from gateway.core.point import SOURCE_KIND, KindSpec, ListSpec, Path, Region, WithinSpec

POOLS = {"north": "p", "south": "p"}
PATH = Path("@", lambda document: document)
LISTED = ListSpec("/x", PATH, PATH, False, PATH, None, 60.0)
ZONE = KindSpec("zone", LISTED, None, None, {}, {}, Region(1000, 60, 100, 56), None)
STATION = KindSpec(
    "station", LISTED, None, None, {}, {}, Region(7000, 40, 900, 36), None, actions_at=Region(65000, 8, 55)
)
EVSE = KindSpec("evse", None, WithinSpec("station", "s", PATH, PATH, False), None, {}, {}, Region(45000, 4, 90), None)
PLUG = KindSpec("plug", None, WithinSpec("evse", "s", PATH, PATH, False), None, {}, {}, Region(49000, 8, 1500), None)
KINDS = [source_kind("big", "big"), ZONE, STATION, EVSE, PLUG]
SITE = {"north": KINDS, "south": KINDS}
INNER = {"station": ["evse"], "evse": ["plug"]}
HEADER = Span(1, 0, 100, 0)
GAP = 0xFFFF


def book(*entries: Entry, sources: Sequence[str] = ("north", "south")) -> AddressBook:
    addresses = AddressBook(entries, {name: POOLS[name] for name in sources})
    addresses.reserve(GATEWAY_SOURCE, HEADER_KIND, GATEWAY_SOURCE, 1)
    for name in sources:
        addresses.reserve(name, SOURCE_KIND, name, 40)
    return addresses


def plan(addresses: AddressBook, mode: UnitMode, first: int = 1) -> UnitPlan:
    return UnitPlan(addresses, SITE, mode, first)


def entry(addresses: AddressBook, kind: str, name: str, source: str = "north") -> Entry:
    found = addresses.reserve(source, kind, name, 1 << 20)
    assert found is not None
    return found


def top(addresses: AddressBook, made: UnitPlan, kind: str, name: str, source: str = "north") -> Seat | None:
    found = entry(addresses, kind, name, source)
    return made.seat(found, found)


def test_one_unit_for_everything() -> None:
    addresses = book()
    made = plan(addresses, "one", 5)
    assert top(addresses, made, "zone", "A") == Seat(5, 0)
    assert top(addresses, made, "zone", "B", "south") == Seat(5, 1)
    assert (made.common, addresses.entries[-1].unit) == (None, None)
    assert [(s.unit, s.first) for s in made.spans(5)] == [
        (5, first) for first in (0, 100, 1000, 7000, 65000, 45000, 49000)
    ]


def test_a_unit_per_source_has_the_registers_of_the_one_unit_mode() -> None:
    addresses = book()
    made = plan(addresses, "per_source", 3)
    assert top(addresses, made, "zone", "A") == Seat(3, 0)
    assert top(addresses, made, "zone", "B", "south") == Seat(4, 1)
    assert top(addresses, made, SOURCE_KIND, "south", "south") == Seat(4, 1)
    assert top(addresses, made, HEADER_KIND, GATEWAY_SOURCE, GATEWAY_SOURCE) == Seat(3, 0)
    assert made.common == Span(3, 0, 100, 0)
    regions = [(100, 640), (1000, 6000), (7000, 36000), (65000, 440), (45000, 360), (49000, 12000)]
    assert made.spans(3) == [Span(3, 0, 100, 0), *(Span(3, first, count, GAP) for first, count in regions)]
    assert made.spans(4) == [Span(4, first, count, GAP) for first, count in regions], "the header comes from common"


def test_a_source_that_comes_or_goes_moves_no_other() -> None:
    before = book()
    without = book(*copy.deepcopy(before.entries), sources=("south",))
    made = plan(without, "per_source")
    assert top(without, made, SOURCE_KIND, "south", "south") == Seat(2, 1)
    again = book(*copy.deepcopy(without.entries), sources=("south", "north"))
    made = plan(again, "per_source")
    assert [top(again, made, SOURCE_KIND, name, name) for name in ("north", "south")] == [Seat(1, 0), Seat(2, 1)]


def test_a_source_beyond_the_last_unit_has_none() -> None:
    addresses = book()
    made = plan(addresses, "per_source", 247)
    assert top(addresses, made, "zone", "A") == Seat(247, 0)
    assert top(addresses, made, "zone", "B", "south") is None


def test_every_resource_has_a_unit_and_all_of_a_kind_the_same_registers() -> None:
    addresses = book()
    made = plan(addresses, "per_resource")
    wanted = [("zone", "A"), ("station", "S 1"), ("station", "S 2")]
    assert [top(addresses, made, kind, name) for kind, name in wanted] == [Seat(2, 0), Seat(3, 0), Seat(4, 0)]
    assert top(addresses, made, SOURCE_KIND, "south", "south") == Seat(1, 1), "with the gateway"
    assert top(addresses, made, HEADER_KIND, GATEWAY_SOURCE, GATEWAY_SOURCE) == Seat(1, 0)
    assert top(addresses, made, "zone", "A") == Seat(2, 0)
    assert top(addresses, made, "zone", "A", "south") == Seat(5, 0), "another source's zone is another zone"
    assert made.common == HEADER


def test_what_lives_inside_stands_in_its_outermost_unit() -> None:
    addresses = book()
    made = plan(addresses, "per_resource")
    one, two = entry(addresses, "station", "S1"), entry(addresses, "station", "S2")
    plugs = [("S1#1#1", one), ("S2#1#1", two), ("S1#1#2", one), ("S1#2#1", one)]
    assert [made.seat(entry(addresses, "plug", name), owner) for name, owner in plugs] == [
        Seat(2, 0),
        Seat(3, 0),
        Seat(2, 1),
        Seat(2, 2),
    ], "also before the station itself was placed"
    assert made.seat(entry(addresses, "evse", "S1#1"), one) == Seat(2, 0)
    assert made.seat(one, one) == Seat(2, 0)
    assert made.seat(entry(addresses, "plug", "S9#1#1"), None) is None


def test_a_units_blocks_are_one_of_the_resource_and_all_of_what_is_inside() -> None:
    addresses = book()
    made = plan(addresses, "per_resource")
    for kind, name in (("zone", "A"), ("station", "S")):
        top(addresses, made, kind, name)
    assert made.spans(1) == [HEADER, Span(1, 100, 640, GAP)]
    assert made.spans(2) == [Span(2, 1000, 60, GAP)]
    assert made.spans(3) == [
        Span(3, 7000, 40, GAP),
        Span(3, 65000, 8, GAP),
        Span(3, 45000, 360, GAP),
        Span(3, 49000, 12000, GAP),
    ]


def test_the_units_below_the_first_are_given_last_and_then_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "LAST_UNIT", 5)
    addresses = book()
    made = plan(addresses, "per_resource", 3)
    seats = [top(addresses, made, "zone", f"Z{n}") for n in range(6)]
    assert seats == [Seat(4, 0), Seat(5, 0), Seat(1, 0), Seat(2, 0), None, None]
    full = entry(addresses, "zone", "Z4")
    assert made.seat(entry(addresses, "plug", "Z4#1"), full) is None
    assert (full.unit, full.block) == (None, 4), "its block is its own all the same"


def test_who_changes_the_first_unit_moves_the_gateway_alone() -> None:
    addresses = book()
    made = plan(addresses, "per_resource", 1)
    assert top(addresses, made, "zone", "A") == Seat(2, 0)
    made = plan(addresses, "per_resource", 2)
    assert top(addresses, made, "zone", "A") == Seat(2, 0), "no register of a zone is one of the gateway's"
    assert top(addresses, made, SOURCE_KIND, "north") == Seat(2, 0)
    assert made.spans(2) == [Span(2, 0, 100, 0), Span(2, 100, 640, GAP), Span(2, 1000, 60, GAP)]
    assert top(addresses, made, "zone", "B") == Seat(3, 0)


Step = tuple[str, str, int, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["top", "inner", "rename", "forget", "restart", "without north", "other mode", "first"]),
        st.sampled_from(["north", "south"]),
        st.integers(0, 5),
        st.integers(0, 5),
    ),
    max_size=40,
)


class House:
    """A site whose resources come and go; `seats` are all that were ever given, by what never changes."""

    def __init__(self) -> None:
        self.addresses = book()
        self.sources: tuple[str, ...] = ("north", "south")
        self.plan = plan(self.addresses, "per_resource")
        self.seats: dict[tuple[str, str, int], Seat] = {}

    def place(self, source: str, kind: str, name: str, owner: str = "") -> None:
        addresses = self.addresses
        found = entry(addresses, kind, name, source)
        seat = self.plan.seat(found, addresses.find(source, "station", owner) if owner else found)
        if seat is not None:
            self.seats.setdefault((source, kind, found.block), seat)

    def step(self, what: str, source: str, a: int, b: int) -> None:
        addresses = self.addresses
        stations = addresses.of(source, "station")
        if what in ("top", "inner", "rename", "forget") and source not in self.sources:
            return
        if what == "top":
            self.place(source, "station" if b % 2 else "zone", f"X{a}")
        elif what == "inner" and stations:
            owner = stations[a % len(stations)].name
            self.place(source, "evse", f"{owner}#{b}", owner)
        elif what == "rename" and stations and stations[a % len(stations)].name != f"X{b}":
            rename(addresses, stations[a % len(stations)], f"X{b}", INNER)
        elif what == "forget" and stations:
            forget(addresses, stations[a % len(stations)], INNER)
        elif what in ("restart", "without north", "first", "other mode"):
            self.sources = ("south",) if what == "without north" else ("north", "south")
            self.addresses = book(*copy.deepcopy(addresses.entries), sources=self.sources)
            mode: UnitMode = "one" if what == "other mode" else "per_resource"
            for e in self.addresses.entries if mode == "one" else ():
                plan(self.addresses, mode).seat(e, e)
            self.plan = plan(self.addresses, "per_resource", 1 + a if what == "first" else 1)

    def check(self) -> None:
        given = [(e.kind, e.unit, e.unit_block) for e in self.addresses.entries if e.unit is not None]
        assert len(given) == len(set(given)), "no two at one place"
        now = {
            (e.source, e.kind, e.block): Seat(e.unit, e.unit_block)
            for e in self.addresses.entries
            if e.unit is not None
        }
        assert {key: now.get(key) for key in self.seats} == self.seats, "nobody ever moves"
        tops = [e.unit for e in self.addresses.entries if e.kind in ("zone", "station") and e.unit is not None]
        assert len(tops) == len(set(tops)), "a unit has one owner, for ever"


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_nobody_ever_moves_or_shares_whatever_comes_goes_or_is_renamed(steps: list[Step]) -> None:
    house = House()
    for step in steps:
        house.step(*step)
        house.check()


def test_a_kind_that_is_not_served_over_modbus_has_no_spans() -> None:
    addresses = book()
    made = UnitPlan(addresses, {"north": [replace(ZONE, modbus=None)]}, "per_resource")
    top(addresses, made, "zone", "A")
    assert made.spans(2) == []
