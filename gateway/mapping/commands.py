"""The `command` of a point to its CommandSpec."""

from __future__ import annotations

from gateway.config.strict_yaml import KeyPath
from gateway.core.point import CommandSpec, Factor
from gateway.core.value import ValueKind
from gateway.mapping import models
from gateway.mapping.findings import Findings, placeholders


def factor(value: float | bool | models.FactorModel) -> Factor:
    """A number, or a reference to another point."""
    if isinstance(value, models.FactorModel):
        return Factor(0.0, value.point, value.by)
    return Factor(float(value))


def compile_command(
    point: models.PointModel, kind: ValueKind, resource: models.ResourceModel, at: KeyPath, found: Findings
) -> CommandSpec:
    """The command of `point`, which must have one; `at` is the point's own place."""
    model = point.command
    if model is None:
        raise ValueError(at)
    at = (*at, "command")
    path = model.put or model.post or ""
    found.url((*at, "put" if model.put else "post"), path, resource.placeholders)
    for key, body in (("body", model.body), ("release", model.release)):
        found.body((*at, key), body, ("value", "default", *resource.placeholders), resource.points)
    if "value" not in placeholders(model.body):
        found.fault((*at, "body"), "holds no {value}")
    if "value" in placeholders(model.release):
        found.fault((*at, "release"), "a release has no {value}; say {default}")
    tighter = model.tighter or ("low" if kind is ValueKind.NUMBER else "none")
    if kind is not ValueKind.NUMBER and tighter != "none":
        found.fault((*at, "tighter"), "only a number has a tighter direction")
    return CommandSpec(
        method="PUT" if model.put else "POST",
        path=path,
        body=model.body,
        release=model.release,
        default=_default(point, model, kind, tighter, at, found),
        none_when=found.path((*at, "none_when"), model.none_when) if model.none_when else None,
        verify=found.path((*at, "verify"), model.verify) if model.verify else None,
        json_type=_json_type(model, kind, at, found),
        tolerance=model.tolerance,
        floor=model.floor,
        allow_stop=model.allow_stop,
        tighter=tighter,
    )


def _default(
    point: models.PointModel,
    model: models.CommandModel,
    kind: ValueKind,
    tighter: str,
    at: KeyPath,
    found: Findings,
) -> Factor | None:
    """What holds when nobody asks: said, else the loose end of the range."""
    value = model.default
    if value is None:
        if kind is not ValueKind.NUMBER or tighter == "none":
            found.fault(at, "`default` is missing (nothing says which end of the range is the loose one)")
        elif point.range is None:
            found.fault(at, "say `range` on the point, or `default` here")
        else:
            return factor(point.range[1 if tighter == "low" else 0])
        return None
    if isinstance(value, models.FactorModel):
        return factor(value)
    _check_default(point, value, kind, (*at, "default"), found)
    return factor(value)


def _check_default(
    point: models.PointModel, value: float | bool, kind: ValueKind, at: KeyPath, found: Findings
) -> None:
    match kind:
        case ValueKind.BOOL:
            if value not in (0, 1):
                found.fault(at, "must be true or false")
        case ValueKind.ENUM:
            if isinstance(value, bool) or value not in point.enum.values():
                shown = ", ".join(f"{code} {text}" for text, code in point.enum.items())
                found.fault(at, f"must be one of the codes: {shown}")
        case _:
            low, high = point.range or (value, value)
            outside = (isinstance(low, int | float) and value < low) or (isinstance(high, int | float) and value > high)
            if isinstance(value, bool):
                found.fault(at, "must be a number")
            elif outside:
                found.fault(at, f"{value:g} is outside the point's range")


def _json_type(model: models.CommandModel, kind: ValueKind, at: KeyPath, found: Findings) -> models.JsonType:
    natural: dict[ValueKind, models.JsonType] = {ValueKind.BOOL: "bool", ValueKind.NUMBER: "float"}
    if model.as_ is None:
        return natural.get(kind, "string")
    if kind in (ValueKind.ENUM, ValueKind.STRING) and model.as_ != "string":
        found.fault((*at, "as"), "the product gets a text: say string, or leave it out")
    return model.as_
