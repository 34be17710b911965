"""How one source is doing."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.core.circuit import SourceState
from gateway.core.histogram import Histogram


@dataclass(slots=True)
class Health:
    """What `source` points, `status` and the header say about one source.

    `next_try` is the monotonic time until which nothing is asked of it, None when it is not waiting; `turns` counts
    on as long as its poller goes on; `answered` has how long each good answer took.
    """

    state: SourceState = SourceState.STARTING
    reason: str = ""
    connected: bool = False
    last_good: float | None = None
    poll_ms: float | None = None
    errors: int = 0
    overruns: int = 0
    relogins: int = 0
    next_try: float | None = None
    turns: int = 0
    answered: Histogram = field(default_factory=Histogram)
