"""How long the event loop lets others wait: what every answer of every server is late by at least."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from gateway.core.histogram import Histogram
from gateway.engine.ports import Clock

PERIOD_S = 0.25
OVERRUN_S = 0.1
"""Longer than this nobody should wait for the loop (FAULTS B10)."""
RECENT = 240
"""Measurements of the last minute."""
BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class LoopLag:
    """Measures by how much a timer is late, four times a second; `sleep` is asyncio.sleep."""

    def __init__(self, clock: Clock, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._clock, self._sleep = clock, sleep
        self._recent: deque[float] = deque(maxlen=RECENT)
        self.histogram = Histogram(BOUNDS_S)
        self.overruns = 0

    async def run(self) -> None:
        """Measures until cancelled."""
        while True:
            began = self._clock.monotonic()
            await self._sleep(PERIOD_S)
            self.measured(max(self._clock.monotonic() - began - PERIOD_S, 0.0))

    def measured(self, late_s: float) -> None:
        """Takes one measurement."""
        self._recent.append(late_s)
        self.histogram.observe(late_s)
        self.overruns += late_s > OVERRUN_S

    @property
    def worst_s(self) -> float:
        """The longest of the last minute."""
        return max(self._recent, default=0.0)

    @property
    def last_s(self) -> float:
        """The newest."""
        return self._recent[-1] if self._recent else 0.0
