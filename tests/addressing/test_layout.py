"""Where things stand: header, receipts, status words, blocks, overlaps, and the hash of the map."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.addressing import (
    PlacedPoint,
    Seat,
    expand,
    gateway_kind,
    map_hash,
    overlaps,
    place,
    region_faults,
    source_kind,
    spans_of,
)
from gateway.addressing.builtin import MAGIC, receipt
from gateway.core.circuit import SourceState
from gateway.core.delivery import Authority, WriteStatus
from gateway.core.point import CommandSpec, Factor, KindSpec, ObjectSpec, PointSpec, Region, RegisterSpec
from gateway.core.registers import Order, parse_register_type
from gateway.core.value import Quality, ValueKind

COMMAND = CommandSpec("PUT", "/x", {}, {}, Factor(250), None, None, "float", None, None, False, "low")

REGION = Region(1000, 60, 10, 56)


def register(at: int, name: str = "float32", order: Order = "big", bit: int | None = None) -> RegisterSpec:
    kind = parse_register_type(name)
    assert kind is not None
    return RegisterSpec(at, kind, 1.0, order, "big", "nan", bit)


def number(name: str, at: int, **keys: object) -> PointSpec:
    base = PointSpec(
        name=name, kind=ValueKind.NUMBER, registers=(register(at),), objects=(ObjectSpec("analog-input", at),)
    )
    return replace(base, **keys)  # type: ignore[arg-type]


def kind(*points: PointSpec, modbus: Region | None = REGION, name: str = "zone") -> KindSpec:
    return KindSpec(name, None, None, None, {}, {p.name: p for p in points}, modbus, Region(1000, 60, 10))


LIMIT = number("reduction", 40, command=COMMAND, receipt_at=44, receipt_instance=44, unit="A")


def cells(points: list[PointSpec]) -> dict[str, tuple[int, str]]:
    return {p.name: (p.registers[0].at, p.registers[0].type.name) for p in points if p.registers}


def test_the_header_is_that_of_design_6_5() -> None:
    header = gateway_kind("big", "big", [(0, "evce"), (1, "garage-7"), (34, "last"), (35, "too many")])
    assert cells(list(header.points.values())) == {
        "magic": (0, "uint32"),
        "layout_version": (2, "uint16"),
        "map_hash": (3, "uint64"),
        "heartbeat": (7, "uint16"),
        "uptime_s": (8, "uint32"),
        "sources_good": (10, "uint16"),
        "sources_total": (11, "uint16"),
        "points_bad": (12, "uint16"),
        "alarms_active": (13, "uint16"),
        "flags": (14, "uint16"),
        "bms_heartbeat": (15, "uint16"),
        "bms_heartbeat_age_s": (16, "uint16"),
        "version": (20, "string"),
        "evce.quality": (30, "enum"),
        "evce.age_s": (31, "uint16"),
        "garage-7.quality": (32, "enum"),
        "garage-7.age_s": (33, "uint16"),
        "last.quality": (98, "enum"),
        "last.age_s": (99, "uint16"),
    }
    assert header.points["version"].registers[0].type.words == 10
    assert MAGIC.to_bytes(4, "big") == b"EVGW"
    assert overlaps(expand(header, "big", "big"), header.modbus, header.bacnet) == []
    (span,) = spans_of(header, 1)
    assert span is not None
    assert (span.first, span.count, span.fill) == (0, 100, 0), "reserved registers read 0"


def test_the_bms_heartbeat_is_a_bacnet_object_on_demand_only() -> None:
    hash_text = {"map_hash_text": ("characterstring-value", 3)}
    plain = gateway_kind("big", "big", [])
    assert {p.name: (p.objects[0].object, p.objects[0].at) for p in plain.points.values() if p.objects} == hash_text
    header = gateway_kind("big", "big", [], heartbeat=True)
    served = {p.name: (p.objects[0].object, p.objects[0].at) for p in header.points.values() if p.objects}
    heartbeat = {"bms_heartbeat": ("analog-value", 15), "bms_heartbeat_age_s": ("analog-input", 16)}
    assert served == hash_text | heartbeat
    assert [p.name for p in header.points.values() if p.writable] == ["bms_heartbeat"]
    assert overlaps(expand(header, "big", "big"), header.modbus, header.bacnet) == []


def test_the_header_has_no_status_words_of_its_own() -> None:
    assert not any(point.name.startswith("status.") for point in expand(gateway_kind("big", "big", []), "big", "big"))


def test_the_receipt_is_that_of_design_5() -> None:
    points = receipt(LIMIT)
    assert cells(points) == {
        "reduction.requested": (44, "float32"),
        "reduction.applied": (46, "float32"),
        "reduction.write_status": (48, "enum"),
        "reduction.authority": (49, "enum"),
        "reduction.winner": (50, "uint16"),
        "reduction.lease_left_s": (51, "uint16"),
        "reduction.age_s": (52, "uint32"),
        "reduction.release": (54, "bool"),
        "reduction.error": (55, "uint16"),
    }
    assert {p.name.partition(".")[2]: (p.objects[0].object, p.objects[0].at) for p in points} == {
        "requested": ("analog-input", 44),
        "applied": ("analog-input", 46),
        "write_status": ("multi-state-input", 48),
        "authority": ("multi-state-input", 49),
        "winner": ("analog-input", 50),
        "lease_left_s": ("analog-input", 51),
        "age_s": ("analog-input", 52),
        "release": ("binary-value", 54),
        "error": ("analog-input", 55),
        "error_text": ("characterstring-value", 56),
    }
    by_name = {point.name.partition(".")[2]: point for point in points}
    assert [name for name, point in by_name.items() if point.writable] == ["release"]
    assert (by_name["requested"].unit, by_name["applied"].unit, by_name["age_s"].unit) == ("A", "A", "s")
    assert list(by_name["write_status"].codes.values()) == [int(status) for status in WriteStatus] == list(range(1, 11))
    assert list(by_name["authority"].codes.values()) == [int(authority) for authority in Authority] == list(range(1, 6))


@pytest.mark.parametrize(
    ("at", "instance", "registers", "objects"), [(None, 44, 0, 10), (44, None, 9, 0), (None, None, 0, 0)]
)
def test_a_receipt_stands_only_where_the_mapping_puts_it(
    at: int | None, instance: int | None, registers: int, objects: int
) -> None:
    points = receipt(replace(LIMIT, receipt_at=at, receipt_instance=instance))
    assert len(points) == 10, "the points exist all the same: page and command line show them"
    assert sum(bool(point.registers) for point in points) == registers
    assert sum(bool(point.objects) for point in points) == objects


def test_a_receipt_has_the_word_order_of_its_point() -> None:
    point = replace(LIMIT, registers=(register(40, order="little"),))
    assert {p.registers[0].word_order for p in receipt(point) if p.registers} == {"little"}


def test_status_words_are_online_quality_and_age() -> None:
    points = expand(kind(number("power", 0)), "little", "big")
    assert cells(points[1:]) == {
        "status.online": (56, "uint16"),
        "status.quality": (57, "enum"),
        "status.age_s": (58, "uint32"),
    }
    assert points[3].registers[0].word_order == "little", "the server's order"
    assert list(points[2].codes.values()) == [int(quality) for quality in Quality]
    nowhere = expand(kind(number("power", 0), modbus=Region(1000, 60, 10, None)), "big", "big")
    assert cells(nowhere) == {"power": (0, "float32")}
    assert len(nowhere) == 4


def test_the_built_in_resource_source() -> None:
    spec = source_kind("big", "big")
    assert cells(expand(spec, "big", "big")) == {
        "connected": (0, "bool"),
        "session_age_s": (2, "uint32"),
        "last_good": (4, "uint32"),
        "poll_ms": (6, "uint32"),
        "errors": (8, "uint32"),
        "state": (1, "enum"),
        "retry_in_s": (14, "uint16"),
        "overruns": (15, "uint16"),
        "status.online": (10, "uint16"),
        "status.quality": (11, "enum"),
        "status.age_s": (12, "uint32"),
    }
    assert overlaps(expand(spec, "big", "big"), spec.modbus, spec.bacnet) == []


def test_the_codes_of_the_state_of_a_source_never_change() -> None:
    spec = source_kind("big", "big").points["state"]
    assert spec.codes == {"starting": 1, "up": 2, "down": 3, "paused": 4, "taken": 5, "refused": 6}
    assert set(spec.codes) == set(SourceState)


def test_blocks_are_strides_from_the_first() -> None:
    points = place([number("power", 6)], kind(), source="evce", name="B/C", block=3, seat=Seat(7, 3))
    (point,) = points
    assert point.name == "evce/zone/B%2FC/power"
    assert [(r.unit, r.register) for r in point.registers] == [(7, 1000 + 3 * 60 + 6)]
    assert [(o.object, o.instance) for o in point.objects] == [("analog-input", 1000 + 3 * 60 + 6)]


@pytest.mark.parametrize(("block", "served"), [(None, False), (9, True), (10, False), (57, False)])
def test_nothing_is_served_without_a_block_or_beyond_the_region(block: int | None, served: bool) -> None:
    seat = Seat(1, block) if block is not None else None
    (point,) = place([number("power", 0)], kind(), source="evce", name="A", block=block, seat=seat)
    assert (bool(point.registers), bool(point.objects)) == (served, served)


def test_gaps_read_0xffff() -> None:
    (span,) = spans_of(kind(), 3)
    assert span is not None
    assert (span.unit, span.first, span.count, span.fill) == (3, 1000, 600, 0xFFFF)
    assert spans_of(kind(modbus=None), 1) == []


BIT = PointSpec(name="a", kind=ValueKind.BOOL, registers=(register(4, "bits", bit=0),))


@pytest.mark.parametrize(
    ("points", "faults"),
    [
        ([number("a", 0), number("b", 2)], []),
        ([number("a", 0), number("b", 1)], [("b", "modbus", "needs register offset 1, taken by a")]),
        ([BIT, replace(BIT, name="b", registers=(register(4, "bits", bit=15),))], []),
        ([BIT, replace(BIT, name="b")], [("b", "modbus", "needs register offset 4 bit 0, taken by a")]),
        (
            [BIT, replace(BIT, name="b", registers=(register(4, "uint16"),))],
            [("b", "modbus", "needs register offset 4, taken by a")],
        ),
        (
            [replace(number("a", 0), registers=()), replace(number("b", 0), registers=())],
            [("b", "bacnet", "needs analog-input instance offset 0, taken by a")],
        ),
        (
            [
                replace(number("a", 0), registers=()),
                replace(number("b", 0), registers=(), objects=(ObjectSpec("analog-value", 0),)),
            ],
            [],
        ),
        (
            [number("a", 59)],
            [("a", "modbus", "ends at register offset 60, and the stride 60 ends at 59")],
        ),
    ],
)
def test_overlaps(points: list[PointSpec], faults: list[tuple[str, str, str]]) -> None:
    assert overlaps(points, Region(0, 60, 1), Region(0, 60, 1)) == faults


def test_a_place_without_a_region_names_the_protocol() -> None:
    assert overlaps([number("a", 0)], None, None) == [
        ("a", "modbus", "has a register, and the resource has no `modbus` block"),
        ("a", "bacnet", "has an analog-input instance, and the resource has no `bacnet` block"),
    ]


def test_regions_of_a_family_do_not_clash_and_of_others_do() -> None:
    zone = kind(number("a", 0))
    assert region_faults([("one", "p", zone), ("two", "p", zone)]) == []
    texts = [(label, protocol) for label, protocol, _ in region_faults([("one", "p", zone), ("two", "q", zone)])]
    assert texts == [("two", "modbus"), ("two", "bacnet")]


def test_objects_that_only_one_of_a_family_has_are_judged_too() -> None:
    plain = kind(number("a", 0))
    more = kind(number("a", 0), number("b", 2, objects=(ObjectSpec("binary-input", 2),)))
    other = replace(kind(replace(BIT, objects=(ObjectSpec("binary-input", 0),)), name="meter"), modbus=None)
    faults = region_faults([("one", "p", plain), ("two", "p", more), ("meter", "q", other)])
    assert [(label, protocol) for label, protocol, _ in faults] == [("meter", "bacnet")]


# -- the hash of the map --------------------------------------------------------------------------------------------


def site(unit: int = 1) -> dict[str, PlacedPoint]:
    points = expand(kind(number("power", 0), LIMIT), "big", "big")
    placed = [
        p
        for block in range(3)
        for p in place(points, kind(), source="evce", name=f"Z{block}", block=block, seat=Seat(unit, block))
    ]
    return {point.name: point for point in placed}


@given(st.randoms(use_true_random=False))
def test_equal_maps_have_equal_hashes_in_any_order(chance: random.Random) -> None:
    items = list(site().items())
    chance.shuffle(items)
    assert map_hash(dict(items)) == map_hash(site())


@given(
    st.sampled_from(sorted(site())),
    st.sampled_from(["register", "unit", "instance", "object", "type", "order", "gone"]),
)
def test_any_change_of_an_address_changes_the_hash(name: str, what: str) -> None:
    before, after = site(), site()
    point = after[name]
    registers, objects = point.registers, point.objects
    if what in ("register", "unit") and registers:
        registers = (replace(registers[0], **{what: getattr(registers[0], what) + 1}),)
    elif what == "type" and registers:
        registers = (replace(registers[0], spec=replace(registers[0].spec, type=register(0, "int64").type)),)
    elif what == "order" and registers:
        registers = (replace(registers[0], spec=replace(registers[0].spec, word_order="little")),)
    elif what == "instance" and objects:
        objects = (replace(objects[0], instance=objects[0].instance + 1),)
    elif what == "object" and objects:
        objects = (replace(objects[0], object="analog-output"),)
    elif what == "gone":
        registers, objects = (), ()
    after[name] = replace(point, registers=registers, objects=objects)
    served = bool(point.registers or point.objects)
    changed = (registers, objects) != (point.registers, point.objects)
    assert (map_hash(before) != map_hash(after)) is (changed and served)


def test_the_hash_is_never_the_sentinel_and_ignores_what_is_served_nowhere() -> None:
    nowhere = {p.name: p for p in place([number("x", 0)], kind(), source="e", name="N", block=None, seat=None)}
    assert map_hash({**site(), **nowhere}) == map_hash(site())
    assert 0 <= map_hash(site()) < 0xFFFFFFFFFFFFFFFF
    assert map_hash(site(unit=2)) != map_hash(site())
