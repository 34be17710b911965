"""What a commandable point and its receipt block show (DESIGN 5)."""

from __future__ import annotations

from gateway.core.delivery import WriteStatus
from gateway.core.errors import Reject
from gateway.core.lease import countdown
from gateway.core.value import BAD, GOOD, Sample, Value
from gateway.engine.setpoint import Setpoint
from gateway.engine.supervision import Supervision
from gateway.engine.table import PointTable


def receipt_samples(
    point: Setpoint, table: PointTable, supervision: Supervision, now: float
) -> list[tuple[int, Sample]]:
    """The asked value, with the quality of what is applied (C01), and the receipt.

    A point that must not be written shows 7, blocked (C07); the countdown is that of the slot `authority` describes.
    """
    indices, name = point.resource.indices, point.spec.name
    asked = point.slots.value if point.slots.winner else point.default
    applied = table.sample(indices[f"{name}.applied"])
    if asked is None:
        shown = Sample(None, BAD, "its default is not known yet", now)
    else:
        shown = Sample(asked, applied.quality, applied.reason, applied.time)
    inhibition, ruling = point.inhibition, point.slots.ruling
    status = point.delivery.status if inhibition is None else WriteStatus.BLOCKED
    error = point.delivery.error or point.error_text or ("" if inhibition is None else inhibition[1])
    upstream = int(Reject.UPSTREAM) if point.delivery.error else 0
    receipt: dict[str, Value | None] = {
        "requested": point.slots.value,
        "write_status": int(status),
        "authority": int(point.authority),
        "winner": point.slots.winner,
        "lease_left_s": None if ruling is None else countdown(supervision.left_s(ruling)),
        "age_s": None if point.accepted_at is None else int(now - point.accepted_at),
        "release": False,
        "error": point.error or upstream,
        "error_text": error,
    }
    rows = [(indices[f"{name}.{key}"], Sample(value, GOOD, "", now)) for key, value in receipt.items()]
    return [(point.index, shown), *rows]
