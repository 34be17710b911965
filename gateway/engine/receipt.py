"""What a commandable point and its receipt block show (DESIGN 5)."""

from __future__ import annotations

from gateway.core.errors import Reject
from gateway.core.value import BAD, GOOD, Sample, Value
from gateway.engine.setpoint import Setpoint
from gateway.engine.table import PointTable


def receipt_samples(point: Setpoint, table: PointTable, now: float) -> list[tuple[int, Sample]]:
    """The asked value, with the quality of what is applied (C01), and the receipt."""
    indices, name = point.resource.indices, point.spec.name
    asked = point.slots.value if point.slots.winner else point.default
    applied = table.sample(indices[f"{name}.applied"])
    if asked is None:
        shown = Sample(None, BAD, "its default is not known yet", now)
    else:
        shown = Sample(asked, applied.quality, applied.reason, applied.time)
    error = point.delivery.error or point.error_text
    upstream = int(Reject.UPSTREAM) if point.delivery.error else 0
    receipt: dict[str, Value | None] = {
        "requested": point.slots.value,
        "write_status": int(point.delivery.status),
        "authority": int(point.authority),
        "winner": point.slots.winner,
        "lease_left_s": None,
        "age_s": None if point.accepted_at is None else int(now - point.accepted_at),
        "release": False,
        "error": point.error or upstream,
        "error_text": error,
    }
    rows = [(indices[f"{name}.{key}"], Sample(value, GOOD, "", now)) for key, value in receipt.items()]
    return [(point.index, shown), *rows]
