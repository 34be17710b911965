"""The `command` of a point to its CommandSpec."""

from __future__ import annotations

from typing import Any

from gateway.config.strict_yaml import KeyPath
from gateway.config.supervision import LossValue
from gateway.core.lease import Loss
from gateway.core.point import CommandSpec, Factor
from gateway.core.value import ValueKind
from gateway.mapping import models
from gateway.mapping.command_models import CommandModel, FactorModel, JsonType
from gateway.mapping.findings import END, Findings, placeholders


def factor(value: float | bool | FactorModel) -> Factor:
    """A number, or a reference to another point."""
    if isinstance(value, FactorModel):
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
    _check_bodies(model, resource, at, found)
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
        merge_from=(model.merge_from or path) if model.merge else None,
        together=_together(model, resource, at, found),
        valid_for_s=model.valid_for_s,
        on_conflict=model.on_conflict,
        lease_s=0.0 if model.lease_s == "off" else model.lease_s,
        on_loss=_loss(model),
        gap_s=model.min_gap_s,
    )


def _check_bodies(model: CommandModel, resource: models.ResourceModel, at: KeyPath, found: Findings) -> None:
    """Body and release: their placeholders, and that they are what `merge` and `valid_for_s` need."""
    known = ("value", "default", *resource.placeholders)
    ends = END if model.valid_for_s is not None else ()
    for key, body, allowed in (("body", model.body, (*known, *ends)), ("release", model.release, known)):
        found.body((*at, key), body, allowed, resource.points)
        if model.merge and not isinstance(body, dict):
            found.fault((*at, key), "merge changes members of an object: say which, as {member: value}")
    used = placeholders(model.body)
    if not used & {"value", f"point:{at[-2]}"}:
        found.fault((*at, "body"), "holds no {value}")
    if "value" in placeholders(model.release):
        found.fault((*at, "release"), "a release has no {value}; say {default}")
    if model.valid_for_s is not None and not used & set(END):
        found.fault((*at, "valid_for_s"), "the body says no end: it needs {end:iso}, {end:epoch} or {end:epoch_ms}")
    if model.merge_from is not None:
        found.url((*at, "merge_from"), model.merge_from, resource.placeholders)


def _together(model: CommandModel, resource: models.ResourceModel, at: KeyPath, found: Findings) -> tuple[str, ...]:
    """The other points of the request: every one of them names the same points, and sends the same."""
    own, at = str(at[-2]), (*at, "together")
    group = {own, *model.together}
    if not model.together:
        return ()
    for name in sorted(group - {own}):
        other = resource.points[name].command if name in resource.points else None
        if other is None:
            found.fault(at, f"there is no point {name!r} with a command in this resource")
        elif {name, *other.together} != group:
            found.fault(at, f"{name} names other points: each of {', '.join(sorted(group))} must name all of them")
        elif _request(other) != _request(model):
            found.fault(at, f"{name} sends another request: put, body and release must be the same")
    # A key that does nothing would send two requests that undo each other: refused until the engine joins them.
    found.fault(at, "limits that leave in one request are not carried out by this version: give each a put of its own")
    return tuple(name for name in resource.points if name in group and name != own)


def _request(model: CommandModel) -> tuple[Any, ...]:
    return model.put, model.post, model.body, model.release, model.merge, model.merge_from, model.valid_for_s


def _loss(model: CommandModel) -> Loss | None:
    """What replaces a slot whose lease ended; a value is judged with the whole site, which says the floor."""
    said = model.on_bms_loss
    if isinstance(said, LossValue):
        return Loss("value", said.value)
    return None if said is None else Loss(said)


def _default(
    point: models.PointModel,
    model: CommandModel,
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
    if isinstance(value, FactorModel):
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


def _json_type(model: CommandModel, kind: ValueKind, at: KeyPath, found: Findings) -> JsonType:
    natural: dict[ValueKind, JsonType] = {ValueKind.BOOL: "bool", ValueKind.NUMBER: "float"}
    if model.as_ is None:
        return natural.get(kind, "string")
    if kind in (ValueKind.ENUM, ValueKind.STRING) and model.as_ != "string":
        found.fault((*at, "as"), "the product gets a text: say string, or leave it out")
    return model.as_
