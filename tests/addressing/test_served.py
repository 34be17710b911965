"""What differs between two maps, and what of it breaks a BMS that was engineered with the first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.addressing import Entry, PlacedObject, PlacedPoint, PlacedRegister
from gateway.addressing.served import (
    ServedObject,
    ServedPoint,
    ServedRegister,
    differences,
    dismissed_owners,
    moves,
    served_point,
)
from gateway.core.point import ObjectSpec, PointSpec, RegisterSpec
from gateway.core.registers import parse_register_type
from gateway.core.value import ValueKind

HOME = ("evce", "zone", 0)
REGISTER = ServedRegister(1, 1008, "float32", 2)
OBJECT = ServedObject(260001, "analog-input", 1008)
POWER = ServedPoint(HOME, "power", "evce/zone/Zone A/power", "kW", "r", (REGISTER,), (OBJECT,))
STATUS = replace(
    POWER, point="status", name="evce/zone/Zone A/status", unit="", registers=(), codes={"Available": 1, "Charging": 2}
)


def told(before: list[ServedPoint], after: list[ServedPoint], **keys: Any) -> list[tuple[str, str]]:
    return [(one.what, one.text) for one in differences(before, after, **keys)]


def test_equal_maps_do_not_differ() -> None:
    assert told([POWER, STATUS], [STATUS, POWER]) == []


def test_what_is_new_is_free() -> None:
    more = replace(POWER, owner=("evce", "zone", 1), name="evce/zone/Zone B/power", registers=(), objects=(OBJECT,))
    assert told([POWER], [POWER, more]) == [("added", "analog-input 1008 of device 260001 [kW]")]
    second = replace(POWER, registers=(REGISTER, ServedRegister(1, 1010, "int16", 1, scale=0.1)))
    assert told([POWER], [second]) == [("added", "register 1/1010 int16 x 0.1")]
    assert moves([POWER], [POWER, more]) == moves([POWER], [second]) == []


@pytest.mark.parametrize(
    ("register", "what", "text"),
    [
        (replace(REGISTER, register=1010), "moved", "register 1/1008 float32 becomes register 1/1010 float32"),
        (replace(REGISTER, unit=2), "moved", "register 1/1008 float32 becomes register 2/1008 float32"),
        (replace(REGISTER, type="int32"), "retyped", "register 1/1008 float32 becomes register 1/1008 int32"),
        (replace(REGISTER, scale=0.1), "retyped", "register 1/1008 float32 becomes register 1/1008 float32 x 0.1"),
        (
            replace(REGISTER, word_order="little"),
            "retyped",
            "register 1/1008 float32 becomes register 1/1008 float32 little words",
        ),
        (
            replace(REGISTER, byte_order="little"),
            "retyped",
            "register 1/1008 float32 becomes register 1/1008 float32 little bytes",
        ),
    ],
)
def test_H06_a_register_that_moves_or_reads_differently(register: ServedRegister, what: str, text: str) -> None:
    after = [replace(POWER, registers=(register,))]
    assert told([POWER], after) == [(what, text)]
    assert [one.what for one in moves([POWER], after)] == [what]


def test_H06_a_register_that_is_gone() -> None:
    assert told([POWER], [replace(POWER, registers=())]) == [
        ("removed", "register 1/1008 float32 is not served any more")
    ]
    assert told([POWER], []) == [("removed", "register 1/1008 float32, analog-input 1008 of device 260001 [kW]")]


@pytest.mark.parametrize(
    "other",
    [replace(OBJECT, instance=1009), replace(OBJECT, object="analog-value"), replace(OBJECT, device=260002)],
    ids=["instance", "type", "device"],
)
def test_H06_an_object_that_moves(other: ServedObject) -> None:
    ((what, text),) = told([POWER], [replace(POWER, objects=(other,))])
    assert (what, text) == ("moved", f"{OBJECT} becomes {other}")


def test_H06_another_unit_or_another_code_of_a_text() -> None:
    assert told([POWER], [replace(POWER, unit="W")]) == [("retyped", "its unit was kW and is W")]
    swapped = replace(STATUS, codes={"Available": 2, "Charging": 1})
    assert told([STATUS], [swapped]) == [("retyped", "codes: 'Available' was 1 and is 2, 'Charging' was 2 and is 1")]


def test_texts_names_and_access_may_change() -> None:
    other = replace(STATUS, codes={"Available": 1, "Charging": 2, "Faulted": 3}, access="rw", name="evce/zone/Z/status")
    found = differences([STATUS], [other])
    assert [one.what for one in found] == ["changed"] * 3
    assert {one.text for one in found} == {
        "texts new: 'Faulted'",
        "access was r and is rw",
        "was called evce/zone/Zone A/status",
    }
    assert moves([STATUS], [other]) == []


def test_a_renamed_resource_is_the_same_and_two_that_traded_blocks_are_not_told_as_moves() -> None:
    renamed = replace(POWER, name="evce/zone/Zone North/power")
    assert told([POWER], [renamed]) == [("changed", "was called evce/zone/Zone A/power")]


def test_another_point_name_at_the_very_same_addresses_is_a_rename() -> None:
    renamed = replace(POWER, point="active_power", name="evce/zone/Zone A/active_power")
    assert told([POWER], [renamed]) == [("changed", "was called evce/zone/Zone A/power")]


def test_what_the_operator_gave_up_is_no_loss() -> None:
    entries = [
        Entry("evce", "zone", "Zone A", "1", 0, forgotten=True),
        Entry("evce", "zone", "Zone B", "2", 1, retired=True),
        Entry("evce", "zone", "Zone C", "3", 2),
    ]
    dismissed = dismissed_owners(entries)
    assert dismissed == {HOME, ("evce", "zone", 1)}
    assert moves([POWER], [], dismissed) == []
    kept = replace(POWER, owner=("evce", "zone", 2))
    assert [one.what for one in moves([kept], [], dismissed)] == ["removed"]


def test_the_breaking_ones_come_first() -> None:
    new = replace(POWER, owner=("evce", "zone", 9), name="evce/zone/Zone J/power")
    found = differences([POWER], [new, replace(POWER, registers=(replace(REGISTER, register=7),))])
    assert [one.what for one in found] == ["moved", "added"]
    assert str(found[0]) == "moved: evce/zone/Zone A/power: register 1/1008 float32 becomes register 1/7 float32"


def test_a_placed_point_as_it_is_served() -> None:
    kind = parse_register_type("string(5)")
    bits = parse_register_type("bits")
    assert kind is not None
    assert bits is not None
    registers = (
        PlacedRegister(3, 7, RegisterSpec(7, kind, 1.0, "big", "little", "nan")),
        PlacedRegister(3, 8, RegisterSpec(8, bits, 1.0, "big", "big", "nan", 4)),
    )
    objects = (PlacedObject("analog-input", 5, ObjectSpec("analog-input", 5)),)
    spec = PointSpec(name="x", kind=ValueKind.ENUM, codes={"on": 1}, writable=True)
    served = served_point(HOME, PlacedPoint("n", spec, registers, objects), modbus=True, device=9)
    assert served.registers == (
        ServedRegister(3, 7, "string(5)", 3, byte_order="little"),
        ServedRegister(3, 8, "bits", 1, 4),
    )
    assert str(served.registers[1]) == "register 3/8.4 bits"
    assert (served.objects, served.access, served.codes) == ((ServedObject(9, "analog-input", 5),), "rw", {"on": 1})
    nothing = served_point(HOME, PlacedPoint("n", spec, registers, objects), modbus=False, device=None)
    assert not nothing.is_served
