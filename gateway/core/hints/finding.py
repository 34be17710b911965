"""A hint, how long it stands, and the evidence that must come together before it is given."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable
from dataclasses import dataclass
from typing import NamedTuple

CLEAR_S = 300.0
"""A hint goes when its cause was not seen for so long."""

HINTS: dict[str, str] = {
    "one_based": "asks one register beside what is there: a tool that counts from 1?",
    "odd_offset": "reads a 32-bit value from its middle: an address off by one, or the wrong word order?",
    "half_read": "reads one register of a value that takes two or four",
    "half_write": "writes half of a 32-bit value",
    "unmapped": "asks for registers or objects that are not there",
    "unknown_unit": "asks a unit id that nobody has",
    "too_many": "asks for more registers at once than a request can have",
    "coils": "uses a coil function where a register stands",
    "function": "uses a function or service that is not served",
    "read_only": "writes what can only be read",
    "no_right": "writes without the right to",
    "no_group": "connects, but is in no client group",
    "not_modbus": "sends something that is not Modbus TCP",
    "new_connections": "opens a new connection for each request",
    "fast_poll": "polls much faster than the sources are read",
    "same_write": "writes an unchanged value again and again, and no lease needs it",
    "high_priority": "writes at priority 1 or 2 all the time",
    "reserved_priority": "writes at priority 6, which is reserved",
    "cov_again": "subscribes to the same object again and again",
    "one_by_one": "reads many values one by one",
    "wrong_network": "asks for a BACnet network that is not here",
    "who_is_storm": "sends Who-Is without end",
    "duplicate_device": "another device has this gateway's BACnet device instance",
    "no_broadcast": "no BACnet broadcast is heard",
}
"""Every hint there is: its id and what it means."""


class Finding(NamedTuple):
    """What one rule found: an id of HINTS, and the evidence in words."""

    id: str
    text: str


@dataclass(slots=True)
class Standing:
    """A hint that stands: since when, when its cause was last seen (monotonic seconds), and how often."""

    text: str
    since: float
    last: float
    times: int = 1


class Hints:
    """The hints about one client: one for each id, with the newest evidence."""

    __slots__ = ("standing",)

    def __init__(self) -> None:
        self.standing: dict[str, Standing] = {}

    def take(self, finding: Finding, now: float) -> bool:
        """Notes a finding; returns whether the hint is new."""
        known = self.standing.get(finding.id)
        if known is None:
            self.standing[finding.id] = Standing(finding.text, now, now)
            return True
        known.text, known.last, known.times = finding.text, now, known.times + 1
        return False

    def expire(self, now: float) -> list[str]:
        """Takes back what has no cause any more; returns the ids."""
        over = [name for name, hint in self.standing.items() if now - hint.last >= CLEAR_S]
        for name in over:
            del self.standing[name]
        return over


class Often:
    """Things that count only when they come `times` times within `window_s`; at most `most` of them are watched."""

    def __init__(self, times: int, window_s: float, most: int = 64) -> None:
        self._times, self._window_s, self._most = times, window_s, most
        self._seen: OrderedDict[Hashable, deque[float]] = OrderedDict()

    def again(self, what: Hashable, now: float) -> bool:
        """Notes that it happened now; returns whether that was often enough."""
        seen = self._seen.get(what)
        if seen is None:
            if len(self._seen) >= self._most:
                self._seen.popitem(last=False)
            seen = self._seen[what] = deque(maxlen=self._times)
        self._seen.move_to_end(what)
        seen.append(now)
        return len(seen) == self._times and now - seen[0] <= self._window_s
