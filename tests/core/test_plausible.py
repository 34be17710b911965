"""A number that has stopped moving."""

from __future__ import annotations

import pytest

from gateway.core.plausible import unless_frozen
from gateway.core.value import BAD, GOOD, STALE, number_converter


@pytest.fixture
def watched():
    return unless_frozen(number_converter(0.1, 0.0, None), 60.0, 15.0)


def test_U42_unchanged_for_too_long_is_stale_with_the_reason_and_the_next_change_good(watched):
    for now in range(0, 61, 5):
        assert watched(2300, float(now))[:3] == (230.0, GOOD, "")
    assert watched(2300, 65.0) == (230.0, STALE, "unchanged for 1 min", 65.0)
    assert watched(2300, 75.0).reason == "unchanged for 1 min"
    for now in range(80, 601, 5):
        sample = watched(2300, float(now))
    assert sample == (230.0, STALE, "unchanged for 10 min", 600.0)
    assert watched(2301, 605.0)[1:3] == (GOOD, "")
    assert watched(2301, 610.0)[1:3] == (GOOD, "")


def test_U42_time_without_answers_does_not_count(watched):
    assert watched(2300, 0.0).quality is GOOD
    assert watched(2300, 500.0).quality is GOOD
    for now in range(505, 561, 5):
        assert watched(2300, float(now)).quality is GOOD
    assert watched(2300, 565.0).quality is STALE


def test_U42_a_bad_answer_is_a_change(watched):
    for now in range(0, 61, 5):
        watched(2300, float(now))
    assert watched("2300", 62.0).quality is BAD
    assert watched(2300, 65.0).quality is GOOD


def test_short_times_are_told_in_seconds():
    watched = unless_frozen(number_converter(1.0, 0.0, None), 2.0, 15.0)
    watched(1, 0.0)
    assert watched(1, 5.0).reason == "unchanged for 5 s"
