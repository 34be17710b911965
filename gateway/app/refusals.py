"""Writes that a server refused before they were commands, as evidence; what a BMS repeats is not written again."""

from __future__ import annotations

from gateway.core.priority import Origin
from gateway.engine.ports import Clock, Evidence, Journal

SAME_S, MOST = 60.0, 100
"""The same refusal is written once a minute, and no more than so many different ones."""


class Refusals:
    """Implements `engine.ports.OnRefused`; `event` is what a record is called."""

    def __init__(self, journal: Journal, clock: Clock, event: str = "refused") -> None:
        self._journal, self._clock, self._event = journal, clock, event
        self._seen: set[tuple[str, str, str]] = set()
        self._since = clock.monotonic()

    def __call__(self, place: str, origin: Origin, why: str) -> None:
        now, same = self._clock.monotonic(), (place, origin.group, why)
        if now - self._since >= SAME_S:
            self._seen.clear()
            self._since = now
        if same not in self._seen and len(self._seen) < MOST:
            self._seen.add(same)
            self._journal.note({}, (Evidence(self._event, place, origin, answer=why),))
