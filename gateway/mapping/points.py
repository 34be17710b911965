"""One point of a mapping to its PointSpec: what it holds, where it comes from, and its registers and objects."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from gateway.config.strict_yaml import KeyPath
from gateway.core.point import DeriveSpec, Factor, ObjectSpec, OnLoss, PointSpec, RegisterSpec, answer_to
from gateway.core.registers import limits, parse_register_type
from gateway.core.units import UNITS
from gateway.core.value import (
    Converter,
    Value,
    ValueKind,
    bool_converter,
    enum_converter,
    number_converter,
    string_converter,
)
from gateway.mapping import models
from gateway.mapping.alarms import compile_alarm
from gateway.mapping.command_models import FactorModel
from gateway.mapping.commands import compile_command, factor
from gateway.mapping.findings import Findings, Nearest
from gateway.mapping.trends import compile_trend

_STALE_READS = 3.0
_STALE_AT_LEAST_S = 15.0
_TYPES = "bool int16 uint16 int32 uint32 int64 uint64 float32 float64 string(n) enum bits"
_OBJECT_KIND = {
    "analog": ValueKind.NUMBER,
    "binary": ValueKind.BOOL,
    "multi": ValueKind.ENUM,
    "characterstring": ValueKind.STRING,
}
_REGISTER_KIND = {
    "bool": ValueKind.BOOL,
    "bits": ValueKind.BOOL,
    "string": ValueKind.STRING,
    "enum": ValueKind.ENUM,
}
_WORDS = {
    ValueKind.NUMBER: "a number",
    ValueKind.BOOL: "true or false",
    ValueKind.STRING: "a text",
    ValueKind.ENUM: "an enumeration",
}


class PointCompiler:
    """The points of one resource; `outer` is the resource whose read feeds a kind inside another."""

    def __init__(
        self,
        kind: str,
        model: models.ResourceModel,
        file: models.MappingFile,
        near: Nearest,
        found: Findings,
        outer: models.ResourceModel | None,
    ) -> None:
        self.kind, self.model, self.file, self.near, self.found, self.outer = kind, model, file, near, found, outer

    def compile(self, key: str, model: models.PointModel) -> PointSpec:
        at: KeyPath = ("resources", self.kind, "points", key)
        near = self.near.under(model)
        is_member = model.path is None and model.derive is None
        kind = self._kind(model, at, ValueKind.STRING if is_member else None)
        if model.unit not in UNITS:
            allowed = ", ".join(unit for unit in UNITS if unit)
            self.found.fault((*at, "unit"), f"unit {model.unit!r} is not known; allowed: {allowed}")
        registers = tuple(self._register(i, item, model, near, at) for i, item in enumerate(model.modbus))
        spans = [span for item in registers if kind is ValueKind.NUMBER and (span := limits(item.type, item.scale))]
        fits = (max(low for low, _ in spans), min(high for _, high in spans)) if spans else None
        self._check_numbers(model, kind, at)
        self._check_receipts(model, at)
        read = self._read_of(model, at)
        self._check_frozen(model, kind, read, at)
        path = self.found.path((*at, "path"), model.path) if model.path else None
        scale, offset = factor(model.scale), factor(model.offset)
        return PointSpec(
            name=key,
            kind=kind,
            unit=model.unit,
            description=near.description or "",
            read=self._answer(model.answer_to, at) if model.answer_to else model.from_ if path else None,
            path=path,
            convert=_converter(kind, scale, offset, fits, model.enum),
            scale=scale,
            offset=offset,
            limits=fits,
            codes=dict(model.enum),
            absent=self._absent(model, kind, at),
            optional=model.optional or model.answer_to is not None,
            derive=self._derive(model.derive, model.skip_bad, at) if model.derive else None,
            member_of=self._member_of(key, at) if is_member else None,
            range=(factor(model.range[0]), factor(model.range[1])) if model.range else None,
            command=compile_command(model, kind, self.model, at, self.found) if model.command else None,
            registers=registers,
            receipt_at=next((item.receipt for item in model.modbus if item.receipt is not None), None),
            objects=tuple(ObjectSpec(item.object, item.at, item.cov_increment) for item in model.bacnet),
            receipt_instance=next((item.receipt for item in model.bacnet if item.receipt is not None), None),
            stale_after_s=self._stale_after_s(model, near, read),
            frozen_after_s=model.frozen_after,
            card=model.card,
            trend=compile_trend(model, kind, at, self.found),
            alarm=compile_alarm(model, kind, self.model, at, self.found),
        )

    def _read_of(self, model: models.PointModel, at: KeyPath) -> models.ReadModel | None:
        """The read a point comes from: one of its kind, or of an outer kind for a kind inside another."""
        if model.from_ is None:
            return None
        if model.from_ in self.model.reads:
            return self.model.reads[model.from_]
        inherited = [self.model.from_] if self.model.from_ else []
        if model.from_ in inherited:
            return self.outer.reads.get(model.from_) if self.outer else None
        known = ", ".join([*sorted(self.model.reads), *inherited]) or "none"
        self.found.fault((*at, "from"), f"there is no read {model.from_!r}; there is: {known}")
        return None

    def _answer(self, command: str, at: KeyPath) -> str:
        other = self.model.points.get(command)
        if other is None or other.command is None:
            self.found.fault((*at, "answer_to"), f"there is no point {command!r} with a command in this resource")
        return answer_to(command)

    @staticmethod
    def _stale_after_s(model: models.PointModel, near: Nearest, read: models.ReadModel | None) -> float:
        """An answer to a command holds until the next one."""
        if model.answer_to is not None:
            return math.inf
        return near.stale_after_s or max(_STALE_READS * (read.every if read else 0), _STALE_AT_LEAST_S)

    def _check_frozen(
        self, model: models.PointModel, kind: ValueKind, read: models.ReadModel | None, at: KeyPath
    ) -> None:
        """Only a measured number can be watched, and not within one period, in which it cannot change."""
        if model.frozen_after is None:
            return
        where = (*at, "frozen_after")
        if kind is not ValueKind.NUMBER or model.path is None or model.command is not None:
            self.found.fault(where, "only a number that is read, and not written, can be found frozen")
        elif isinstance(model.scale, FactorModel) or isinstance(model.offset, FactorModel):
            self.found.fault(where, "goes with a scale and an offset that are numbers")
        elif read is not None and model.frozen_after <= read.every:
            self.found.fault(where, f"must be longer than the period of its read, {read.every:g} s")

    def _kind(self, model: models.PointModel, at: KeyPath, fixed: ValueKind | None) -> ValueKind:
        """What the point holds: said by `enum`, else by its BACnet object, else by its register type."""
        said: list[tuple[KeyPath, ValueKind]] = []
        for i, item in enumerate(model.bacnet):
            said.append((("bacnet", i, "object"), _OBJECT_KIND[item.object.split("-")[0]]))
        for i, register in enumerate(model.modbus):
            kind = _REGISTER_KIND.get(register.type.split("(")[0], ValueKind.NUMBER)
            if not (model.enum and kind is ValueKind.NUMBER):
                said.append((("modbus", i, "type"), kind))
        if fixed is None:
            fixed = ValueKind.ENUM if model.enum else ValueKind.NUMBER if model.derive else None
        kind = fixed or (said[0][1] if said else ValueKind.NUMBER)
        for where, other in said:
            if other is ValueKind.ENUM and not model.enum:
                self.found.fault((*at, *where), "this needs `enum: {text: code}` on the point")
            elif other is not kind:
                self.found.fault((*at, *where), f"this holds {_WORDS[other]}, and the point is {_WORDS[kind]}")
        return kind

    def _register(
        self, i: int, item: models.RegisterModel, model: models.PointModel, near: Nearest, at: KeyPath
    ) -> RegisterSpec:
        where = (*at, "modbus", i)
        kind = parse_register_type(item.type)
        if kind is None:
            self.found.fault((*where, "type"), f"{item.type!r} is no register type; allowed: {_TYPES}")
            kind = parse_register_type("uint16")
        assert kind is not None  # noqa: S101  # narrowed above
        if (kind.name == "bits") != (item.bit is not None):
            self.found.fault(where, "`bit` and type bits go together")
        if item.scale == 0:
            self.found.fault((*where, "scale"), "must not be 0")
        elif item.scale != 1 and (kind.name in _REGISTER_KIND or model.enum):
            self.found.fault((*where, "scale"), f"only a number is scaled, and this is {item.type}")
        loss: OnLoss = item.on_source_loss or near.on_source_loss or "nan"
        return RegisterSpec(
            at=item.at,
            type=kind,
            scale=item.scale or 1.0,
            word_order=item.word_order or near.word_order or "big",
            byte_order=item.byte_order or near.byte_order or "big",
            on_loss="hold" if model.command else loss,
            bit=item.bit,
        )

    def _check_receipts(self, model: models.PointModel, at: KeyPath) -> None:
        """One receipt a protocol, beside a command."""
        for protocol, receipts in (
            ("modbus", [item.receipt for item in model.modbus]),
            ("bacnet", [item.receipt for item in model.bacnet]),
        ):
            places = [i for i, receipt in enumerate(receipts) if receipt is not None]
            if places and model.command is None:
                text = "only a point with a command has a receipt"
                self.found.fault((*at, protocol, places[0], "receipt"), text)
            for i in places[1:]:
                self.found.fault((*at, protocol, i, "receipt"), "one receipt is enough, and there is one already")

    def _absent(self, model: models.PointModel, kind: ValueKind, at: KeyPath) -> Value | None:
        value = model.absent
        if value is None:
            return None
        if kind is ValueKind.ENUM:
            if isinstance(value, str) and value in model.enum:
                return model.enum[value]
            self.found.fault((*at, "absent"), f"must be one of the enum's texts: {', '.join(model.enum)}")
            return None
        wanted = {ValueKind.NUMBER: float, ValueKind.BOOL: bool, ValueKind.STRING: str}[kind]
        if isinstance(value, bool) != (wanted is bool) or (wanted is str) != isinstance(value, str):
            self.found.fault((*at, "absent"), f"must be {_WORDS[kind]}")
            return None
        return value

    def _derive(self, model: models.DeriveModel, skip_bad: bool, at: KeyPath) -> DeriveSpec:
        kind, _, point = model.of.partition(".")
        resource = self.file.resources.get(kind)
        codes = resource.points[point].enum if resource is not None and point in resource.points else {}
        if resource is None or (point not in resource.points):
            self.found.fault((*at, "derive", "of"), f"there is no point {model.of!r} in this mapping")
        elif codes and model.op != "count":
            self.found.fault((*at, "derive", "op"), f"{model.of} is an enumeration: only count makes sense of it")
        if (model.op == "count") != (model.where is not None):
            self.found.fault((*at, "derive"), "`where` goes with op count, and count needs it")
        where = model.where if isinstance(model.where, list) or model.where is None else [model.where]
        if codes and where is not None:
            for item in where:
                if isinstance(item, bool) or (item not in codes.values() and item not in codes):
                    shown = ", ".join(f"{code} {text}" for text, code in codes.items())
                    self.found.fault((*at, "derive", "where"), f"{item!r} is no code of {model.of}; codes: {shown}")
            where = [codes.get(item, item) if isinstance(item, str) else item for item in where]
        return DeriveSpec(model.op, kind, point, frozenset(where) if where is not None else None, skip_bad)

    def _member_of(self, key: str, at: KeyPath) -> str:
        owner = self.file.resources.get(key)
        if owner is None or owner.members is None or owner.members.of != self.kind:
            self.found.fault(at, "where does the value come from? say from and path, or derive")
        return key

    def _check_numbers(self, model: models.PointModel, kind: ValueKind, at: KeyPath) -> None:
        keys: list[tuple[KeyPath, Any]] = [(("scale",), model.scale), (("offset",), model.offset)]
        keys += [(("range", i), bound) for i, bound in enumerate(model.range or [])]
        keys += [(("command", "default"), model.command.default)] if model.command else []
        for where, value in keys:
            if isinstance(value, FactorModel) and value.point not in self.model.points:
                text = f"there is no point {value.point!r} in this resource"
                self.found.fault((*at, *where, "point"), text)
        if model.scale == 0:
            self.found.fault((*at, "scale"), "must not be 0")
        if kind is not ValueKind.NUMBER:
            for key, said in (("scale", model.scale != 1), ("offset", model.offset != 0), ("range", model.range)):
                if said:
                    self.found.fault((*at, key), f"only a number has this, and the point is {_WORDS[kind]}")
        low, high = model.range or (0.0, 0.0)
        if isinstance(low, float | int) and isinstance(high, float | int) and model.range and low >= high:
            self.found.fault((*at, "range"), "must be [lowest, highest]")


def _converter(
    kind: ValueKind, scale: Factor, offset: Factor, fits: tuple[float, float] | None, codes: Mapping[str, int]
) -> Converter | None:
    makers: dict[ValueKind, Callable[[], Converter]] = {
        ValueKind.BOOL: lambda: bool_converter,
        ValueKind.STRING: lambda: string_converter,
        ValueKind.ENUM: lambda: enum_converter(codes),
        ValueKind.NUMBER: lambda: number_converter(scale.number, offset.number, fits),
    }
    if kind is ValueKind.NUMBER and (scale.point or offset.point):
        return None
    return makers[kind]()
