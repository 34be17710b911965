"""The machine's own time."""

from __future__ import annotations

import time


class SystemClock:
    """Implements `engine.ports.Clock`."""

    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()
