"""Values that a person puts in the place of measured ones: in the table, and what follows from them."""

from __future__ import annotations

import pytest

from gateway.core.point import PointSpec
from gateway.core.value import BAD, GOOD, OUT_OF_SERVICE, STALE, Sample, ValueKind
from gateway.engine.table import PointTable
from tests.engine.test_table import HandClock, good, point

WHY = OUT_OF_SERVICE + "forced"


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def table(clock: HandClock) -> PointTable:
    return PointTable(clock)


def test_samples_of_a_forced_point_stand_aside_and_come_back(table: PointTable) -> None:
    one, other = table.add("a", point()), table.add("b", point())
    told: list[list[int]] = []
    table.subscribe(lambda changed: told.append(list(changed)))
    table.update([(one, good(1.0)), (other, good(1.0))])
    table.force(one, 9.0, WHY)
    assert table.sample(one)[:3] == (9.0, GOOD, WHY)
    table.update([(one, good(2.0)), (other, good(2.0))])
    assert (table.good_value(one), table.good_value(other)) == (9.0, 2.0)
    assert told == [[one, other], [one], [other]]
    table.force(one, 8.0, WHY)
    table.unforce(one)
    assert table.sample(one)[:3] == (2.0, GOOD, "")
    assert not table.any_forced
    table.unforce(one)


def test_a_forced_point_neither_ages_nor_takes_blame(table: PointTable, clock: HandClock) -> None:
    index = table.add("a", point(stale_after_s=15.0))
    table.update([(index, good(1.0))])
    table.force(index, 9.0, WHY)
    clock.now += 100.0
    table.tick()
    table.fail([index], "no answer")
    assert table.sample(index)[:3] == (9.0, GOOD, WHY)
    table.unforce(index)
    table.tick()
    assert table.sample(index).quality is BAD
    assert table.sample(index).value == 1.0


def test_a_value_that_is_lost_meanwhile_is_lost_afterwards(table: PointTable) -> None:
    index = table.add("a", point())
    table.update([(index, good(1.0))])
    table.force(index, 9.0, WHY)
    table.update([(index, Sample(None, BAD, "the answer has no x", 100.0))])
    assert table.bad() == []
    table.unforce(index)
    assert table.sample(index)[:3] == (1.0, BAD, "the answer has no x")
    assert table.bad() == [index]


def test_a_point_never_read_can_be_forced_and_is_not_read_afterwards(table: PointTable) -> None:
    index = table.add("a", point())
    table.force(index, 9.0, WHY)
    assert table.good_value(index) == 9.0
    table.unforce(index)
    assert table.sample(index)[:3] == (None, BAD, "not read yet")
    assert not table.seen(index)


def test_what_is_derived_follows_and_can_be_forced_itself(table: PointTable) -> None:
    first, second = table.add("a", point()), table.add("b", point())
    total = table.add("sum", PointSpec(name="sum", kind=ValueKind.NUMBER))
    table.derive(total, [first, second], lambda s: (sum(float(x.value or 0) for x in s), GOOD, ""))
    table.update([(first, good(1.0)), (second, good(2.0))])
    table.force(first, 10.0, WHY)
    assert table.good_value(total) == 12.0
    table.force(total, 99.0, WHY)
    table.update([(second, good(3.0))])
    assert table.good_value(total) == 99.0
    table.unforce(total)
    assert table.good_value(total) == 13.0
    table.unforce(first)
    assert table.good_value(total) == 4.0


def test_a_force_ends_when_the_point_is_another_equipments(table: PointTable) -> None:
    index = table.add("a", point())
    table.update([(index, good(1.0))])
    table.force(index, 9.0, WHY)
    table.forget([index], "its id was corrected")
    assert table.sample(index)[:3] == (None, BAD, "its id was corrected")
    assert not table.is_forced(index)
    table.force(index, 9.0, WHY)
    table.retire([index])
    assert not table.any_forced


def test_stale_stays_stale_under_it(table: PointTable) -> None:
    index = table.add("a", point())
    table.update([(index, Sample(1.0, STALE, "no answer", 100.0))])
    table.force(index, 9.0, WHY)
    table.unforce(index)
    assert table.sample(index)[:3] == (1.0, STALE, "no answer")


def test_what_is_derived_from_a_forced_point_is_doubtful_until_the_last_force_ends(table: PointTable) -> None:
    first, second, alone = (table.add(name, point()) for name in ("a", "b", "c"))
    total = table.add("sum", PointSpec(name="sum", kind=ValueKind.NUMBER))
    table.derive(total, [first, second], lambda s: (sum(float(x.value or 0) for x in s), GOOD, ""))
    table.update([(first, good(1.0)), (second, good(2.0)), (alone, good(3.0))])
    told: list[list[int]] = []
    table.subscribe(lambda changed: told.append(list(changed)))
    table.force(first, 1.0, WHY)
    table.force(second, 2.0, WHY)
    assert told == [[first, total], [second]], "doubt alone is news"
    assert [table.is_doubtful(index) for index in (first, second, total, alone)] == [True, True, True, False]
    table.unforce(first)
    assert [table.is_doubtful(index) for index in (first, total)] == [False, True]
    table.forget([second], "another equipment")
    assert not table.is_doubtful(total)


def test_a_machine_that_slept_makes_what_stands_aside_older(table: PointTable, clock: HandClock) -> None:
    index = table.add("a", point(stale_after_s=15.0))
    table.update([(index, good(1.0))])
    table.force(index, 9.0, WHY)
    table.slept(20.0)
    table.unforce(index)
    table.tick()
    assert table.sample(index).quality is STALE
