"""Durations as people write them: 500ms, 5s, 2m, 1h, 1d."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
DURATION = r"^[0-9]+(\.[0-9]+)?(ms|s|m|h|d)$"


def duration(value: Any) -> float:
    """Seconds, more than none.

    Raises:
        ValueError: it is no duration, in words.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("must be a duration such as 500ms, 5s, 2m or 1h")
    seconds = float(match[1]) * _UNITS[match[2]]
    if seconds <= 0:
        raise ValueError("must be longer than nothing")
    return seconds


def duration_or_never(value: Any) -> float:
    """As `duration`; 0 stands for never.

    Raises:
        ValueError: it is neither, in words.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value == 0:
        return 0.0
    try:
        return duration(value)
    except ValueError:
        raise ValueError("must be a duration such as 30m or 24h, or 0 for never") from None


Duration = Annotated[float, BeforeValidator(duration), WithJsonSchema({"type": "string", "pattern": DURATION})]
DurationOrNever = Annotated[
    float,
    BeforeValidator(duration_or_never),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": DURATION}, {"const": 0}]}),
]
