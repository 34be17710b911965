"""What an object with an alarm shows of it: the properties of intrinsic reporting (ASHRAE 135 clauses 12 and 13.2).

Rules of this file: all of it is read-only; the alarm itself is the engine's, here it only gets BACnet's names.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.core.alarm import EventState
from gateway.engine.point_alarms import PointAlarm, PointAlarms
from gateway.servers.bacnet import codec
from gateway.servers.bacnet.standard import OBJECT_TYPES, Prop
from gateway.servers.bacnet.timekeeping import date_time

COMMON = (
    Prop.EVENT_DETECTION_ENABLE,
    Prop.NOTIFICATION_CLASS,
    Prop.NOTIFY_TYPE,
    Prop.TIME_DELAY,
    Prop.EVENT_ENABLE,
    Prop.ACKED_TRANSITIONS,
    Prop.EVENT_TIME_STAMPS,
    Prop.EVENT_MESSAGE_TEXTS,
)
LIMITS = (Prop.HIGH_LIMIT, Prop.LOW_LIMIT, Prop.DEADBAND, Prop.LIMIT_ENABLE)
BINARY = tuple(number for name, number in OBJECT_TYPES.items() if name.startswith("binary"))
FLAGS = {(alarm, fault): codec.bits((alarm, fault, False, False)) for alarm in (False, True) for fault in (False, True)}
NEVER = b"\x2e\xa4\xff\xff\xff\xff\xb4\xff\xff\xff\xff\x2f"
"""The time stamp of what has not happened (clause 21, BACnetTimeStamp)."""
NOTIFY_ALARM = 0


def time_stamp(at: float | None) -> bytes:
    """A BACnetTimeStamp, of a date and time."""
    return NEVER if at is None else b"\x2e%b\x2f" % date_time(at)


@dataclass(frozen=True, slots=True)
class Shown:
    """The alarm of one object, whose Object_Type is `kind`."""

    alarm: PointAlarm
    desk: PointAlarms
    kind: int

    @property
    def props(self) -> tuple[int, ...]:
        """The properties that the object has because of it."""
        if not self.alarm.spec.when:
            return COMMON + LIMITS
        return (*COMMON, Prop.ALARM_VALUE if self.kind in BINARY else Prop.ALARM_VALUES)

    @property
    def in_alarm(self) -> bool:
        """Whether its state is not normal."""
        return self.alarm.state is not EventState.NORMAL

    def flags(self, reliability: int) -> bytes:
        """Status_Flags."""
        return FLAGS[self.in_alarm, reliability != 0]

    def event_state(self) -> bytes:
        """Event_State."""
        return codec.enumerated(self.alarm.state)

    def single(self, prop: int) -> bytes | None:
        """One of its properties, None for a property that is none of them."""
        getter = SINGLES.get(prop)
        return None if getter is None else getter(self)

    def elements(self, prop: int) -> Sequence[bytes] | None:
        """The elements of one of its array properties, None for any other."""
        if prop == Prop.EVENT_TIME_STAMPS:
            return list(map(time_stamp, self.alarm.times))
        if prop == Prop.EVENT_MESSAGE_TEXTS:
            return list(map(codec.text, self.alarm.texts))
        return None

    def values(self) -> bytes:
        """Alarm_Values or Alarm_Value."""
        coded = codec.enumerated if self.kind in BINARY else codec.unsigned
        return b"".join(coded(int(value)) for value in sorted(map(int, self.alarm.spec.when)))

    def limit(self, which: str) -> bytes:
        """High_Limit or Low_Limit: NaN while the point that gives it has no value, 0 for one that is not enabled."""
        if which not in self.alarm.bounds:
            return codec.real(0.0)
        limit = self.desk.limit(self.alarm, which)
        return codec.real(math.nan if limit is None else limit)


SINGLES: dict[int, Callable[[Shown], bytes]] = {
    Prop.EVENT_DETECTION_ENABLE: lambda shown: codec.boolean(True),
    Prop.NOTIFICATION_CLASS: lambda shown: codec.unsigned(shown.alarm.notify),
    Prop.NOTIFY_TYPE: lambda shown: codec.enumerated(NOTIFY_ALARM),
    Prop.TIME_DELAY: lambda shown: codec.unsigned(round(shown.alarm.spec.delay_s)),
    Prop.EVENT_ENABLE: lambda shown: codec.bits(shown.alarm.enabled),
    Prop.ACKED_TRANSITIONS: lambda shown: codec.bits(shown.alarm.acked),
    Prop.HIGH_LIMIT: lambda shown: shown.limit("high"),
    Prop.LOW_LIMIT: lambda shown: shown.limit("low"),
    Prop.DEADBAND: lambda shown: codec.real(shown.alarm.spec.deadband),
    Prop.LIMIT_ENABLE: lambda shown: codec.bits(["low" in shown.alarm.bounds, "high" in shown.alarm.bounds]),
    Prop.ALARM_VALUE: Shown.values,
    Prop.ALARM_VALUES: Shown.values,
}
