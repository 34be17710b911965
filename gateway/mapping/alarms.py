"""The `alarm` of a point to its AlarmSpec."""

from __future__ import annotations

from gateway.config.strict_yaml import KeyPath
from gateway.core.alarm import AlarmSpec
from gateway.core.point import Factor
from gateway.core.value import Value, ValueKind
from gateway.mapping import models
from gateway.mapping.alarm_models import AlarmModel
from gateway.mapping.command_models import FactorKey, FactorModel
from gateway.mapping.commands import factor
from gateway.mapping.findings import Findings

OF_RECEIPT = ("applied", "requested")
"""What a limit may be of a commandable point's receipt."""


def compile_alarm(
    point: models.PointModel, kind: ValueKind, resource: models.ResourceModel, at: KeyPath, found: Findings
) -> AlarmSpec | None:
    """The alarm of `point`, None if it has none; `at` is the point's own place."""
    model, at = point.alarm, (*at, "alarm")
    if model is None:
        return None
    if kind is ValueKind.STRING:
        found.fault(at, "a text has no alarm")
    elif kind is ValueKind.NUMBER and model.when is not None:
        found.fault((*at, "when"), "a number has limits: say high, low or both")
    elif kind is not ValueKind.NUMBER and model.when is None:
        found.fault(at, "only a number has limits: say `when`")
    return AlarmSpec(
        when=_when(model, point, kind, at, found),
        high=_limit(model.high, resource, (*at, "high"), found),
        low=_limit(model.low, resource, (*at, "low"), found),
        deadband=model.deadband,
        delay_s=model.delay,
        notify=model.notification_class,
        text=model.text or "",
        faults=model.faults,
    )


def _when(
    model: AlarmModel, point: models.PointModel, kind: ValueKind, at: KeyPath, found: Findings
) -> frozenset[Value]:
    """The codes or states that are an alarm; a text of an enumeration stands for its code."""
    listed = model.when if isinstance(model.when, list) else [] if model.when is None else [model.when]
    values: list[Value] = []
    for item in listed:
        if kind is ValueKind.BOOL and not isinstance(item, bool):
            found.fault((*at, "when"), "must be true or false")
        elif kind is ValueKind.ENUM and (
            isinstance(item, bool) or (item not in point.enum.values() and item not in point.enum)
        ):
            shown = ", ".join(f"{code} {text}" for text, code in point.enum.items())
            found.fault((*at, "when"), f"{item!r} is none of its codes: {shown}")
        values.append(point.enum.get(item, item) if isinstance(item, str) else item)
    if kind is ValueKind.BOOL and set(values) == {True, False}:
        found.fault((*at, "when"), "would always be an alarm")
    return frozenset(values)


def _limit(bound: FactorKey | None, resource: models.ResourceModel, at: KeyPath, found: Findings) -> Factor | None:
    if bound is None:
        return None
    if isinstance(bound, FactorModel):
        name, _, part = bound.point.partition(".")
        other = resource.points.get(name)
        if other is None:
            found.fault((*at, "point"), f"there is no point {name!r} in this resource")
        elif part and (other.command is None or part not in OF_RECEIPT):
            shown = " or ".join(f"{name}.{each}" for each in OF_RECEIPT)
            found.fault((*at, "point"), f"of a point with a command say {shown}; of any other its own name")
    return factor(bound)
