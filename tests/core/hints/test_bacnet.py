"""What many requests of a BACnet peer show."""

from __future__ import annotations

import math

from gateway.core.hints import BacnetHabits

LIMIT = "evce.Zone A.reduction"


def test_priority_1_and_2_count_only_when_they_are_a_habit() -> None:
    habits = BacnetHabits()
    found = [habits.at_priority(LIMIT, 1 + turn % 2, float(turn)) for turn in range(5)]
    assert [item is not None for item in found] == [False] * 4 + [True]
    assert not any(habits.at_priority(LIMIT, 8, float(turn)) for turn in range(20))
    rarely = BacnetHabits()
    assert not any(rarely.at_priority(LIMIT, 1, 20.0 * turn) for turn in range(20))


def test_renewing_a_subscription_at_half_its_life_is_no_mistake() -> None:
    habits = BacnetHabits()
    assert not any(habits.subscribed("limit", LIMIT, 60.0, 30.0 * turn) for turn in range(20))
    assert not any(habits.subscribed(number, LIMIT, 60.0, 1.0) for number in range(500))
    found = [habits.subscribed("limit", LIMIT, math.inf, 1000.0 + turn) for turn in range(5)]
    assert found[-1] is not None
    assert "never ends" in found[-1].text


def test_reading_one_by_one_is_told_only_to_those_who_know_no_better_way() -> None:
    def told(per_s: float, *, multiple: bool = False, subscriptions: int = 0, now: float = 100.0) -> bool:
        return BacnetHabits().reads(per_s, multiple=multiple, subscriptions=subscriptions, now=now) is not None

    assert told(30.0)
    assert not told(5.0)
    assert not told(30.0, multiple=True)
    assert not told(30.0, subscriptions=3)
    habits = BacnetHabits()
    habits.reads(30.0, multiple=True, subscriptions=0, now=100.0)
    assert habits.reads(30.0, multiple=False, subscriptions=0, now=150.0) is None
    assert habits.reads(30.0, multiple=False, subscriptions=0, now=200.0) is not None


def test_a_search_now_and_then_is_no_storm() -> None:
    assert BacnetHabits.who_is(0.5) is None
    found = BacnetHabits.who_is(50.0)
    assert found is not None
    assert found.text.startswith("sends 50 Who-Is a second")
