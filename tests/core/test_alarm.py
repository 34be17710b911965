"""The two algorithms against what clauses 13.3.2 and 13.3.6 say, case by case."""

from __future__ import annotations

import math

import pytest

from gateway.core.alarm import AlarmSpec, Detector, Distrust, EventState, Reading, Transition, transition_to
from gateway.core.point import Factor

NORMAL, FAULT, OFF, HIGH, LOW = EventState
FAULTED = AlarmSpec(when=frozenset({9}), delay_s=10)
LIMITS = AlarmSpec(high=Factor(60.0), low=Factor(6.0), deadband=1.0, delay_s=5)


def of_value(value: float | int | bool | None, *, faulty: bool = False) -> Reading:
    return Reading(value, Distrust.NO_ANSWER if faulty else Distrust.NONE, 60.0, 6.0)


def test_a_state_counts_only_after_its_delay_both_ways() -> None:
    detector = Detector()
    assert not detector.look(FAULTED, of_value(9), 100)
    assert detector.due == 110
    assert not detector.look(FAULTED, of_value(9), 109.9)
    assert detector.look(FAULTED, of_value(9), 110)
    assert detector.state is OFF
    assert detector.due == math.inf
    assert not detector.look(FAULTED, of_value(1), 120)
    assert detector.look(FAULTED, of_value(1), 130)
    assert detector.state is NORMAL


def test_an_interruption_begins_the_delay_anew() -> None:
    detector = Detector()
    detector.look(FAULTED, of_value(9), 100)
    detector.look(FAULTED, of_value(1), 105)
    assert detector.due == math.inf
    assert not detector.look(FAULTED, of_value(9), 106)
    assert not detector.look(FAULTED, of_value(9), 115)
    assert detector.look(FAULTED, of_value(9), 116)


def test_without_a_delay_a_state_counts_at_once() -> None:
    assert Detector().look(AlarmSpec(when=frozenset({False})), of_value(False), 0)


def test_a_fault_counts_at_once_and_ends_as_normal_before_anything_is_judged_again() -> None:
    detector = Detector(OFF)
    assert detector.look(FAULTED, of_value(9, faulty=True), 100)
    assert detector.state is FAULT
    assert not detector.look(FAULTED, of_value(9, faulty=True), 101)
    assert detector.look(FAULTED, of_value(9), 102)
    assert detector.state is NORMAL
    assert not detector.look(FAULTED, of_value(9), 102)
    assert detector.due == 112


def test_another_cause_is_another_fault() -> None:
    """Clause 13.2.2.1: a change of Reliability to another fault is a transition to FAULT once more."""
    detector = Detector()
    assert detector.look(FAULTED, of_value(None, faulty=True), 100)
    misconfigured = Reading(None, Distrust.MISCONFIGURED)
    assert detector.look(FAULTED, misconfigured, 101)
    assert not detector.look(FAULTED, misconfigured, 102)
    assert detector.state is FAULT
    assert not Detector(FAULT).look(FAULTED, misconfigured, 0), "what an earlier run told is not told again"


@pytest.mark.parametrize(
    ("state", "value", "wanted"),
    [
        (NORMAL, 60.0, NORMAL),
        (NORMAL, 60.1, HIGH),
        (NORMAL, 5.9, LOW),
        (HIGH, 59.5, HIGH),
        (HIGH, 59.0, HIGH),
        (HIGH, 58.9, NORMAL),
        (HIGH, 5.0, LOW),
        (LOW, 6.5, LOW),
        (LOW, 7.0, LOW),
        (LOW, 7.1, NORMAL),
        (LOW, 61.0, HIGH),
        (HIGH, None, HIGH),
    ],
)
def test_limits_have_a_deadband(state: EventState, value: float | None, wanted: EventState) -> None:
    detector = Detector(state)
    detector.look(LIMITS, of_value(value), 0)
    detector.look(LIMITS, of_value(value), 5)
    assert detector.state is wanted


def test_a_limit_that_is_gone_is_no_limit() -> None:
    detector = Detector(HIGH)
    reading = Reading(100.0, Distrust.NONE, None, 6.0)
    detector.look(LIMITS, reading, 0)
    assert detector.look(LIMITS, reading, 5)
    assert detector.state is NORMAL


def test_every_state_is_reached_by_one_kind_of_transition() -> None:
    kinds = [transition_to(state) for state in (NORMAL, FAULT, OFF, HIGH, LOW)]
    to_off = Transition.TO_OFF_NORMAL
    assert kinds == [Transition.TO_NORMAL, Transition.TO_FAULT, to_off, to_off, to_off]
