"""Tells systemd in words how the site is, and feeds its watchdog only while every loop goes on (FAULTS H10).

Rules of this file: a loop shows that it goes on by a pulse that changes; one that hangs is named in the journal, once,
and from then on nothing feeds the watchdog until it goes on again, so that systemd restarts the gateway.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from gateway.app.listeners import Listeners
from gateway.app.plant import Plant
from gateway.app.reloaded import ALARM as RELOAD
from gateway.engine.ports import Clock
from gateway.systemd import notify, watchdog_s

WITHIN_S = 20.0
POLLER_WITHIN_S = 120.0
"""A poller's turn may be one request of 10 s for each of some kinds."""
LOOK_S = 5.0
FEEDS = 3.0
"""How often the watchdog is fed within its time: one look that comes late is no reason for a restart."""
log = structlog.get_logger("watchdog")


@dataclass(frozen=True, slots=True)
class Loop:
    """One loop of the gateway: `pulse` is another value after each turn, which comes within `within_s` seconds."""

    pulse: Any
    within_s: float


class Watchdog:
    """Looks at the loops while it runs.

    Args:
        clock: its monotonic time does not count a suspended machine, and neither does systemd's.
        loops: every loop there is now, by name.
        words: one line on how the site is.
        tell: `systemd.notify`.
        limit_s: `systemd.watchdog_s`, None when nobody wants to be fed.
    """

    def __init__(
        self,
        clock: Clock,
        loops: Callable[[], Mapping[str, Loop]],
        words: Callable[[], str],
        tell: Callable[[str], bool],
        limit_s: float | None,
    ) -> None:
        self._clock, self._loops, self._words, self._tell, self._limit_s = clock, loops, words, tell, limit_s
        self._seen: dict[str, tuple[Any, float]] = {}
        self._stuck: frozenset[str] = frozenset()
        self._said = ""

    async def run(self) -> None:
        """Looks often enough until cancelled."""
        wait_s = LOOK_S if self._limit_s is None else min(LOOK_S, self._limit_s / FEEDS)
        while True:
            self.look()
            await asyncio.sleep(wait_s)

    def look(self) -> None:
        """One look: says what has changed, and feeds the watchdog if nothing hangs."""
        stuck = self._hanging()
        for name in sorted(stuck - self._stuck):
            log.critical("watchdog.loop_hangs", loop=name, seconds=round(self._quiet_s(name)))
        for name in sorted(self._stuck - stuck):
            log.warning("watchdog.loop_goes_on", loop=name)
        self._stuck = stuck
        said = f"hangs: {', '.join(sorted(stuck))}" if stuck else self._words()
        if said != self._said and self._tell(f"STATUS={said}"):
            self._said = said
        if self._limit_s is not None and not stuck:
            self._tell("WATCHDOG=1")

    def _hanging(self) -> frozenset[str]:
        """The loops whose pulse has not changed for longer than they may take."""
        now, loops = self._clock.monotonic(), self._loops()
        self._seen = {name: seen for name, seen in self._seen.items() if name in loops}
        for name, loop in loops.items():
            if name not in self._seen or self._seen[name][0] != loop.pulse:
                self._seen[name] = loop.pulse, now
        return frozenset(name for name, loop in loops.items() if self._quiet_s(name) > loop.within_s)

    def _quiet_s(self, name: str) -> float:
        return self._clock.monotonic() - self._seen[name][1]


def site_loops(plant: Plant, listeners: Listeners) -> dict[str, Loop]:
    """What has to go on in a running site: its pollers, its command path and its servers."""
    found = {f"poller {name}": Loop(it.health.turns, POLLER_WITHIN_S) for name, it in plant.pollers.items()}
    found["commands"] = Loop(plant.desk.turns, WITHIN_S)
    if listeners.modbus is not None:
        found["Modbus"] = Loop(listeners.modbus.pulse, WITHIN_S)
    if listeners.bacnet is not None:
        found["BACnet"] = Loop(listeners.bacnet.turns, WITHIN_S)
    return found


def site_words(plant: Plant) -> str:
    """How a running site is, in one line."""
    good, alarms = sum(poller.health.connected for poller in plant.pollers.values()), plant.vitals.alarms_active()
    told = f"{alarms} alarm{'s' * (alarms != 1)}, see evce-gateway status" if alarms else "no alarm"
    refused = " ".join((plant.alarms.text(RELOAD) or "").split())
    words = ["serving", f"{good} of {len(plant.pollers)} sources connected", told, *([refused] if refused else [])]
    return "; ".join(words)


def site_watchdog(plant: Plant, listeners: Listeners) -> Watchdog:
    """The watchdog of a running site, as systemd asks for it."""
    return Watchdog(plant.clock, lambda: site_loops(plant, listeners), lambda: site_words(plant), notify, watchdog_s())


__all__ = ["Loop", "Watchdog", "site_loops", "site_watchdog", "site_words"]
