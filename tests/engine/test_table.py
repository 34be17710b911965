"""The point table: one step per answer, values that age, and what a reader may believe."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.point import Factor, PointSpec
from gateway.core.value import BAD, CONFIG_ERROR, GOOD, STALE, Sample, ValueKind
from gateway.engine.table import PointTable


class HandClock:
    now = 100.0

    def monotonic(self):
        return self.now

    def wall(self):
        return self.now


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def table(clock):
    return PointTable(clock)


def point(name="p", **extra):
    return PointSpec(name=name, kind=ValueKind.NUMBER, read="r", scale=Factor(1.0), **extra)


def good(value, at=100.0):
    return Sample(value, GOOD, "", at)


def test_a_new_point_has_no_value_and_says_so(table):
    index = table.add("a", point())
    assert table.sample(index)[:3] == (None, BAD, "not read yet")
    assert math.isinf(table.age_s(index))
    assert not table.seen(index)
    with pytest.raises(ValueError, match="a"):
        table.add("a", point())


def test_bad_keeps_the_last_value_and_its_time(table, clock):
    index = table.add("a", point())
    table.update([(index, good(11.5))])
    clock.now = 107.0
    table.update([(index, Sample(None, BAD, "the answer has no x", 107.0))])
    assert table.sample(index) == (11.5, BAD, "the answer has no x", 100.0)
    assert table.age_s(index) == 7.0
    assert table.good_value(index) is None
    assert table.last_value(index) == 11.5


def test_age_is_never_fresh_until_there_is_a_good_value(table, clock):
    index = table.add("a", point())
    table.update([(index, good(1))])
    for second in range(101, 130):
        clock.now = float(second)
        table.update([(index, Sample(None, BAD, f"try {second}", clock.now))])
        table.fail([index], "no answer")
        table.tick()
        assert table.age_s(index) == second - 100


def test_stale_after_its_time_bad_after_three_times_and_good_again(table, clock):
    index = table.add("a", point(stale_after_s=15.0))
    table.update([(index, good(5))])
    table.fail([index], "GET /x: no answer within 10 s")
    for age, quality in ((15.0, GOOD), (15.1, STALE), (45.0, STALE), (45.1, BAD)):
        clock.now = 100.0 + age
        table.tick()
        assert table.sample(index).quality is quality, age
        assert table.sample(index).value == 5
    assert table.sample(index).reason == "GET /x: no answer within 10 s"
    table.update([(index, good(6, clock.now))])
    assert table.sample(index) == (6, GOOD, "", clock.now)
    clock.now += 16
    table.tick()
    assert table.sample(index).reason == "no answer"


def test_an_old_value_shows_the_newest_reason_and_what_is_derived_from_it_too(table, clock):
    index, total = table.add("a", point()), table.add("b", PointSpec(name="b", kind=ValueKind.NUMBER))
    table.derive(total, [index], lambda samples: (None, samples[0].quality, samples[0].reason))
    table.update([(index, good(1.0))])
    table.fail([index], "cannot connect")
    assert table.sample(index).reason == ""
    for later, quality in ((16.0, STALE), (30.0, BAD)):
        clock.now += later
        table.tick()
        table.fail([index], f"certificate expired, {quality.name}")
        assert table.sample(index)[:3] == (1.0, quality, f"certificate expired, {quality.name}")
        assert table.sample(total).reason == f"certificate expired, {quality.name}"
    table.update([(index, good(2.0, clock.now))])
    table.fail([index], "once more")
    assert table.sample(index)[:3] == (2.0, GOOD, "")


@pytest.mark.parametrize("extra", [{"builtin": True, "read": None}, {"member_of": "zone", "read": None}])
def test_what_has_no_read_of_its_own_does_not_age(table, clock, extra):
    index = table.add("a", PointSpec(name="p", kind=ValueKind.NUMBER, **extra))
    table.update([(index, good(5))])
    clock.now += 1e6
    table.tick()
    assert table.sample(index).quality is GOOD


def test_a_stale_time_can_be_given_to_a_built_in_point(table, clock):
    index = table.add("a", PointSpec(name="p", kind=ValueKind.NUMBER, builtin=True), stale_after_s=30.0)
    table.update([(index, good(5))])
    clock.now += 31
    table.tick()
    assert table.sample(index).quality is STALE


def test_a_reason_reaches_points_that_never_had_a_value_at_once(table):
    index, other = table.add("a", point()), table.add("b", point())
    table.update([(other, Sample(None, CONFIG_ERROR, "two are named so", 100.0))])
    table.fail([index, other], "evce: cannot connect")
    assert table.sample(index).reason == "evce: cannot connect"
    assert table.sample(other).reason == "two are named so"


def test_one_notification_per_step_with_everything_in_place(table):
    a, b = table.add("a", point()), table.add("b", point())
    total = table.add("t", PointSpec(name="t", kind=ValueKind.NUMBER))
    table.derive(total, [a, b], lambda s: (sum(x.value or 0 for x in s), GOOD, ""))
    seen = []
    table.subscribe(lambda changed: seen.append((sorted(changed), [table.sample(i).value for i in (a, b, total)])))
    table.update([(a, good(1)), (b, good(2))])
    assert seen == [([a, b, total], [1, 2, 3])]
    table.update([(a, good(1, 105.0)), (b, good(2, 105.0))])
    assert len(seen) == 1
    table.update([])
    table.tick()
    assert len(seen) == 1


def test_chains_of_derived_points_follow_in_the_same_step(table):
    a = table.add("a", point())
    once = table.add("once", PointSpec(name="o", kind=ValueKind.NUMBER))
    twice = table.add("twice", PointSpec(name="t", kind=ValueKind.NUMBER))
    table.derive(once, [a], lambda s: (s[0].value and s[0].value + 1, s[0].quality, s[0].reason))
    table.derive(twice, [once], lambda s: (s[0].value and s[0].value * 2, s[0].quality, s[0].reason))
    steps = []
    table.subscribe(lambda changed: steps.append(set(changed)))
    table.update([(a, good(4))])
    assert [table.sample(i).value for i in (a, once, twice)] == [4, 5, 10]
    assert steps == [{a, once, twice}]


def test_a_circle_of_derived_points_ends(table):
    a = table.add("a", point())
    one = table.add("one", PointSpec(name="o", kind=ValueKind.NUMBER))
    two = table.add("two", PointSpec(name="t", kind=ValueKind.NUMBER))
    table.derive(one, [a, two], lambda s: ((s[0].value or 0) + (s[1].value or 0) + 1, GOOD, ""))
    table.derive(two, [one], lambda s: ((s[0].value or 0) + 1, GOOD, ""))
    table.update([(a, good(1))])
    assert table.sample(two).value is not None


def test_derive_again_replaces_the_inputs(table):
    a, b = table.add("a", point()), table.add("b", point())
    total = table.add("t", PointSpec(name="t", kind=ValueKind.NUMBER))
    table.derive(total, [a], lambda s: (s[0].value, s[0].quality, ""))
    table.derive(total, [b], lambda s: (s[0].value, s[0].quality, ""))
    table.update([(a, good(1)), (b, good(2))])
    assert table.sample(total).value == 2
    table.update([(a, good(9))])
    assert table.sample(total).value == 2


def test_rename_keeps_the_index(table):
    index = table.add("old", point())
    table.rename(index, "new")
    assert (table.find("old"), table.find("new")) == (None, index)


def test_points_without_a_value_are_listed_in_order_derived_and_optional_ones_too(table):
    first, optional = table.add("a", point()), table.add("b", point(optional=True))
    total = table.add("sum", PointSpec(name="sum", kind=ValueKind.NUMBER))
    table.derive(total, [first], lambda samples: (samples[0].value, samples[0].quality, ""))
    assert table.bad() == [first, total], "an optional point that was never seen is not missed"
    table.update([(first, good(1.0)), (optional, good(2.0))])
    assert table.bad() == []
    lost = Sample(None, CONFIG_ERROR, "gone", 100.0)
    table.update([(optional, lost), (first, lost)])
    assert table.bad() == [first, optional, total]


STEPS = st.one_of(
    st.tuples(st.just("good"), st.floats(-1e6, 1e6)),
    st.tuples(st.just("bad"), st.text(max_size=5)),
    st.tuples(st.just("fail"), st.text(max_size=5)),
    st.tuples(st.just("pass"), st.sampled_from([1.0, 10.0, 20.0, 100.0])),
)


@given(st.lists(STEPS, max_size=30))
def test_whatever_happens_the_table_tells_no_lie(steps):
    clock = HandClock()
    table = PointTable(clock)
    index = table.add("a", point(stale_after_s=15.0))
    last: tuple[float, float] | None = None
    told = []
    table.subscribe(lambda changed: told.append(table.sample(index)[:3]))
    for what, value in steps:
        before = table.sample(index)[:3]
        count = len(told)
        match what:
            case "good":
                table.update([(index, good(value, clock.now))])
                last = (value, clock.now)
            case "bad":
                table.update([(index, Sample(None, BAD, value, clock.now))])
            case "fail":
                table.fail([index], value)
            case "pass":
                clock.now += value
                table.tick()
        sample = table.sample(index)
        assert (sample.value, sample.time) == (last if last else (None, -math.inf))
        if sample.quality is GOOD:
            assert last is not None
            assert clock.now - last[1] <= 15.0
        assert (sample[:3] != before) == (len(told) > count)
        assert table.bad() == ([index] if sample.quality > STALE else [])
