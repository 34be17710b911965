"""A change of an alarm as the octets of an event notification (ASHRAE 135 clauses 13.8, 13.9 and 21); pure."""

from __future__ import annotations

import math
import struct
from typing import NamedTuple

from gateway.core.alarm import EventState, Transition, transition_to
from gateway.core.value import Value
from gateway.engine.point_alarms import Change
from gateway.servers.bacnet import codec
from gateway.servers.bacnet.alarm_properties import BINARY, time_stamp
from gateway.servers.bacnet.destinations import Destination
from gateway.servers.bacnet.points import PointRecord
from gateway.servers.bacnet.standard import INSTANCE_BITS, Prop, Refusal

CHANGE_OF_STATE, OUT_OF_RANGE, CHANGE_OF_RELIABILITY = 1, 5, 19
"""BACnetEventType."""
ALARM, ACK_NOTIFICATION = 0, 2
"""BACnetNotifyType."""
BINARY_VALUE, UNSIGNED_VALUE = 1, 11
"""Choices of BACnetPropertyStates."""


class Notice(NamedTuple):
    """A notification for anybody: `transition` and `at` (Unix time) decide who wants it, `device` sends it.

    `body` is everything behind the process identifier, which is the recipient's.
    """

    device: int
    transition: Transition
    at: float
    body: bytes

    def service_data(self, destination: Destination) -> bytes:
        """The whole notification for one recipient."""
        return codec.context_unsigned(0, destination.process) + self.body


def notice(change: Change, record: PointRecord, device: int, priority: int, *, ack_required: bool) -> Notice:
    """The notification of a change, or of an acknowledgement."""
    kind = transition_to(change.to)
    acknowledged = change.by is not None
    parts = [
        codec.context_object_id(1, device),
        codec.context_object_id(2, record.key),
        codec.opening(3),
        time_stamp(change.at),
        codec.closing(3),
        codec.context_unsigned(4, change.alarm.notify),
        codec.context_unsigned(5, priority),
        codec.context_unsigned(6, _event_type(change)),
        codec.context_text(7, change.text if change.by is None else f"{change.text}; acknowledged by {change.by}"),
        codec.context_unsigned(8, ACK_NOTIFICATION if acknowledged else ALARM),
    ]
    if not acknowledged:
        parts += [codec.context_boolean(9, ack_required), codec.context_unsigned(10, change.came_from)]
    parts.append(codec.context_unsigned(11, change.to))
    if not acknowledged:
        parts += [codec.opening(12), _values(change, record), codec.closing(12)]
    return Notice(device, kind, change.at, b"".join(parts))


def _event_type(change: Change) -> int:
    """Whatever leads to a fault or away from one is a change of reliability (clause 13.2.5.3)."""
    if EventState.FAULT in (change.came_from, change.to):
        return CHANGE_OF_RELIABILITY
    return CHANGE_OF_STATE if change.alarm.spec.when else OUT_OF_RANGE


def _values(change: Change, record: PointRecord) -> bytes:
    """The event values (clause 21, BACnetNotificationParameters)."""
    kind = _event_type(change)
    fault = change.to is EventState.FAULT
    in_alarm = change.to is not EventState.NORMAL
    flags = codec.in_context(1, codec.bits((in_alarm, fault, False, record.out_of_service)))
    present = _present(change.value, record)
    if kind == CHANGE_OF_RELIABILITY:
        shown = b"\x09%c\x2e%b\x2f" % (Prop.PRESENT_VALUE, present)
        reliability = codec.context_unsigned(0, record.reliability if fault else 0)
        inner = [reliability, flags, codec.opening(2), shown, codec.closing(2)]
    elif kind == CHANGE_OF_STATE:
        choice = BINARY_VALUE if record.key >> INSTANCE_BITS in BINARY else UNSIGNED_VALUE
        inner = [codec.opening(0), codec.in_context(choice, present), codec.closing(0), flags]
    else:
        limit = math.nan if change.limit is None else change.limit
        deadband = codec.context_real(2, change.alarm.spec.deadband)
        inner = [codec.in_context(0, present), flags, deadband, codec.context_real(3, limit)]
    return b"".join((codec.opening(kind), *inner, codec.closing(kind)))


def _present(value: Value | None, record: PointRecord) -> bytes:
    """The value of the change; what cannot be encoded stands as the object shows it now."""
    try:
        return record.present if value is None else record.octets(value)
    except (Refusal, OverflowError, struct.error):
        return record.present
