"""A meter that answers and does not count any more, from the product's answer to what is served."""

from __future__ import annotations

from dataclasses import replace

from gateway.core.value import Quality
from tests.engine.rig import loaded, until

POWER, VOLTAGE = "evce/meter/Meter 1/power", "evce/meter/Meter 1/voltage_l1"


def watching(frozen_after_s: float):
    """The shipped kinds with `frozen_after` on the meters' power."""
    found = []
    for kind in loaded("evce.yaml").kinds.values():
        points = dict(kind.points)
        if kind.name == "meter":
            points["power"] = replace(points["power"], frozen_after_s=frozen_after_s)
        found.append(replace(kind, points=points))
    return found


async def test_U42_a_meter_that_stands_still_is_stale_with_a_reason_until_it_moves(evce, plant):
    plant.add("evce", evce, kinds=watching(0.5))
    async with plant.running():
        await until(lambda: plant.value(POWER) is not None)
        before = plant.sample(POWER).value
        await until(lambda: plant.quality(POWER) is Quality.STALE)
        assert plant.reason(POWER).startswith("unchanged for ")
        assert plant.sample(POWER).value == before, "the value is shown as it was"
        assert plant.table.age_s(plant.index(POWER)) < 1.0, "the answers are fresh"
        assert plant.quality(VOLTAGE) is Quality.GOOD, "its siblings are not concerned"
        evce.faults.add("/pms/*/values", member="values.*.value", value=7.25)
        await until(lambda: plant.value(POWER) == 7.25)
        assert plant.reason(POWER) == ""


async def test_U42_costs_nothing_where_it_is_not_said(evce, plant):
    plant.add("evce", evce)
    async with plant.running():
        await until(lambda: plant.value(POWER) is not None)
        rows = plant.resource("meter", "Meter 1").plans["values"]
        assert all(convert is spec.convert for _, spec, _, convert in rows)
