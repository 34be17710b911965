"""A cap of requests per second; pure."""

from __future__ import annotations


class Pace:
    """A bucket of one second's requests (at least one), filled as time goes by."""

    def __init__(self, per_s: float, now: float) -> None:
        self._per_s, self._most = per_s, max(per_s, 1.0)
        self._left, self._at = self._most, now

    def wait_s(self, answered: int, now: float) -> float:
        """Seconds until the next request may be answered, 0 at once, after `answered` more were."""
        self._left = min(self._most, self._left + (now - self._at) * self._per_s) - answered
        self._at = now
        return max(0.0, (1.0 - self._left) / self._per_s)
