"""When a command is tried again: back-off after failures, slow repeats without end, few reassertions (C08, C09).

Rules of this file: pure, `now` comes in; every wait is jittered, so that gateways do not strike together; slow repeats
stay within their bounds all the same.
"""

from __future__ import annotations

from collections.abc import Callable

RETRY_S = (1.0, 60.0)
SLOW_REPEAT_S = (60.0, 600.0)
JITTER = (0.75, 1.25)
REASSERTS = 3
REASSERT_WINDOW_S = 600.0
Uniform = Callable[[float, float], float]
"""Draws between two bounds, as random.uniform does."""


def middle(low: float, high: float) -> float:
    """No jitter."""
    return (low + high) / 2


class Patience:
    """Counts what failed; reassertions are remembered longer than one target lives."""

    def __init__(self, uniform: Uniform) -> None:
        self._uniform = uniform
        self._failures = self._slow_repeats = 0
        self._reasserted: list[float] = []

    def forget(self) -> None:
        """Something new is asked, or all is well."""
        self._failures = self._slow_repeats = 0

    def arrived(self) -> None:
        """A request reached the product."""
        self._failures = 0

    def repeated(self) -> None:
        """A slow repeat leaves."""
        self._slow_repeats += 1

    def reasserted(self, now: float) -> None:
        """A confirmed value is sent again because somebody else changed it."""
        self._reasserted = [*self._reasserted, now][-REASSERTS:]

    def retry_s(self) -> float:
        """How long to wait after another failure: doubling from 1 s to 60 s."""
        wait = min(RETRY_S[0] * 2.0**self._failures, RETRY_S[1]) * self._uniform(*JITTER)
        self._failures += 1
        return wait

    def reassert_due(self, now: float) -> float:
        """At once, but at most three times in any ten minutes (C09)."""
        if len(self._reasserted) < REASSERTS:
            return now
        return max(now, self._reasserted[0] + REASSERT_WINDOW_S)

    def slow_due(self, now: float) -> float:
        """Every 1..10 min without end (C08)."""
        least, most = SLOW_REPEAT_S
        wait = min(least * 2.0**self._slow_repeats, most) * self._uniform(*JITTER)
        return now + min(max(wait, least), most)
