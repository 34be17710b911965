"""Values computed from other points: what a bad, stale or missing input does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.core.point import DeriveSpec, PointSpec
from gateway.core.value import BAD, GOOD, STALE, Sample, ValueKind
from gateway.engine.derive import computation
from tests.engine.rig import loaded, until


def spec(op, *, where=None, skip_bad=False):
    return DeriveSpec(op, "station", "power", where, skip_bad)


def samples(*values):
    return [Sample(value, GOOD, "", 0.0) for value in values]


@pytest.mark.parametrize(("op", "result"), [("sum", 6.6), ("max", 3.3), ("min", 1.1), ("mean", 2.2)])
def test_reductions(op, result):
    assert computation(spec(op))(samples(1.1, 2.2, 3.3)) == (pytest.approx(result), GOOD, "")


def test_count_of_codes():
    where = frozenset({3, 4})
    assert computation(spec("count", where=where))(samples(3, 1, 4, 0, 3)) == (3, GOOD, "")


@pytest.mark.parametrize("op", ["max", "min", "mean"])
def test_nothing_to_compare_is_no_value(op):
    assert computation(spec(op))([]) == (None, BAD, "there is no station with a power")


def test_sum_and_count_of_nothing_are_zero():
    assert computation(spec("sum"))([])[0] == 0
    assert computation(spec("count", where=frozenset({1})))([])[0] == 0


def test_a_bad_input_makes_it_bad_unless_skipped():
    inputs = [*samples(5.0, 6.0), Sample(7.0, BAD, "gone", 0.0)]
    assert computation(spec("sum"))(inputs) == (None, BAD, "1 of 3 stations have no good power")
    assert computation(spec("sum", skip_bad=True))(inputs) == (11.0, GOOD, "")
    assert computation(spec("max", skip_bad=True))([inputs[2]]) == (None, BAD, "there is no station with a power")


def test_a_stale_input_makes_it_stale():
    inputs = [*samples(5.0), Sample(6.0, STALE, "no answer", 0.0)]
    assert computation(spec("sum"))(inputs) == (11.0, STALE, "an input is stale")


async def test_children_that_vanish_and_come_back_leave_and_join_the_derived_value(evce, plant):
    kinds = dict(loaded("evce.yaml").kinds)
    known = frozenset(range(10))
    count = DeriveSpec("count", "connector", "status", known, skip_bad=False)
    point = PointSpec(name="connectors", kind=ValueKind.NUMBER, derive=count)
    kinds["station"] = replace(kinds["station"], points={**kinds["station"].points, "connectors": point})
    plant.add("evce", evce, kinds=list(kinds.values()))
    station = next(iter(evce.site.stations.values()))
    async with plant.running():
        for connectors in (2, 1, 2, 1):
            station.connectors = connectors
            await until(lambda n=connectors: plant.value("evce/station/Bay 001/connectors") == n)
