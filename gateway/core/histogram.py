"""How long something took, counted by upper bound: what a latency's distribution is told from; pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

LATENCY_BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds for what may take from a few milliseconds to a time-out."""


class Histogram:
    """Counts of observed seconds; `bounds` are upper bounds in rising order, what is beyond the last is counted too."""

    __slots__ = ("_counts", "bounds", "count", "total_s")

    def __init__(self, bounds: Sequence[float] = LATENCY_BOUNDS_S) -> None:
        self.bounds = tuple(bounds)
        self._counts = [0] * (len(self.bounds) + 1)
        self.count = 0
        self.total_s = 0.0

    def observe(self, seconds: float) -> None:
        """Counts one duration."""
        self._counts[bisect_left(self.bounds, seconds)] += 1
        self.count += 1
        self.total_s += seconds

    def cumulative(self) -> list[tuple[float, int]]:
        """For every bound how many were not longer."""
        found, so_far = [], 0
        for bound, count in zip(self.bounds, self._counts, strict=False):
            so_far += count
            found.append((bound, so_far))
        return found
