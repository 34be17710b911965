"""The sixteen slots."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.priority import SLOTS, Origin, PriorityArray, Slot

BMS = Origin("modbus", "bms", "10.0.0.5")
USABLE = [number for number in range(1, SLOTS + 1) if number != 6]


def slot(value):
    return Slot(value, BMS, 0.0)


def test_empty_array_has_no_winner():
    array = PriorityArray()
    assert (array.winner, array.value) == (0, None)
    assert list(array) == [None] * 16


@pytest.mark.parametrize("number", [0, 6, 17, -1])
def test_reserved_and_unknown_slots_are_refused_and_change_nothing(number):
    array = PriorityArray()
    array.put(10, slot(60.0))
    with pytest.raises(ValueError, match=str(number)):
        array.put(number, slot(20.0))
    with pytest.raises(ValueError, match=str(number)):
        array.clear(number)
    assert not array.usable(number)
    assert (array.winner, array.value) == (10, 60.0)


def test_W12_lowest_number_wins_and_the_loser_stays_visible():
    array = PriorityArray()
    array.put(10, slot(60.0))
    array.put(8, slot(80.0))
    assert (array.winner, array.value) == (8, 80.0)
    held = array[10]
    assert held is not None
    assert held.value == 60.0


def test_W13_clearing_the_winner_makes_the_next_one_effective():
    array = PriorityArray()
    array.put(16, slot(30.0))
    array.put(8, slot(80.0))
    array.clear(8)
    assert (array.winner, array.value) == (16, 30.0)


@pytest.mark.parametrize("value", [0.0, False, ""])
def test_a_falsy_value_wins_like_any_other(value):
    array = PriorityArray()
    array.put(3, slot(value))
    assert (array.winner, array.value) == (3, value)


@given(st.lists(st.tuples(st.sampled_from(USABLE), st.none() | st.floats(0, 250))))
def test_array_is_a_dictionary_whose_smallest_key_wins(writes):
    array, model = PriorityArray(), {}
    for number, value in writes:
        if value is None:
            array.clear(number)
            model.pop(number, None)
        else:
            array.put(number, slot(value))
            model[number] = value
    assert array.winner == min(model, default=0)
    assert array.value == model.get(min(model, default=0))
    assert [held and held.value for held in array] == [model.get(number) for number in range(1, 17)]


def test_origin_reads_as_one_text():
    assert str(BMS) == "modbus bms 10.0.0.5"
    assert str(Origin("gateway")) == "gateway"
