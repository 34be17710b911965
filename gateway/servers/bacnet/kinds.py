"""One record class per datatype of Present_Value; both directions of a value stand together (ASHRAE 135 clause 12)."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

from gateway.core.point import Factor, ObjectSpec, PointSpec
from gateway.core.value import Value, ValueKind
from gateway.engine.ports import Commands
from gateway.servers.bacnet import codec
from gateway.servers.bacnet.points import NAN, STATUS, PointRecord
from gateway.servers.bacnet.standard import (
    CHARACTER_SET_NOT_SUPPORTED,
    INVALID_DATA_TYPE,
    VALUE_OUT_OF_RANGE,
    Prop,
    Refusal,
)
from gateway.servers.bacnet.tags import Primitive, decode_text
from gateway.servers.bacnet.units import NO_UNITS, NUMBERS

PACK_REAL = struct.Struct(">Bf").pack
COV_INCREMENT = 0.1
MOST_STATES = 255
"""Number_Of_States of a point that names neither texts nor a range."""
INACTIVE, ACTIVE = codec.enumerated(0), codec.enumerated(1)


class AnalogRecord(PointRecord):
    """Analog Input, Output and Value: Real."""

    __slots__ = ("_keeps", "increment")

    def __init__(
        self, key: int, name: str, full_name: str, index: int, spec: PointSpec, served: ObjectSpec, commands: Commands
    ) -> None:
        self.increment = served.cov_increment if served.cov_increment is not None else COV_INCREMENT
        self._keeps = bool(spec.registers) and spec.registers[0].on_loss == "hold"
        super().__init__(key, name, full_name, index, spec, served, commands)

    def _extra(self, served: ObjectSpec) -> tuple[tuple[int, ...], tuple[int, ...]]:
        optional: tuple[int, ...] = (Prop.COV_INCREMENT,)
        if self.spec.range:
            low, high = self.spec.range
            optional += () if low.point else (Prop.MIN_PRES_VALUE,)
            optional += () if high.point else (Prop.MAX_PRES_VALUE,)
        return (Prop.UNITS,), optional

    def octets(self, value: Value) -> bytes:
        return PACK_REAL(0x44, value)

    def _lose(self, last: Value | None = None) -> None:
        if self._keeps and last is not None:
            self._take(last)
        elif not self._keeps:
            self.present = NAN

    def single(self, prop: int) -> bytes:
        if prop == Prop.UNITS:
            return codec.enumerated(NUMBERS.get(self.spec.unit, NO_UNITS))
        if prop == Prop.COV_INCREMENT:
            return codec.real(self.increment or 0.0)
        if self.spec.range and prop in (Prop.MIN_PRES_VALUE, Prop.MAX_PRES_VALUE):
            return self._bound(self.spec.range[prop == Prop.MAX_PRES_VALUE])
        return super().single(prop)

    @staticmethod
    def _bound(factor: Factor) -> bytes:
        try:
            return codec.real(factor.number)
        except OverflowError:
            return codec.real(math.copysign(math.inf, factor.number))

    def accept(self, value: Primitive) -> Value:
        if (value.tag, len(value.data)) not in ((codec.REAL, 4), (codec.DOUBLE, 8)):
            raise Refusal(INVALID_DATA_TYPE)
        number: float = struct.unpack(">f" if value.tag == codec.REAL else ">d", value.data)[0]
        if not math.isfinite(number):
            raise Refusal(VALUE_OUT_OF_RANGE)
        if self.spec.kind is ValueKind.NUMBER:
            return number
        if number != int(number) or (self.spec.kind is ValueKind.BOOL and number not in (0, 1)):
            raise Refusal(VALUE_OUT_OF_RANGE)
        return bool(number) if self.spec.kind is ValueKind.BOOL else int(number)


class BinaryRecord(PointRecord):
    """Binary Input, Output and Value: inactive or active."""

    __slots__ = ()

    unset = INACTIVE

    def _extra(self, served: ObjectSpec) -> tuple[tuple[int, ...], tuple[int, ...]]:
        polarity = () if served.object == "binary-value" else (Prop.POLARITY,)
        return polarity, (Prop.INACTIVE_TEXT, Prop.ACTIVE_TEXT)

    def octets(self, value: Value) -> bytes:
        if isinstance(value, str):
            raise Refusal(INVALID_DATA_TYPE)
        return ACTIVE if value else INACTIVE

    def single(self, prop: int) -> bytes:
        if prop == Prop.POLARITY:
            return INACTIVE  # BACnetPolarity normal is 0 as well
        if prop == Prop.ACTIVE_TEXT:
            return codec.text("on")
        return codec.text("off") if prop == Prop.INACTIVE_TEXT else super().single(prop)

    def accept(self, value: Primitive) -> Value:
        if value.tag != codec.ENUMERATED or not value.data:
            raise Refusal(INVALID_DATA_TYPE)
        state = int.from_bytes(value.data, "big")
        if state > 1:
            raise Refusal(VALUE_OUT_OF_RANGE)
        return bool(state) if self.spec.kind is ValueKind.BOOL else state


class StateRecord(PointRecord):
    """Multi-state Input, Output and Value: 1..Number_Of_States; a boolean is 1 off, 2 on."""

    __slots__ = ("_texts",)

    unset = codec.unsigned(1)

    def __init__(
        self, key: int, name: str, full_name: str, index: int, spec: PointSpec, served: ObjectSpec, commands: Commands
    ) -> None:
        self._texts = ("off", "on") if spec.kind is ValueKind.BOOL else spec.texts
        super().__init__(key, name, full_name, index, spec, served, commands)

    def _extra(self, served: ObjectSpec) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return (Prop.NUMBER_OF_STATES,), (Prop.STATE_TEXT,) if self._texts else ()

    @property
    def states(self) -> int:
        """Number_Of_States."""
        if self._texts:
            return len(self._texts)
        high = self.spec.range[1] if self.spec.range else None
        return max(1, min(int(high.number), 65535)) if high and not high.point else MOST_STATES

    def octets(self, value: Value) -> bytes:
        if isinstance(value, str) or not math.isfinite(value):
            raise Refusal(INVALID_DATA_TYPE)
        state = int(value) + 1 if isinstance(value, bool) else int(value)
        if not 1 <= state <= self.states:
            raise Refusal(VALUE_OUT_OF_RANGE)
        return codec.unsigned(state)

    def single(self, prop: int) -> bytes:
        return codec.unsigned(self.states) if prop == Prop.NUMBER_OF_STATES else super().single(prop)

    def elements(self, prop: int) -> Sequence[bytes]:
        return [codec.text(text) for text in self._texts] if prop == Prop.STATE_TEXT else super().elements(prop)

    def accept(self, value: Primitive) -> Value:
        if value.tag != codec.UNSIGNED or not value.data:
            raise Refusal(INVALID_DATA_TYPE)
        state = int.from_bytes(value.data, "big")
        if not 1 <= state <= self.states:
            raise Refusal(VALUE_OUT_OF_RANGE)
        return state == 2 if self.spec.kind is ValueKind.BOOL else state


class TextRecord(PointRecord):
    """CharacterString Value."""

    __slots__ = ()

    kept_required = ()
    unset = codec.text("")

    def _extra(self, served: ObjectSpec) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return (), STATUS

    def octets(self, value: Value) -> bytes:
        if isinstance(value, str):
            return codec.text(value)
        if isinstance(value, bool):
            return codec.text("true" if value else "false")
        texts = self.spec.texts
        if self.spec.kind is ValueKind.ENUM and texts and 1 <= value <= len(texts):
            return codec.text(texts[int(value) - 1])
        return codec.text(f"{value:.10g}")

    def accept(self, value: Primitive) -> Value:
        if value.tag != codec.TEXT:
            raise Refusal(INVALID_DATA_TYPE)
        text = decode_text(value.data)
        if text is None:
            raise Refusal(CHARACTER_SET_NOT_SUPPORTED)
        return text


RECORDS: dict[str, type[PointRecord]] = {
    "analog-input": AnalogRecord,
    "analog-output": AnalogRecord,
    "analog-value": AnalogRecord,
    "binary-input": BinaryRecord,
    "binary-output": BinaryRecord,
    "binary-value": BinaryRecord,
    "multi-state-input": StateRecord,
    "multi-state-output": StateRecord,
    "multi-state-value": StateRecord,
    "characterstring-value": TextRecord,
}
"""Object types that a point may be served as."""
