"""An object that shows one point of the table, whatever its datatype (`kinds.py` has those).

Rules of this file: a record never changes a point; quality decides what is shown: good and stale show the
value, bad shows NaN where the datatype has it and the last state where it has not; a commandable object always shows
what is asked.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from typing import ClassVar

from gateway.core.point import ObjectSpec, PointSpec
from gateway.core.value import CONFIG_ERROR, GOOD, OUT_OF_SERVICE, STALE, Sample, Value, ValueKind
from gateway.engine.ports import Commands
from gateway.servers.bacnet import codec
from gateway.servers.bacnet.alarm_properties import Shown
from gateway.servers.bacnet.objects import (
    EVENT_FAULT,
    EVENT_NORMAL,
    FLAGS_FAULT,
    FLAGS_NORMAL,
    FLAGS_OUT,
    Record,
    Shape,
    shape,
)
from gateway.servers.bacnet.standard import Prop, Refusal, Reliability
from gateway.servers.bacnet.tags import Primitive

NAN = codec.real(math.nan)

BASE = (Prop.OBJECT_IDENTIFIER, Prop.OBJECT_NAME, Prop.OBJECT_TYPE, Prop.PRESENT_VALUE, Prop.STATUS_FLAGS)
STATUS = (Prop.EVENT_STATE, Prop.OUT_OF_SERVICE)
COMMAND = (Prop.PRIORITY_ARRAY, Prop.RELINQUISH_DEFAULT, Prop.CURRENT_COMMAND_PRIORITY)
SHOWN = frozenset({Prop.PRESENT_VALUE, Prop.STATUS_FLAGS, Prop.EVENT_STATE, Prop.OUT_OF_SERVICE, Prop.RELIABILITY})
"""What a sample decides alone, unless the point has an alarm."""


class PointRecord(Record):
    """An object that shows one point of the table; `uid` is its identifier among the objects of all devices."""

    __slots__ = (
        "_commands",
        "alarm",
        "commandable",
        "index",
        "out_of_service",
        "present",
        "reliability",
        "source",
        "spec",
        "stamp",
        "uid",
        "writable",
    )

    kept_required: ClassVar[tuple[int, ...]] = STATUS
    arrays = frozenset(
        {Prop.PROPERTY_LIST, Prop.PRIORITY_ARRAY, Prop.STATE_TEXT, Prop.EVENT_TIME_STAMPS, Prop.EVENT_MESSAGE_TEXTS}
    )
    unset: ClassVar[bytes] = NAN
    """Present_Value of a point that never had one."""
    increment: float | None = None
    """COV_Increment; None where every change counts."""

    def __init__(
        self, key: int, name: str, full_name: str, index: int, spec: PointSpec, served: ObjectSpec, commands: Commands
    ) -> None:
        self.index = index
        self.uid = key
        self.spec = spec
        self.source = full_name
        self.commandable = spec.command is not None
        self.writable = self.commandable or spec.writable
        self._commands = commands
        self.alarm: Shown | None = None
        self.stamp = 0
        self.present = self.unset
        self.out_of_service = False
        self.reliability: int = Reliability.COMMUNICATION_FAILURE
        super().__init__(key, name, self._shape(served))

    def _shape(self, served: ObjectSpec) -> Shape:
        required, optional = self._extra(served)
        optional = (Prop.DESCRIPTION, Prop.RELIABILITY, *optional)
        if self.commandable and served.object.endswith("-output"):
            required += COMMAND
        elif self.commandable:
            optional += COMMAND
        return shape((*BASE, *self.kept_required, *required, Prop.PROPERTY_LIST), optional)

    def _extra(self, served: ObjectSpec) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Required and optional properties of this kind only."""
        raise NotImplementedError

    def report(self, alarm: Shown) -> None:
        """Makes the object show an alarm of its point."""
        self.alarm = alarm
        self.shape = shape(self.shape.required, self.shape.optional + alarm.props)

    def steady(self, prop: int) -> bool:
        return prop in SHOWN and self.alarm is None

    def encode(self, prop: int, index: int | None) -> bytes:
        if index is None:
            if prop == 85:
                return self.present
            if prop == 111:
                if self.out_of_service:
                    return FLAGS_OUT[self.alarm is not None and self.alarm.in_alarm]
                if self.alarm is not None:
                    return self.alarm.flags(self.reliability)
                return FLAGS_FAULT if self.reliability else FLAGS_NORMAL
        return super().encode(prop, index)

    def show(self, sample: Sample) -> None:
        """Takes the table's newest sample; about a microsecond."""
        value, quality, reason, _ = sample
        self.stamp += 1
        self.out_of_service = bool(reason) and reason.startswith(OUT_OF_SERVICE)
        if value is None and self.commandable:
            value = self._commands.default(self.index)
        if quality is GOOD:
            self.reliability = 0
        elif quality is CONFIG_ERROR:
            self.reliability = 10
        else:
            self.reliability = 2 if quality is not STALE and reason.startswith("over-range") else 12
        if value is not None and not isinstance(value, str) and value == 0 and self.spec.kind is ValueKind.ENUM:
            self._doubt(Reliability.MULTI_STATE_FAULT)
            if quality > STALE:
                self._lose()
        elif value is None or (quality > STALE and not self.commandable):
            self._lose(value)
        else:
            self._take(value)

    def _doubt(self, reliability: Reliability) -> None:
        """The value itself is at fault, unless something worse is."""
        self.reliability = self.reliability or reliability

    def _take(self, value: Value) -> None:
        """A value that may be trusted as far as the reliability says."""
        try:
            self.present = self.octets(value)
        except OverflowError:
            self._doubt(Reliability.OVER_RANGE)
            self._lose()
        except (Refusal, struct.error):
            self._doubt(Reliability.MULTI_STATE_FAULT)

    def _lose(self, last: Value | None = None) -> None:
        """There is no value; states and texts stay at the last one."""
        if last is not None:
            self._take(last)

    def octets(self, value: Value) -> bytes:
        """A value as it stands in Present_Value, a priority slot or Relinquish_Default.

        Raises:
            Refusal: it is none of this object's states.
            OverflowError: it is too large for a Real.
        """
        raise NotImplementedError

    def accept(self, value: Primitive) -> Value:
        """A written Present_Value (not Null) as the point's value.

        Raises:
            Refusal: of another datatype or not a value of this object.
        """
        raise NotImplementedError

    def single(self, prop: int) -> bytes:
        getter = GETTERS.get(prop)
        if getter is not None:
            return getter(self)
        shown = self.alarm.single(prop) if self.alarm is not None else None
        return super().single(prop) if shown is None else shown

    def elements(self, prop: int) -> Sequence[bytes]:
        if prop == Prop.PRIORITY_ARRAY:
            slots = self._commands.slots(self.index)
            return [codec.null() if slot is None else self.held(slot.value) for slot in slots]
        shown = self.alarm.elements(prop) if self.alarm is not None else None
        return super().elements(prop) if shown is None else shown

    def status_flags(self) -> bytes:
        """Status_Flags."""
        return self.encode(Prop.STATUS_FLAGS, None)

    def event_state(self) -> bytes:
        """Event_State: the alarm's; without one, whether the value can be trusted."""
        if self.alarm is not None:
            return self.alarm.event_state()
        return EVENT_FAULT if self.reliability else EVENT_NORMAL

    def held(self, value: Value | None) -> bytes:
        """A commanded value, `unset` if there is none or it cannot be shown."""
        try:
            return self.unset if value is None else self.octets(value)
        except (Refusal, OverflowError, struct.error):
            return self.unset

    def relinquish_default(self) -> bytes:
        """Relinquish_Default; a point whose default is not known yet shows none of its own making."""
        return self.held(self._commands.default(self.index))

    def command_priority(self) -> bytes:
        """Current_Command_Priority, Null when nothing is commanded."""
        winner = self._commands.slots(self.index).winner
        return codec.unsigned(winner) if winner else codec.null()


GETTERS: dict[int, Callable[[PointRecord], bytes]] = {
    Prop.PRESENT_VALUE: lambda record: record.present,
    Prop.STATUS_FLAGS: lambda record: record.status_flags(),
    Prop.EVENT_STATE: lambda record: record.event_state(),
    Prop.OUT_OF_SERVICE: lambda record: codec.boolean(record.out_of_service),
    Prop.RELIABILITY: lambda record: codec.enumerated(record.reliability),
    Prop.DESCRIPTION: lambda record: codec.text(record.spec.description or record.source),
    Prop.RELINQUISH_DEFAULT: lambda record: record.relinquish_default(),
    Prop.CURRENT_COMMAND_PRIORITY: lambda record: record.command_priority(),
}
