"""Values that cannot be true although the answer was good: a number that has stopped moving (FAULTS U42)."""

from __future__ import annotations

import math
from typing import Any

from gateway.core.value import GOOD, STALE, Converter, Sample, Value


def unless_frozen(convert: Converter, frozen_after_s: float, gap_s: float) -> Converter:
    """The converter of one point, whose good samples become stale once they have not changed for `frozen_after_s`.

    Only time in which answers came counts: after more than `gap_s` without one the watch begins anew.
    """
    last: Value | None = None
    since = seen = -math.inf

    def watched(raw: Any, now: float) -> Sample:
        nonlocal last, since, seen
        sample = convert(raw, now)
        if sample.value != last or now - seen > gap_s:
            last, since = sample.value, now
        seen = now
        if sample.quality is GOOD and now - since > frozen_after_s:
            return sample._replace(quality=STALE, reason=f"unchanged for {_span(now - since)}")
        return sample

    return watched


def _span(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s"
