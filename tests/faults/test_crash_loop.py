"""The crash loop, short: what a client was told holds after every kill; and its own judgement, which is not kind."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from tests.faults.asked import Slot, Zone
from tests.faults.crash_loop import crash
from tests.faults.score import report


def zone() -> Zone:
    return Zone("Zone A", 0, 3, {number: Slot() for number in (7, 10, 12)})


def hold(slot: Slot, value: float | None) -> None:
    slot.asked(value)
    slot.accepted()


@pytest.mark.timeout(300)
async def test_H02_nothing_accepted_is_lost_and_no_address_moves_by_kill_9(tmp_path: Path) -> None:
    score = await crash(tmp_path, rounds=5, seed=7, dialect="desc")
    assert score.findings == [], report(score, 0.0)
    assert score.rounds == 5
    assert score.accepted > 20


def test_an_answered_write_is_the_only_possibility() -> None:
    held = zone()
    assert held.allowed() == {None}
    hold(held.slots[10], 20.0)
    assert held.allowed() == {20.0}
    hold(held.slots[7], 30.0)
    assert held.allowed() == {30.0}
    hold(held.slots[7], None)
    assert held.allowed() == {20.0}


def test_an_unanswered_write_leaves_both_possible_until_the_next_answer() -> None:
    held = zone()
    hold(held.slots[10], 20.0)
    held.slots[7].asked(30.0)
    assert held.allowed() == {20.0, 30.0}
    held.slots[10].asked(None)
    assert held.allowed() == {20.0, 30.0, None}
    held.slots[10].refused()
    assert held.allowed() == {20.0, 30.0}
    hold(held.slots[7], 31.0)
    assert held.allowed() == {31.0}


def test_a_value_tells_whose_it_is() -> None:
    zones = [Zone(f"Zone {i}", i, 3, {}) for i in range(3)]
    for one in zones:
        values = list(islice(one.values(), 160))
        assert len(set(values)) == 160
        assert all(6 <= value <= 249.5 for value in values)
        assert all(other.owns(value) == (other is one) for value in values for other in zones)
