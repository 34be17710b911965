"""A checked mapping file to the frozen specs of gateway.core.point; every fault is collected with its key path."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from gateway.config.strict_yaml import Document, KeyPath
from gateway.core.errors import Fault
from gateway.core.point import (
    CommandSpec,
    DeriveSpec,
    Factor,
    KindSpec,
    ListSpec,
    MembersSpec,
    ObjectSpec,
    OnLoss,
    Path,
    PointSpec,
    ReadSpec,
    Region,
    RegisterSpec,
    WithinSpec,
)
from gateway.core.registers import Order, limits, parse_register_type
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
from gateway.mapping import models, paths

T = TypeVar("T")
PLACEHOLDER = re.compile(r"\{([a-z_.]+(?::[A-Za-z_]+)?)\}")
PATH_PLACEHOLDERS = frozenset({"id", "parent.id"})
_OBJECT_KIND = {
    "analog": ValueKind.NUMBER,
    "binary": ValueKind.BOOL,
    "multi": ValueKind.ENUM,
    "characterstring": ValueKind.STRING,
}
_STALE_READS = 3.0
_STALE_AT_LEAST_S = 15.0


@dataclass(slots=True)
class Findings:
    """What was found wrong (faults) or doubtful (warnings) in one document."""

    document: Document
    faults: list[Fault] = field(default_factory=list)
    warnings: list[Fault] = field(default_factory=list)

    def fault(self, path: KeyPath, text: str) -> None:
        self.faults.append(self.document.fault(path, text))

    def warning(self, path: KeyPath, text: str) -> None:
        self.warnings.append(self.document.fault(path, text))

    def path(self, at: KeyPath, texts: str | list[str]) -> Path:
        """Compiles a path; a broken one becomes a fault and a path that finds nothing."""
        texts = [texts] if isinstance(texts, str) else texts
        try:
            if any(paths.negates_left(text) for text in texts):
                hint = "in JMESPath `!a.b` negates `a`; write a.b == `false`"
                self.warning(at, hint)
            return paths.first_of(texts)
        except ValueError as error:
            self.fault(at, f"{error}: {' || '.join(texts)}")
            return Path("", lambda _document: None)


@dataclass(frozen=True, slots=True)
class Nearest:
    """The inheritable keys; `models` nearest last."""

    stale_after_s: float | None = None
    on_source_loss: OnLoss | None = None
    word_order: Order | None = None
    byte_order: Order | None = None
    description: str | None = None

    def under(self, model: models.Inherited) -> Nearest:
        def nearest(mine: T | None, theirs: T | None) -> T | None:
            return theirs if mine is None else mine

        return Nearest(
            nearest(model.stale_after_s, self.stale_after_s),
            nearest(model.on_source_loss, self.on_source_loss),
            nearest(model.word_order, self.word_order),
            nearest(model.byte_order, self.byte_order),
            model.description,
        )


class KindCompiler:
    """One resource of the file to its KindSpec."""

    def __init__(
        self, name: str, model: models.ResourceModel, file: models.MappingFile, near: Nearest, found: Findings
    ) -> None:
        self.name, self.model, self.file, self.found = name, model, file, found
        self.near = near.under(model)
        self.at: KeyPath = ("resources", name)

    def compile(self) -> KindSpec:
        model, at = self.model, self.at
        reads = {key: self._read(key, read) for key, read in model.reads.items()}
        points = {key: self._point(key, point) for key, point in model.points.items()}
        self._check_path_placeholders()
        modbus, bacnet = model.modbus, model.bacnet
        capacity = modbus.capacity if modbus else 1000
        return KindSpec(
            name=self.name,
            list=self._list(model.list, (*at, "list")) if model.list else None,
            within=self._within(),
            members=self._members(model.members, (*at, "members")) if model.members else None,
            reads=reads,
            points=points,
            modbus=Region(modbus.first, modbus.stride, modbus.capacity, modbus.status) if modbus else None,
            bacnet=Region(bacnet.first, bacnet.stride, capacity) if bacnet else None,
        )

    def _keyed(self, at: KeyPath, text: str) -> tuple[Path, bool]:
        if text.strip() == paths.KEY:
            return Path(paths.KEY, lambda _document: None), True
        return self.found.path(at, text), False

    def _read(self, key: str, model: models.ReadModel) -> ReadSpec:
        at = (*self.at, "reads", key)
        match, by_key = self._keyed((*at, "match"), model.match) if model.match else (None, False)
        items = self.found.path((*at, "items"), model.items) if model.items else None
        return ReadSpec(key, model.get, model.every, items, match, by_key, frozenset(model.none_status))

    def _list(self, model: models.ListModel, at: KeyPath) -> ListSpec:
        ident, by_key = self._keyed((*at, "id"), model.id)
        guard = self.found.path((*at, "guard"), model.guard) if model.guard else None
        name, items = self.found.path((*at, "name"), model.name), self.found.path((*at, "items"), model.items)
        return ListSpec(model.get, items, ident, by_key, name, guard, model.every)

    def _members(self, model: models.MembersModel, at: KeyPath) -> MembersSpec:
        if model.of not in self.file.resources:
            self.found.fault((*at, "of"), f"there is no resource {model.of!r}")
        ident, by_key = self._keyed((*at, "id"), model.id)
        items = self.found.path((*at, "items"), model.items)
        return MembersSpec(model.of, model.get, items, ident, by_key, model.every)

    def _within(self) -> WithinSpec | None:
        model, at = self.model, self.at
        if model.within is None or model.from_ is None or model.items is None or model.id is None:
            return None
        parent = self.file.resources.get(model.within)
        if parent is None:
            self.found.fault((*at, "within"), f"there is no resource {model.within!r}")
        elif self.name in (parent.within, model.within):
            self.found.fault((*at, "within"), "a kind cannot be inside itself")
        elif model.from_ not in (parent.reads if parent.within is None else {parent.from_}):
            known = ", ".join(sorted(parent.reads)) or "none"
            self.found.fault((*at, "from"), f"{model.within} has no read {model.from_!r}; it has: {known}")
        ident, by_key = self._keyed((*at, "id"), model.id)
        return WithinSpec(model.within, model.from_, self.found.path((*at, "items"), model.items), ident, by_key)

    def _check_path_placeholders(self) -> None:
        model = self.model
        one = model.list is None and model.within is None
        gets: list[tuple[KeyPath, str]] = [(("reads", key, "get"), read.get) for key, read in model.reads.items()]
        gets += [(("list", "get"), model.list.get)] if model.list else []
        gets += [(("members", "get"), model.members.get)] if model.members else []
        for where, text in gets:
            for placeholder in PLACEHOLDER.findall(text):
                if placeholder not in PATH_PLACEHOLDERS or (one and placeholder == "id"):
                    self.found.fault((*self.at, *where), f"{{{placeholder}}} is not allowed in this path")
                if placeholder == "parent.id" and model.within is None:
                    self.found.fault((*self.at, *where), "{parent.id} needs `within`")

    # -- points --------------------------------------------------------------------------------------------------

    def _point(self, key: str, model: models.PointModel) -> PointSpec:
        at = (*self.at, "points", key)
        near = self.near.under(model)
        kind = self._kind(model, at)
        if model.unit not in UNITS:
            allowed = ", ".join(unit for unit in UNITS if unit)
            self.found.fault((*at, "unit"), f"unit {model.unit!r} is not known; allowed: {allowed}")
        registers = tuple(self._register(i, item, model, near, at) for i, item in enumerate(model.modbus))
        spans = [span for item in registers if kind is ValueKind.NUMBER and (span := limits(item.type, item.scale))]
        fits = (max(low for low, _ in spans), min(high for _, high in spans)) if spans else None
        scale, offset = _factor(model.scale), _factor(model.offset)
        self._check_factors(model, at)
        read = self._read_of(model, at)
        path = self.found.path((*at, "path"), model.path) if model.path else None
        return PointSpec(
            name=key,
            kind=kind,
            unit=model.unit,
            description=near.description or "",
            read=model.from_ if path else None,
            path=path,
            convert=_converter(kind, scale, offset, fits, model.enum),
            scale=scale,
            offset=offset,
            limits=fits,
            codes=dict(model.enum),
            absent=self._absent(model, kind, at),
            optional=model.optional,
            derive=self._derive(model.derive, model.skip_bad, at) if model.derive else None,
            member_of=self._member_of(key, model, at) if path is None and model.derive is None else None,
            range=(_factor(model.range[0]), _factor(model.range[1])) if model.range else None,
            command=self._command(model.command, kind, model, (*at, "command")) if model.command else None,
            registers=registers,
            receipt_at=next((item.receipt for item in model.modbus if item.receipt is not None), None),
            objects=tuple(ObjectSpec(item.object, item.at, item.cov_increment) for item in model.bacnet),
            receipt_instance=next((item.receipt for item in model.bacnet if item.receipt is not None), None),
            stale_after_s=near.stale_after_s or max(_STALE_READS * (read.every if read else 0), _STALE_AT_LEAST_S),
        )

    def _read_of(self, model: models.PointModel, at: KeyPath) -> models.ReadModel | None:
        """The read a point comes from: one of its kind, or of an outer kind for a kind inside another."""
        if model.from_ is None:
            return None
        owner: models.ResourceModel | None = self.model
        if model.from_ in self.model.reads:
            return self.model.reads[model.from_]
        known = sorted(self.model.reads)
        inherited = self.model.from_ if self.model.within else None
        if model.from_ == inherited:
            while owner is not None and owner.within is not None:
                owner = self.file.resources.get(owner.within)
            return owner.reads.get(model.from_) if owner else None
        known += [inherited] if inherited else []
        self.found.fault((*at, "from"), f"there is no read {model.from_!r}; there is: {', '.join(known) or 'none'}")
        return None

    def _kind(self, model: models.PointModel, at: KeyPath) -> ValueKind:
        """What the point holds: said by `enum`, else by its BACnet object, else by its register type."""
        said: list[tuple[KeyPath, ValueKind]] = []
        for i, item in enumerate(model.bacnet):
            said.append((("bacnet", i), _OBJECT_KIND[item.object.split("-")[0]]))
        for i, register in enumerate(model.modbus):
            name = register.type.split("(")[0]
            kinds = {"bool": ValueKind.BOOL, "bits": ValueKind.BOOL, "string": ValueKind.STRING}
            kind = kinds.get(name, ValueKind.ENUM if name == "enum" else ValueKind.NUMBER)
            if not (model.enum and kind is ValueKind.NUMBER):
                said.append((("modbus", i), kind))
        kind = ValueKind.ENUM if model.enum else (said[0][1] if said else ValueKind.NUMBER)
        for where, other in said:
            if other is not kind:
                text = f"this is for a {other}, and the point is a {kind}"
                self.found.fault((*at, *where), text + ("" if other is not ValueKind.ENUM else "; say its `enum`"))
        return kind

    def _register(
        self, i: int, item: models.RegisterModel, model: models.PointModel, near: Nearest, at: KeyPath
    ) -> RegisterSpec:
        where = (*at, "modbus", i) if (*at, "modbus", i) in self.found.document.marks else (*at, "modbus")
        kind = parse_register_type(item.type)
        if kind is None:
            allowed = "bool int16 uint16 int32 uint32 int64 uint64 float32 float64 string(n) enum bits"
            self.found.fault((*where, "type"), f"{item.type!r} is no register type; allowed: {allowed}")
            kind = parse_register_type("uint16")
        assert kind is not None  # noqa: S101  # narrowed above
        if (kind.name == "bits") != (item.bit is not None):
            self.found.fault(where, "`bit` and type bits go together")
        if item.scale == 0:
            self.found.fault((*where, "scale"), "must not be 0")
        if item.receipt is not None and model.command is None:
            self.found.fault((*where, "receipt"), "only a point with a command has a receipt")
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
            self.found.fault((*at, "absent"), f"must be a {kind}")
            return None
        return value

    def _derive(self, model: models.DeriveModel, skip_bad: bool, at: KeyPath) -> DeriveSpec:
        kind, _, point = model.of.partition(".")
        resource = self.file.resources.get(kind)
        if resource is None or (point not in resource.points):
            self.found.fault((*at, "derive", "of"), f"there is no point {model.of!r} in this mapping")
        if (model.op == "count") != (model.where is not None):
            self.found.fault((*at, "derive"), "`where` goes with op count, and count needs it")
        where = model.where if isinstance(model.where, list) or model.where is None else [model.where]
        return DeriveSpec(model.op, kind, point, frozenset(where) if where is not None else None, skip_bad)

    def _member_of(self, key: str, model: models.PointModel, at: KeyPath) -> str:
        owner = self.file.resources.get(key)
        if owner is None or owner.members is None or owner.members.of != self.name:
            self.found.fault(at, "where does the value come from? say from and path, or derive")
        elif model.enum or model.command:
            self.found.fault(at, f"this point is the name of the {key} it belongs to: a text")
        return key

    def _check_factors(self, model: models.PointModel, at: KeyPath) -> None:
        keys: list[tuple[KeyPath, Any]] = [(("scale",), model.scale), (("offset",), model.offset)]
        keys += [(("range", i), bound) for i, bound in enumerate(model.range or [])]
        keys += [(("command", "default"), model.command.default)] if model.command else []
        for where, value in keys:
            if isinstance(value, models.FactorModel) and value.point not in self.model.points:
                self.found.fault((*at, *where), f"there is no point {value.point!r} in this resource")
            if where == ("scale",) and value == 0:
                self.found.fault((*at, *where), "must not be 0")
        low, high = model.range or (0.0, 0.0)
        if isinstance(low, float | int) and isinstance(high, float | int) and model.range and low >= high:
            self.found.fault((*at, "range"), "must be [lowest, highest]")

    # -- commands ------------------------------------------------------------------------------------------------

    def _command(
        self, model: models.CommandModel, kind: ValueKind, point: models.PointModel, at: KeyPath
    ) -> CommandSpec:
        path = model.put or model.post or ""
        number = kind is ValueKind.NUMBER
        for placeholder in PLACEHOLDER.findall(path):
            if placeholder not in PATH_PLACEHOLDERS:
                self.found.fault((*at, "put" if model.put else "post"), f"{{{placeholder}}} is not allowed in a path")
        for key, body in (("body", model.body), ("release", model.release)):
            self._check_body((*at, key), body, needs_value=key == "body")
        tighter = model.tighter or ("low" if number else "none")
        if not number and tighter != "none":
            self.found.fault((*at, "tighter"), "only a number has a tighter direction")
        default = _factor(model.default) if isinstance(model.default, (int, float, models.FactorModel)) else None
        if default is None and (not number or tighter == "none"):
            self.found.fault(at, "`default` is missing (nothing says which end of the range is the loose one)")
        elif default is None and point.range is None:
            self.found.fault(at, "say `range` on the point, or `default` here")
        elif default is None and point.range is not None:
            default = _factor(point.range[1 if tighter == "low" else 0])
        return CommandSpec(
            method="PUT" if model.put else "POST",
            path=path,
            body=model.body,
            release=model.release,
            default=default,
            none_when=self.found.path((*at, "none_when"), model.none_when) if model.none_when else None,
            verify=self.found.path((*at, "verify"), model.verify) if model.verify else None,
            json_type=model.as_ if number or model.as_ != "float" else ("bool" if kind is ValueKind.BOOL else "string"),
            tolerance=model.tolerance,
            floor=model.floor,
            allow_stop=model.allow_stop,
            tighter=tighter,
        )

    def _check_body(self, at: KeyPath, body: Any, *, needs_value: bool) -> None:
        found: set[str] = set(PLACEHOLDER.findall(json.dumps(body)))
        for placeholder in sorted(found):
            head, _, argument = placeholder.partition(":")
            if head == "point" and argument not in self.model.points:
                self.found.fault(at, f"there is no point {argument!r} in this resource")
            elif head == "now" and argument not in ("iso", "epoch", "epoch_ms"):
                self.found.fault(at, f"{{{placeholder}}}: say {{now:iso}}, {{now:epoch}} or {{now:epoch_ms}}")
            elif head not in ("value", "default", "id", "parent.id", "point", "now"):
                allowed = "{value} {default} {id} {parent.id} {point:NAME} {now:iso|epoch|epoch_ms}"
                self.found.fault(at, f"{{{placeholder}}} is no placeholder; allowed: {allowed}")
        if needs_value and "value" not in found:
            self.found.fault(at, "holds no {value}")


def _factor(value: float | bool | models.FactorModel) -> Factor:
    if isinstance(value, models.FactorModel):
        return Factor(0.0, value.point, value.by)
    return Factor(float(value))


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
