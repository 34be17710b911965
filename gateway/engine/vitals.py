"""Once a second: staleness, ages, status words, the `source` resource and the header registers."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import structlog

from gateway.addressing.builtin import HEARTBEAT, HEARTBEAT_AGE, LAYOUT_VERSION, MAGIC
from gateway.core.circuit import SOURCE_CODES
from gateway.core.point import SOURCE_KIND
from gateway.core.value import BAD, GOOD, STALE, Sample, Value
from gateway.engine.commands import CommandDesk
from gateway.engine.conditions import Conditions
from gateway.engine.inventory import Inventory, Resource
from gateway.engine.poller import Poller
from gateway.engine.ports import BootClock
from gateway.engine.table import BAD_AFTER, PointTable

BACNET_GROUP = "bacnet"
"""Whose heartbeat the table holds; the Modbus server answers each of its groups with its own."""
HEARTBEAT_WRAPS = 0xFFFF
SATURATED = 0xFFFE
"""The largest value of 16 bits; 0xFFFF says that there is none."""
SOURCE_STALE_S = 15.0
SLEPT_S = 5.0
"""By how much CLOCK_BOOTTIME must have gained on the monotonic clock between two ticks to be called a suspension."""
CERTIFICATE_WARN_S = 30 * 86400.0
log = structlog.get_logger("vitals")


class Vitals:
    """What the gateway says about itself and its sources."""

    def __init__(
        self,
        table: PointTable,
        inventory: Inventory,
        desk: CommandDesk,
        clock: BootClock,
        *,
        version: str,
        map_hash: Callable[[], int],
    ) -> None:
        self._table, self._inventory, self._desk, self._clock = table, inventory, desk, clock
        self._version, self._map_hash = version, map_hash
        self._started = clock.monotonic()
        self._ahead_s = clock.boottime() - clock.monotonic()
        self._now = self._started
        self._beat = 0
        self._conditions = Conditions(table)
        self._ending: dict[str, float] = {}
        self.header: Resource | None = None
        self.pollers: Mapping[str, Poller] = {}

    def forget(self) -> None:
        """Resources have other points now."""
        self._conditions.forget()

    @property
    def uptime_s(self) -> float:
        """Seconds since start."""
        return self._clock.monotonic() - self._started

    async def run(self) -> None:
        """Ticks each second until cancelled."""
        while True:
            self.tick()
            await asyncio.sleep(1.0)

    def tick(self) -> None:
        """One second's work, in one synchronous step after staleness was judged."""
        self._now = self._clock.monotonic()
        self._wake_up()
        self._beat = (self._beat + 1) % HEARTBEAT_WRAPS
        self._table.tick()
        self._desk.tick()
        self._warn_of_certificates()
        batch: dict[int, Sample] = {}
        for resource in self._inventory.resources.values():
            if resource.kind.name == SOURCE_KIND:
                self._source(resource, batch)
            elif resource is not self.header:
                self._conditions.judge(resource, self._now, batch)
        self._header(batch)
        self._table.update(batch.items())

    def _wake_up(self) -> None:
        """A machine that was suspended is as an outage of that length: nothing it knew is fresh (FAULTS H08)."""
        ahead_s = self._clock.boottime() - self._clock.monotonic()
        slept_s, self._ahead_s = ahead_s - self._ahead_s, ahead_s
        if slept_s < SLEPT_S:
            return
        log.warning("machine.slept", seconds=round(slept_s))
        for poller in self.pollers.values():
            if poller.health.last_good is not None:
                poller.health.last_good -= slept_s
        self._table.slept(slept_s)
        self._desk.slept(slept_s)

    def _put(self, batch: dict[int, Sample], index: int, value: Value | None) -> None:
        batch[index] = Sample(value, GOOD, "", self._now)

    def _source(self, resource: Resource, batch: dict[int, Sample]) -> None:
        poller = self.pollers.get(resource.source)
        if poller is None:
            return
        health, now = poller.health, self._clock.monotonic()
        age = math.inf if health.last_good is None else now - health.last_good
        session = poller.source.session_age_s if health.connected else None
        values: dict[str, Value | None] = {
            "connected": health.connected,
            "session_age_s": None if session is None else int(session),
            "last_good": int(age) if math.isfinite(age) else None,
            "poll_ms": None if health.poll_ms is None else round(health.poll_ms),
            "errors": health.errors,
            "state": SOURCE_CODES[health.state],
            "retry_in_s": None if health.next_try is None else min(max(math.ceil(health.next_try - now), 0), SATURATED),
            "overruns": min(health.overruns, SATURATED),
            "relogins": health.relogins,
            "reason": health.reason,
        }
        for name, value in values.items():
            self._put(batch, resource.indices[name], value)
        quality = GOOD if health.connected else STALE if age <= BAD_AFTER * SOURCE_STALE_S else BAD
        self._conditions.show(resource, quality, age, health.connected, self._now, batch)
        if self.header is not None and f"{resource.source}.quality" in self.header.indices:
            self._put(batch, self.header.indices[f"{resource.source}.quality"], int(quality))
            seconds = min(int(age), SATURATED) if math.isfinite(age) else None
            self._put(batch, self.header.indices[f"{resource.source}.age_s"], seconds)

    def _header(self, batch: dict[int, Sample]) -> None:
        if self.header is None:
            return
        good = sum(poller.health.connected for poller in self.pollers.values())
        beat, beat_age_s = self._desk.heartbeat_of(BACNET_GROUP)
        values: dict[str, Value | None] = {
            "magic": MAGIC,
            "layout_version": LAYOUT_VERSION,
            "map_hash": self._map_hash(),
            "map_hash_text": f"{self._map_hash():016x}",
            "heartbeat": self._beat,
            "uptime_s": int(self.uptime_s),
            "sources_good": good,
            "sources_total": len(self.pollers),
            "points_bad": min(len(self._table.bad()), SATURATED),
            "alarms_active": self.alarms_active(),
            "flags": self._flags(),
            HEARTBEAT: beat,
            HEARTBEAT_AGE: None if beat_age_s is None else min(int(beat_age_s), SATURATED),
            "version": self._version,
        }
        for name, value in values.items():
            self._put(batch, self.header.indices[name], value)

    def show_flags(self) -> None:
        """The flags at once, for no answer may overtake the persistence fault (C16)."""
        if self.header is not None:
            sample = Sample(self._flags(), GOOD, "", self._clock.monotonic())
            self._table.update([(self.header.indices["flags"], sample)])

    def _flags(self) -> int:
        """The bits that `addressing.builtin.FLAGS` names."""
        desk = self._desk
        bits = (
            bool(desk.fault),
            desk.policy.dry_run,
            desk.policy.read_only,
            bool(desk.masked()),
            self._table.any_forced,
        )
        return sum(bit << place for place, bit in enumerate(bits))

    def alarms_active(self) -> int:
        """What a person should look at: sources that are down, resources in trouble, commands not in force."""
        down = sum(not poller.health.connected for poller in self.pollers.values())
        trouble = sum(bool(r.trouble) and not r.dismissed for r in self._inventory.resources.values())
        trouble += len(self.certificates_ending())
        return down + trouble + self._desk.alarms() + sum(map(bool, self._inventory.unassigned.values()))

    def certificates_ending(self) -> dict[str, float]:
        """When certificates that have less than 30 days left end, Unix time, by source."""
        soon = self._clock.wall() + CERTIFICATE_WARN_S
        ends = {name: poller.source.certificate_ends for name, poller in self.pollers.items()}
        return {name: end for name, end in ends.items() if end is not None and end < soon}

    def _warn_of_certificates(self) -> None:
        """One line per certificate, not one per second."""
        ending = self.certificates_ending()
        for name, end in ending.items():
            if self._ending.get(name) != end:
                day = datetime.fromtimestamp(end, UTC).date().isoformat()
                days = int((end - self._clock.wall()) // 86400)
                log.warning("certificate.ends_soon", source=name, ends=day, days=days)
        self._ending = ending
