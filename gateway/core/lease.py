"""How long a slot lives unrefreshed, what replaces it then, and what is left of it after a restart (C04, C05, C11).

Rules of this file: pure, `now` comes in; 0 s means that there is no lease; time that nobody can measure is never
given to a lease as if it were new.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from gateway.core.value import Value

GRACE_S = 60.0
SAVED_EVERY = 0.25
"""After which part of its length what is left of a lease is saved again."""
SATURATED_S = 65534
"""The largest countdown a register can hold; 65535 there says that no lease runs."""


@dataclass(frozen=True, slots=True)
class Loss:
    """What `on_bms_loss` says: the slot keeps its value, is emptied, or takes `value` (in the point's unit)."""

    kind: Literal["hold", "release", "value"] = "hold"
    value: Value | None = None


HOLD = Loss()


@dataclass(frozen=True, slots=True)
class GroupTerms:
    """What holds for one client group; None = not said here, the next level counts. `lease_s` 0.0 is off.

    `slot` is where it writes, None for a group that says so with each write.
    """

    lease_s: float | None = None
    on_loss: Loss | None = None
    heartbeat: bool = False
    write: bool = True
    slot: int | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """The life of one slot, in monotonic seconds.

    `until` is the end its writer gave it (page, CLI): the slot is released then, which is no failsafe.
    `graced`: its one grace after a restart has begun; only an accepted write earns another.
    `deaf_until`: signs of life until then count no more; other terms came into force there.
    """

    length_s: float = 0.0
    renewed: float = 0.0
    until: float | None = None
    graced: bool = False
    deaf_until: float = -math.inf

    def ends(self, alive: float | None = None) -> float:
        """When it ends, infinite for never; `alive` is the last sign of life of the group that must give one."""
        if not self.length_s:
            return math.inf
        deaf = alive is None or alive <= self.deaf_until
        return (self.renewed if deaf or alive is None else max(self.renewed, alive)) + self.length_s

    def earlier(self, seconds: float) -> Lease:
        """The same lease, begun so much earlier: it ran on while no clock of ours did."""
        until = None if self.until is None else self.until - seconds
        return replace(self, renewed=self.renewed - seconds, until=until, deaf_until=self.deaf_until - seconds)


@dataclass(frozen=True, slots=True)
class Stamp:
    """A moment as every clock saw it: one of them may still tell after a restart how long ago it was."""

    boot_id: str
    boottime: float
    wall: float
    synchronised: bool


def elapsed(saved: Stamp, now: Stamp) -> float | None:
    """Seconds between two moments, None when no clock can tell.

    The same boot: CLOCK_BOOTTIME. Another boot: wall time, if it was synchronised at both moments.
    """
    if saved.boot_id and saved.boot_id == now.boot_id:
        return max(0.0, now.boottime - saved.boottime)
    if saved.synchronised and now.synchronised:
        return max(0.0, now.wall - saved.wall)
    return None


def left_after(length_s: float, saved_s: float, gone_s: float | None) -> float:
    """What is left of a lease after a restart, `saved_s` having been left when it was saved; it may be negative.

    Where no clock can tell how long ago that was, it was as long ago as it can have been while the gateway ran.
    """
    passed = length_s * SAVED_EVERY if gone_s is None else gone_s
    return min(saved_s, length_s) - passed


def countdown(left_s: float) -> int | None:
    """Whole seconds as a receipt shows them: None for no end, never negative, saturating."""
    return None if math.isinf(left_s) else min(max(math.ceil(left_s), 0), SATURATED_S)
