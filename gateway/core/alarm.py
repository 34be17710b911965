"""When a point is in alarm: event states, and the two algorithms that decide (ASHRAE 135 clauses 13.2 and 13.3).

Rules of this file: pure, `now` comes in; a state lasts until something else held for the whole delay; only a value that
cannot be trusted is a fault, at once, again when it is for another cause, and back to normal at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from gateway.core.value import Value

if TYPE_CHECKING:
    from gateway.core.point import Factor


class EventState(IntEnum):
    """How a point is; the numbers are BACnet's."""

    NORMAL = 0
    FAULT = 1
    OFF_NORMAL = 2
    HIGH_LIMIT = 3
    LOW_LIMIT = 4


class Distrust(IntEnum):
    """Why a value cannot be trusted."""

    NONE = 0
    NO_ANSWER = 1
    OUT_OF_RANGE = 2
    MISCONFIGURED = 3
    UNKNOWN_STATE = 4


class Transition(IntEnum):
    """The three kinds of change that can be told of and acknowledged, in BACnet's order."""

    TO_OFF_NORMAL = 0
    TO_FAULT = 1
    TO_NORMAL = 2


def transition_to(state: EventState) -> Transition:
    """The kind of change that leads to a state."""
    if state is EventState.NORMAL:
        return Transition.TO_NORMAL
    return Transition.TO_FAULT if state is EventState.FAULT else Transition.TO_OFF_NORMAL


@dataclass(frozen=True, slots=True)
class AlarmSpec:
    """What makes a point an alarm: codes or states (`when`), or limits in the point's unit.

    A limit that another point gives may name a receipt's point, e.g. `reduction.applied`. `notify` is the notification
    class, None for the site's first; `faults`: a value that cannot be trusted is told of as well. `engine`: the gateway
    has an alarm of its own for the same thing.
    """

    when: frozenset[Value] = frozenset()
    high: Factor | None = None
    low: Factor | None = None
    deadband: float = 0.0
    delay_s: float = 0.0
    notify: int | None = None
    text: str = ""
    faults: bool = False
    engine: bool = False


class Reading(NamedTuple):
    """A point as the algorithms see it; a limit is None while there is none."""

    value: Value | None
    fault: Distrust
    high: float | None = None
    low: float | None = None


class Detector:
    """The event state of one point.

    Attributes:
        state: what holds.
        due: when it may change without a new reading, in the seconds of `now`; infinite if it will not.
    """

    __slots__ = ("_fault", "_since", "_waiting", "due", "state")

    def __init__(self, state: EventState = EventState.NORMAL) -> None:
        self.state = state
        self.due = math.inf
        self._waiting = state
        self._since = 0.0
        self._fault: Distrust | None = None  # which one an earlier run left is not known

    def look(self, alarm: AlarmSpec, reading: Reading, now: float) -> bool:
        """Takes a reading; returns whether the state changed."""
        known, self._fault = self._fault, reading.fault
        if reading.fault or self.state is EventState.FAULT:
            wanted = EventState.FAULT if reading.fault else EventState.NORMAL
            changed = wanted is not self.state or known not in (None, reading.fault)
            self._settle(wanted)
            return changed
        wanted = _judge(alarm, self.state, reading)
        if wanted is self.state:
            self._settle(wanted)
            return False
        if wanted is not self._waiting:
            self._waiting, self._since = wanted, now
        self.due = self._since + alarm.delay_s
        if now < self.due:
            return False
        self._settle(wanted)
        return True

    def _settle(self, state: EventState) -> None:
        self.state = self._waiting = state
        self.due = math.inf


def _judge(alarm: AlarmSpec, state: EventState, reading: Reading) -> EventState:
    """What the reading would lead to, were it to last."""
    value = reading.value
    if value is None:
        return state
    if alarm.when:
        return EventState.OFF_NORMAL if value in alarm.when else EventState.NORMAL
    if isinstance(value, str):
        return state
    high, low = reading.high, reading.low
    over = state is EventState.HIGH_LIMIT
    if high is not None and (value > high or (over and value >= high - alarm.deadband)):
        return EventState.HIGH_LIMIT
    under = state is EventState.LOW_LIMIT
    if low is not None and (value < low or (under and value <= low + alarm.deadband)):
        return EventState.LOW_LIMIT
    return EventState.NORMAL
