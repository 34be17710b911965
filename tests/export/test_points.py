"""Rows of `points --json`: exactly the shape of DESIGN 6.2."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from gateway.addressing import PlacedObject, PlacedPoint, PlacedRegister, PlacedTrend
from gateway.core.point import CommandSpec, Factor, ObjectSpec, PointSpec, RegisterSpec
from gateway.core.registers import parse_register_type
from gateway.core.value import BAD, GOOD, STALE, Sample, ValueKind
from gateway.export import POINT_KEYS, point_row

COMMAND = CommandSpec("PUT", "/x", {}, {}, Factor(250), None, None, "float", None, None, False, "low")


def register(at: int, name: str, scale: float = 1.0, bit: int | None = None) -> PlacedRegister:
    kind = parse_register_type(name)
    assert kind is not None
    return PlacedRegister(1, at, RegisterSpec(at, kind, scale, "big", "big", "nan", bit))


def point(*registers: PlacedRegister, objects: tuple[str, ...] = (), **keys: Any) -> PlacedPoint:
    spec = PointSpec(name="power", **{"kind": ValueKind.NUMBER, "unit": "kW", **keys})
    placed = tuple(PlacedObject(name, 1008 + i, ObjectSpec(name, 8 + i)) for i, name in enumerate(objects))
    return PlacedPoint("evce/zone/A/power", spec, registers, placed)


def test_the_shape() -> None:
    row = point_row(point(register(1008, "float32"), objects=("analog-input",)), "evce/zone/A/power", 260001, None, 0.0)
    assert json.dumps(row) == json.dumps(
        {
            "point": "evce/zone/A/power",
            "type": "float32",
            "unit": "kW",
            "access": "r",
            "modbus": {"unit": 1, "register": 1008, "count": 2},
            "bacnet": {"device": 260001, "object": "analog-input", "instance": 1008},
            "value": None,
            "quality": None,
            "reason": None,
            "age_s": None,
        }
    )
    assert tuple(row) == POINT_KEYS


@pytest.mark.parametrize(
    ("placed", "kind", "modbus"),
    [
        (register(7, "bits", bit=3), "bits", {"unit": 1, "register": 7, "count": 1, "bit": 3}),
        (register(7, "bits", bit=0), "bits", {"unit": 1, "register": 7, "count": 1, "bit": 0}),
        (register(7, "string(5)"), "string(5)", {"unit": 1, "register": 7, "count": 3}),
        (register(7, "uint64"), "uint64", {"unit": 1, "register": 7, "count": 4}),
        (register(7, "enum"), "enum", {"unit": 1, "register": 7, "count": 1}),
    ],
)
def test_the_type_is_that_of_the_register(placed: PlacedRegister, kind: str, modbus: dict[str, int]) -> None:
    row = point_row(point(placed), "x", None, None, 0.0)
    assert (row["type"], row["modbus"], row["bacnet"]) == (kind, modbus, None)
    assert tuple(row) == POINT_KEYS


def test_a_point_served_nowhere() -> None:
    row = point_row(point(kind=ValueKind.STRING, unit=""), "x", 1, None, 0.0)
    assert (row["type"], row["modbus"], row["bacnet"]) == ("string", None, None)


def test_without_a_bacnet_server_there_is_no_object() -> None:
    assert point_row(point(objects=("analog-input",)), "x", None, None, 0.0)["bacnet"] is None


def test_further_encodings_stand_beside_the_ten_keys() -> None:
    placed = point(register(0, "float32"), register(2, "int16", 0.1), objects=("analog-input", "analog-value"))
    row = point_row(placed, "x", 5, None, 0.0)
    assert tuple(row)[: len(POINT_KEYS)] == POINT_KEYS
    assert row["modbus_also"] == [{"unit": 1, "register": 2, "count": 1, "type": "int16", "scale": 0.1}]
    assert row["bacnet_also"] == [{"device": 5, "object": "analog-value", "instance": 1009}]
    assert point_row(point(register(2, "int16", 0.1)), "x", 5, None, 0.0)["scale"] == 0.1


@pytest.mark.parametrize(
    ("keys", "access"), [({}, "r"), ({"command": COMMAND}, "rw"), ({"writable": True, "builtin": True}, "rw")]
)
def test_access(keys: dict[str, Any], access: str) -> None:
    assert point_row(point(**keys), "x", None, None, 0.0)["access"] == access


@pytest.mark.parametrize(
    ("sample", "keys", "shown"),
    [
        (Sample(5.5, GOOD, "", 90.0), {}, (5.5, "good", "", 10.0)),
        (Sample(5.5, STALE, "no answer", 40.04), {}, (5.5, "stale", "no answer", 60.0)),
        (Sample(5.5, BAD, "not present", 40.0), {}, (None, "bad", "not present", 60.0)),
        (Sample(None, BAD, "not read yet", -math.inf), {}, (None, "bad", "not read yet", None)),
        (Sample(20.0, BAD, "", 40.0), {"command": COMMAND}, (20.0, "bad", "", 60.0)),
    ],
)
def test_values(sample: Sample, keys: dict[str, Any], shown: tuple[Any, ...]) -> None:
    row = point_row(point(**keys), "x", None, sample, 100.0)
    assert (row["value"], row["quality"], row["reason"], row["age_s"]) == shown
    json.dumps(row, allow_nan=False)


def test_a_trend_log_stands_beside_them() -> None:
    served = point(objects=("analog-input",))
    log = PlacedTrend(1020, served.objects[0])
    row = point_row(replace(served, trend=log), "x", 5, None, 0.0)
    assert row["trend_log"] == {"device": 5, "object": "trend-log", "instance": 1020}
    assert "trend_log" not in point_row(replace(served, trend=log), "x", None, None, 0.0)
    assert "trend_log" not in point_row(served, "x", 5, None, 0.0)
