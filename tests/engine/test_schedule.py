"""When jobs are due: spread, a little early or late, never overlapping, never piled up."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.engine.schedule import Schedule
from tests.engine.rig import loaded

ZONE = loaded("evce.yaml").kinds["zone"]


async def nothing() -> None:
    """A request."""


def add(schedule, label, due=0.0, every_s=10.0, spread=0.0):
    schedule.add(due, every_s, label, ZONE, nothing, list, spread=spread)


@pytest.fixture
def schedule():
    """Without jitter."""
    return Schedule(lambda _low, _high: 0.0)


def run_for(schedule, seconds, took=0.0, step=0.01):
    """When each label started, with every request taking `took` seconds."""
    runs: dict[str, list[float]] = {}
    under_way: list[tuple[float, object, int]] = []
    for tick in range(int(seconds / step)):
        now = tick * step
        for end, job, plan in [item for item in under_way if item[0] <= now]:
            under_way.remove((end, job, plan))
            schedule.end(job, plan, now)
        while (started := schedule.start(now)) is not None:
            runs.setdefault(started[0].label, []).append(now)
            under_way.append((now + took, *started))
    return runs


def test_nothing_planned_waits_as_long_as_allowed(schedule):
    assert schedule.wait_s(0.0, 1.0) == 1.0
    assert schedule.start(0.0) is None


def test_wait_is_until_the_next_job(schedule):
    add(schedule, "a", due=0.4)
    assert schedule.wait_s(0.0, 1.0) == pytest.approx(0.4)
    assert schedule.wait_s(5.0, 1.0) == 0.0


def test_per_id_reads_are_spread_over_their_period_after_the_first_round(schedule):
    for i in range(1, 51):
        add(schedule, f"zone {i}", every_s=5.0, spread=i / 50)
    runs: list[tuple[float, str]] = []
    for tick in range(1500):
        now = tick / 100
        while (started := schedule.start(now)) is not None:
            job, plan = started
            runs.append((now, job.label))
            schedule.end(job, plan, now)
    assert len([at for at, _ in runs if at == 0.0]) == 50
    per_100_ms = Counter(int(at * 10) for at, _ in runs if at >= 0.05)
    assert max(per_100_ms.values()) <= 2
    for label in ("zone 1", "zone 25", "zone 50"):
        times = [at for at, name in runs if name == label][1:]
        assert [b - a for a, b in pairwise(times)] == pytest.approx([5.0] * (len(times) - 1))


def test_a_job_never_overlaps_itself_nor_its_successor_of_a_new_plan(schedule):
    add(schedule, "a", every_s=1.0)
    job, plan = schedule.start(0.0)
    assert schedule.start(50.0) is None
    schedule.clear()
    add(schedule, "a", every_s=1.0)
    assert schedule.start(0.0) is None
    assert schedule.wait_s(0.0, 1.0) == pytest.approx(0.2)
    schedule.end(job, plan, 0.1)
    assert len(schedule) == 1
    again = schedule.start(0.3)
    assert again is not None
    assert again[0] is not job


def test_a_late_job_runs_once_and_is_counted(schedule):
    add(schedule, "a", every_s=1.0)
    job, plan = schedule.start(0.0)
    schedule.end(job, plan, 9.0)
    assert schedule.overruns == 1
    assert schedule.start(9.0) is not None
    assert schedule.start(9.0) is None


def test_a_blocked_job_does_not_hold_up_others(schedule):
    add(schedule, "slow", every_s=1.0)
    held = schedule.start(0.0)
    add(schedule, "slow", due=0.0)
    add(schedule, "quick", due=0.0)
    started = schedule.start(0.0)
    assert held is not None
    assert started is not None
    assert started[0].label == "quick"


def test_not_before_is_kept_once(schedule):
    add(schedule, "a", every_s=1.0)
    job, plan = schedule.start(0.0)
    job.not_before = 30.0
    schedule.end(job, plan, 0.1)
    assert schedule.start(29.9) is None
    job, plan = schedule.start(30.0)
    schedule.end(job, plan, 30.0)
    assert schedule.start(31.0) is not None


def test_hasten(schedule):
    add(schedule, "list zone", due=60.0)
    add(schedule, "other", due=50.0)
    schedule.hasten("list zone", 1.0)
    started = schedule.start(1.0)
    assert started is not None
    assert started[0].label == "list zone"
    assert schedule.start(1.0) is None


def test_periods_vary_by_5_percent_and_never_drift_from_their_slots():
    schedule = Schedule(random.Random(7).uniform)
    for i in range(1, 11):
        add(schedule, f"zone {i}", every_s=10.0, spread=i / 10)
    runs = run_for(schedule, 1000)
    for i in range(1, 11):
        first, *rest = runs[f"zone {i}"]
        assert first == 0.0
        off = [at - (i + 10 * round((at - i) / 10)) for at in rest]
        assert all(-0.51 <= value <= 0.52 for value in off)
        assert min(off) < -0.4
        assert max(off) > 0.4
        assert len(rest) in (99, 100)


def test_the_same_draws_give_the_same_times():
    both = []
    for _ in range(2):
        schedule = Schedule(random.Random(3).uniform)
        add(schedule, "a")
        both.append(run_for(schedule, 100)["a"])
    assert both[0] == both[1]
    other = Schedule(random.Random(4).uniform)
    add(other, "a")
    assert run_for(other, 100)["a"] != both[0]


def test_U22_a_slow_answer_is_asked_for_again_when_it_is_there_and_counted(schedule):
    add(schedule, "a", every_s=5.0)
    runs = run_for(schedule, 91, took=9.0)["a"]
    assert runs == pytest.approx([9.0 * i for i in range(11)], abs=0.02)
    assert schedule.overruns == 10


def test_an_answer_slower_than_half_its_period_does_not_change_the_period(schedule):
    add(schedule, "a", every_s=5.0)
    assert run_for(schedule, 31, took=4.0)["a"] == pytest.approx([0, 5, 10, 15, 20, 25, 30], abs=0.02)
    assert schedule.overruns == 0


def test_a_new_plan_is_told_when_the_jobs_of_the_old_one_were_due(schedule):
    add(schedule, "list zone", due=60.0, every_s=60.0)
    add(schedule, "list meter", due=50.0, every_s=60.0)
    schedule.hasten("list zone", 1.0)
    assert schedule.clear() == {"list zone": 1.0, "list meter": 50.0}
    assert schedule.clear() == {}


def test_a_hastened_job_returns_to_its_slot(schedule):
    add(schedule, "list zone", due=60.0, every_s=60.0)
    schedule.hasten("list zone", 1.0)
    job, plan = schedule.start(1.0)
    schedule.end(job, plan, 1.1)
    assert schedule.wait_s(1.1, 999.0) == pytest.approx(58.9)


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("start"), st.floats(0, 3)),
        st.tuples(st.just("end"), st.integers(0, 9)),
        st.tuples(st.just("replan"), st.integers(1, 4)),
    ),
    max_size=60,
)


@given(EVENTS)
def test_whatever_happens_a_label_runs_once_at_a_time_and_no_job_is_lost(events):
    schedule, now, running = Schedule(random.Random(1).uniform), 0.0, []
    labels = ["a", "b"]
    for label in labels:
        add(schedule, label, every_s=1.0)
    for what, value in events:
        if what == "start":
            now += value
            if (started := schedule.start(now)) is not None:
                assert started[0].label not in [job.label for job, _ in running]
                running.append(started)
        elif what == "end" and running:
            job, plan = running.pop(int(value) % len(running))
            schedule.end(job, plan, now)
        elif what == "replan":
            schedule.clear()
            labels = [f"{'abcd'[i]}" for i in range(int(value))]
            for label in labels:
                add(schedule, label, due=now, every_s=1.0)
    for job, plan in running:
        schedule.end(job, plan, now)
    now += 100
    seen = set()
    while (started := schedule.start(now)) is not None:
        seen.add(started[0].label)
    assert seen == set(labels)
