"""What a mapping says about the history of a point, to its TrendSpec."""

from __future__ import annotations

from gateway.config.strict_yaml import KeyPath
from gateway.core.trend import TrendSpec
from gateway.core.value import ValueKind
from gateway.mapping import models
from gateway.mapping.findings import Findings


def compile_trend(model: models.PointModel, kind: ValueKind, at: KeyPath, found: Findings) -> TrendSpec | None:
    """The trend of a point, None if it has none; its Trend Log stands beside one of its BACnet objects."""
    logs = [i for i, item in enumerate(model.bacnet) if item.trend is not None]
    for i in logs if model.trend is None else logs[1:]:
        why = "what is recorded? say `trend` on the point" if model.trend is None else "one Trend Log is enough"
        found.fault((*at, "bacnet", i, "trend"), why)
    if model.trend is None:
        return None
    if kind is ValueKind.STRING:
        found.fault((*at, "trend"), "a text has no trend")
    place = logs[0] if logs else None
    log_at = model.bacnet[place].trend if place is not None else None
    return TrendSpec(model.trend.every, model.trend.buffer, log_at, place or 0)
