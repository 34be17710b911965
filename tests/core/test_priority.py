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


def low(value, other):
    return value < other


def test_C05_a_lapsed_slot_is_empty_and_says_so_until_it_is_written():
    array = PriorityArray()
    array.put(10, slot(60.0))
    array.lapse(10, slot(60.0))
    assert (array[10], array.winner, array.occupied) == (None, 0, [])
    assert array.lapsed == {10: slot(60.0)}
    array.put(10, slot(50.0))
    assert array.lapsed == {}
    array.lapse(10, slot(50.0))
    array.clear(10)
    assert (array.lapsed, array.ruling) == ({}, None)
    with pytest.raises(ValueError, match="6"):
        array.lapse(6, slot(1.0))


def test_C05_the_ruling_slot_is_the_winner_else_the_highest_that_lapsed():
    array = PriorityArray()
    assert array.ruling is None
    array.lapse(12, slot(12.0))
    array.lapse(9, slot(9.0))
    assert array.ruling == slot(9.0)
    array.put(16, slot(16.0))
    assert array.ruling == slot(16.0)
    array.put(8, slot(0.0))
    assert array.ruling == slot(0.0)


def test_C05_what_lapsed_cannot_be_changed_from_outside():
    array = PriorityArray()
    array.lapse(9, slot(9.0))
    array.lapsed.clear()
    assert list(array.lapsed) == [9]


@pytest.mark.parametrize(
    ("held", "masked"),
    [
        ({}, 0),
        ({8: 80.0}, 0),
        ({8: 80.0, 10: 90.0}, 0),
        ({8: 80.0, 10: 80.0}, 0),
        ({8: 80.0, 10: 60.0}, 10),
        ({8: 80.0, 10: 90.0, 12: 60.0, 16: 50.0}, 12),
        ({8: 40.0, 10: 60.0}, 0),
    ],
)
def test_C03_a_lower_slot_that_is_tighter_than_the_winner(held, masked):
    array = PriorityArray()
    for number, value in held.items():
        array.put(number, slot(value))
    assert array.masked(low) == masked


def test_occupied_is_in_order_of_priority():
    array = PriorityArray()
    for number in (16, 1, 8):
        array.put(number, slot(float(number)))
    assert [number for number, _ in array.occupied] == [1, 8, 16]


@pytest.mark.parametrize(
    ("origin", "group"),
    [
        (Origin("modbus", "10.0.0.5", "bms"), "modbus/bms"),
        (Origin("bacnet", "10.0.0.9"), "bacnet"),
        (Origin("cli", "local", "ann"), "cli"),
    ],
)
def test_whose_terms_apply(origin, group):
    assert origin.group == group
