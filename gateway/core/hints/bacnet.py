"""What a BACnet peer's requests say about it; pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from gateway.core.hints.finding import Finding, Often
from gateway.core.hints.modbus import same_write

HIGHEST_PRIORITIES = (1, 2)
RESERVED = 6
MANY_READS_PER_S = 10.0
MANY_WHO_IS_PER_S = 10.0
RECENT_S = 60.0


class BacnetHabits:
    """What many requests of one peer show."""

    def __init__(self) -> None:
        self._high = Often(5, RECENT_S)
        self._subscribed = Often(5, RECENT_S, most=1000)
        self._same = Often(20, RECENT_S)
        self._values: OrderedDict[int, object] = OrderedDict()
        self._multiple_at = self._subscribed_at = float("-inf")

    def wrote(
        self, index: int, value: object, name: str, priority: int, now: float, leased: Callable[[], bool]
    ) -> list[Finding]:
        """An accepted write of one point."""
        same = same_write(self._values, self._same, index, value, name, now, leased)
        return [finding for finding in (self.at_priority(name, priority, now), same) if finding is not None]

    def at_priority(self, name: str, priority: int, now: float) -> Finding | None:
        """A write at a priority, accepted or not."""
        if priority == RESERVED:
            return Finding("reserved_priority", f"writes {name} at priority 6, which is reserved: use 8 to 16")
        if priority in HIGHEST_PRIORITIES and self._high.again(name, now):
            text = f"writes {name} at priority {priority} all the time: it is for life safety, nobody can override it; "
            return Finding("high_priority", f"{text}automation uses 8 to 16")
        return None

    def subscribed(self, what: object, name: str, lifetime_s: float, now: float) -> Finding | None:
        """A subscription or renewal of one object or property; infinite for one without end."""
        self._subscribed_at = now
        if not self._subscribed.again(what, now):
            return None
        enough = "it never ends, once is enough" if lifetime_s == float("inf") else f"it lives {lifetime_s:g} s"
        return Finding("cov_again", f"subscribes to {name} 5 times and more a minute: {enough}; renew at half of that")

    def reads(self, per_s: float, *, multiple: bool, subscriptions: int, now: float) -> Finding | None:
        """How many ReadProperty a second came, whether ReadPropertyMultiple did too, and its subscriptions."""
        if multiple:
            self._multiple_at = now
        others = subscriptions or now - max(self._multiple_at, self._subscribed_at) <= RECENT_S
        if others or per_s <= MANY_READS_PER_S:
            return None
        text = (
            f"reads one property at a time, {per_s:.0f} a second: ReadPropertyMultiple or SubscribeCOV needs far less"
        )
        return Finding("one_by_one", text)

    @staticmethod
    def who_is(per_s: float) -> Finding | None:
        """How many Who-Is a second came."""
        if per_s <= MANY_WHO_IS_PER_S:
            return None
        text = f"sends {per_s:.0f} Who-Is a second: once an hour is enough, with the range of instances it looks for"
        return Finding("who_is_storm", text)
