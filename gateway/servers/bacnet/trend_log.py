"""Trend Log objects: a point's history in the words of BACnet (ASHRAE 135 clause 12.25).

Rules of this file: what is shown is what `engine.history` keeps, record for record; Log_Buffer is read by ReadRange
only; clients of the write networks may stop a log (Enable) and empty it (Record_Count 0), nothing else.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import ClassVar

from gateway.core.trend import Note, Recorded
from gateway.core.value import GOOD, Quality
from gateway.engine.history import History, Log
from gateway.servers.bacnet import codec
from gateway.servers.bacnet.objects import EVENT_NORMAL, FLAGS_FAULT, FLAGS_NORMAL, Record, shape
from gateway.servers.bacnet.points import PointRecord
from gateway.servers.bacnet.standard import (
    INVALID_DATA_TYPE,
    NOT_AN_ARRAY,
    NOT_CONFIGURED,
    OPERATIONAL_PROBLEM,
    READ_ACCESS_DENIED,
    VALUE_OUT_OF_RANGE,
    Error,
    Prop,
    Refusal,
)
from gateway.servers.bacnet.tags import Primitive
from gateway.servers.bacnet.timekeeping import date_time

TREND_LOG, TREND_TAIL = "trend-log", ".trend"
"""The object type, and what follows the point's name in its Object_Name."""
POLLED, COV = 0, 1
"""BACnetLoggingType."""
DAY_S = 86400.0
COMMON = (
    Prop.OBJECT_IDENTIFIER,
    Prop.OBJECT_NAME,
    Prop.OBJECT_TYPE,
    Prop.ENABLE,
    Prop.STOP_WHEN_FULL,
    Prop.BUFFER_SIZE,
    Prop.LOG_BUFFER,
    Prop.RECORD_COUNT,
    Prop.TOTAL_RECORD_COUNT,
    Prop.LOGGING_TYPE,
    Prop.STATUS_FLAGS,
    Prop.EVENT_STATE,
    Prop.LOG_DEVICE_OBJECT_PROPERTY,
    Prop.PROPERTY_LIST,
)
POLLED_SHAPE = shape(COMMON, (Prop.DESCRIPTION, Prop.LOG_INTERVAL, Prop.ALIGN_INTERVALS, Prop.INTERVAL_OFFSET))
COV_SHAPE = shape(
    COMMON, (Prop.DESCRIPTION, Prop.LOG_INTERVAL, Prop.COV_RESUBSCRIPTION_INTERVAL, Prop.CLIENT_COV_INCREMENT)
)
STATUS = {
    Note.STOPPED: codec.in_context(0, codec.bits((True, False, False))),
    Note.STARTED: codec.in_context(0, codec.bits((False, False, False))),
    Note.PURGED: codec.in_context(0, codec.bits((False, True, False))),
    Note.INTERRUPTED: codec.in_context(0, codec.bits((False, False, True))),
}
"""BACnetLogStatus: log-disabled, buffer-purged, log-interrupted."""
DATUM = {codec.REAL: 2, codec.ENUMERATED: 3, codec.UNSIGNED: 4}
"""The choice of a log datum by the datatype of Present_Value."""
FAILURE, TIME_CHANGE = 8, 9
NORMAL, FAULT = codec.in_context(2, FLAGS_NORMAL), codec.in_context(2, FLAGS_FAULT)
SMALLEST = 17
"""Octets of the shortest record, a time and a log status."""


class TrendRecord(Record):
    """The Trend Log of one point; `of` is the object it keeps, `log` is in `history`, `source` names the point."""

    __slots__ = ("history", "log", "of", "source")

    lists = frozenset({Prop.LOG_BUFFER})
    settable: ClassVar[frozenset[int]] = frozenset({Prop.ENABLE, Prop.RECORD_COUNT})

    def __init__(self, key: int, name: str, source: str, of: PointRecord, log: Log, history: History) -> None:
        self.of, self.log, self.source, self.history = of, log, source, history
        super().__init__(key, name, COV_SHAPE if log.spec.every_s is None else POLLED_SHAPE)

    def encode(self, prop: int, index: int | None) -> bytes:
        if prop == Prop.LOG_BUFFER:
            raise Refusal(READ_ACCESS_DENIED if index is None else NOT_AN_ARRAY)
        return super().encode(prop, index)

    def single(self, prop: int) -> bytes:
        getter = GETTERS.get(prop)
        return getter(self) if getter is not None else super().single(prop)

    def set(self, prop: int, value: Primitive, by: str) -> None:
        """Stops, starts or empties the log; `by` names the client.

        Raises:
            Refusal: the value is none of this property.
        """
        if value.tag != (codec.BOOLEAN if prop == Prop.ENABLE else codec.UNSIGNED):
            raise Refusal(INVALID_DATA_TYPE)
        number = int.from_bytes(value.data, "big")
        if prop == Prop.ENABLE:
            self.history.switch(self.log, enabled=bool(number), by=by)
        elif number:
            raise Refusal(VALUE_OUT_OF_RANGE)
        else:
            self.history.purge(self.log, by=by)

    def octets(self, record: Recorded) -> bytes:
        """A record as BACnetLogRecord (clause 21)."""
        datum, flags = self._datum(record)
        when = date_time(record.at)
        return b"".join((codec.opening(0), when, codec.closing(0), codec.opening(1), datum, codec.closing(1), flags))

    def _datum(self, record: Recorded) -> tuple[bytes, bytes]:
        """The log datum and Status_Flags; a note has no flags."""
        if record.note is Note.TIME_CHANGE:
            return codec.context_real(TIME_CHANGE, record.value or 0.0), b""
        if record.note is not Note.VALUE:
            return STATUS[record.note], b""
        flags = NORMAL if record.quality is GOOD else FAULT
        if record.value is None:
            config = record.quality is Quality.CONFIG_ERROR
            return _failure(NOT_CONFIGURED if config else OPERATIONAL_PROBLEM), flags
        try:
            value = self.of.octets(record.value)
        except (Refusal, OverflowError, struct.error):
            return _failure(VALUE_OUT_OF_RANGE), FAULT
        return codec.in_context(DATUM[value[0] >> 4], value), flags


def _failure(error: Error) -> bytes:
    body = codec.enumerated(error.cls) + codec.enumerated(error.code)
    return codec.opening(FAILURE) + body + codec.closing(FAILURE)


def _aligned(every_s: float | None) -> bool:
    """Whether each day begins with a record."""
    return every_s is not None and DAY_S % every_s == 0


GETTERS: dict[int, Callable[[TrendRecord], bytes]] = {
    Prop.ENABLE: lambda record: codec.boolean(record.log.enabled),
    Prop.STOP_WHEN_FULL: lambda _: codec.boolean(False),
    Prop.BUFFER_SIZE: lambda record: codec.unsigned(record.log.spec.buffer),
    Prop.RECORD_COUNT: lambda record: codec.unsigned(record.log.count),
    Prop.TOTAL_RECORD_COUNT: lambda record: codec.unsigned(record.log.last),
    Prop.LOGGING_TYPE: lambda record: codec.enumerated(COV if record.log.spec.every_s is None else POLLED),
    Prop.STATUS_FLAGS: lambda _: FLAGS_NORMAL,
    Prop.EVENT_STATE: lambda _: EVENT_NORMAL,
    Prop.LOG_DEVICE_OBJECT_PROPERTY: lambda record: b"".join(
        (codec.context_object_id(0, record.of.key), codec.context_unsigned(1, Prop.PRESENT_VALUE))
    ),
    Prop.DESCRIPTION: lambda record: codec.text(f"Trend of {record.of.spec.description or record.source}"),
    Prop.LOG_INTERVAL: lambda record: codec.unsigned(round((record.log.spec.every_s or 0) * 100)),
    Prop.ALIGN_INTERVALS: lambda record: codec.boolean(_aligned(record.log.spec.every_s)),
    Prop.INTERVAL_OFFSET: lambda _: codec.unsigned(0),
    Prop.COV_RESUBSCRIPTION_INTERVAL: lambda _: codec.unsigned(0),
    Prop.CLIENT_COV_INCREMENT: lambda _: codec.null(),
}
