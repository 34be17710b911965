"""Once a second: staleness, ages, status words, the `source` resource and the header registers."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping

from gateway.addressing.builtin import LAYOUT_VERSION, MAGIC
from gateway.core.point import SOURCE_KIND
from gateway.core.value import BAD, GOOD, STALE, Quality, Sample, Value
from gateway.engine.commands import CommandDesk
from gateway.engine.inventory import Inventory, Resource, measured
from gateway.engine.poller import Poller
from gateway.engine.ports import Clock
from gateway.engine.table import PointTable

FLAG_DRY_RUN = 2
HEARTBEAT_WRAPS = 0xFFFF


class Vitals:
    """What the gateway says about itself and its sources."""

    def __init__(
        self,
        table: PointTable,
        inventory: Inventory,
        desk: CommandDesk,
        clock: Clock,
        *,
        version: str,
        map_hash: Callable[[], int],
    ) -> None:
        self._table, self._inventory, self._desk, self._clock = table, inventory, desk, clock
        self._version, self._map_hash = version, map_hash
        self._started = clock.monotonic()
        self._beat = 0
        self.header: Resource | None = None
        self.pollers: Mapping[str, Poller] = {}

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
        self._beat = (self._beat + 1) % HEARTBEAT_WRAPS
        self._table.tick()
        self._desk.tick()
        batch: dict[int, Sample] = {}
        for resource in self._inventory.resources.values():
            if resource.kind.name == SOURCE_KIND:
                self._source(resource, batch)
            elif resource is not self.header:
                self._status(resource, *self._condition(resource), batch)
        self._header(batch)
        self._table.update(batch.items())

    def _put(self, batch: dict[int, Sample], index: int, value: Value | None) -> None:
        batch[index] = Sample(value, GOOD, "", self._clock.monotonic())

    def _condition(self, resource: Resource) -> tuple[Quality, float, bool]:
        """The worst quality of a resource's points, seconds since its newest answer, and whether any is fresh."""
        worst, newest, fresh = GOOD, -math.inf, False
        sample_of, specs = self._table.sample, self._table.specs
        for index in measured(resource):
            spec, sample = specs[index], sample_of(index)
            if spec.optional and sample.time == -math.inf:
                continue
            worst = max(worst, sample.quality)
            if spec.derive is None and spec.member_of is None:
                newest = max(newest, sample.time)
                fresh = fresh or sample.quality is GOOD
        return worst, self._clock.monotonic() - newest, fresh

    def _status(
        self, resource: Resource, quality: Quality, age_s: float, fresh: bool, batch: dict[int, Sample]
    ) -> None:
        online = resource.present and fresh
        rows: tuple[tuple[str, Value | None], ...] = (
            ("status.online", int(online)),
            ("status.quality", int(quality)),
            ("status.age_s", int(age_s) if math.isfinite(age_s) else None),
        )
        for name, value in rows:
            index = resource.indices.get(name)
            if index is not None:
                self._put(batch, index, value)

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
        }
        for name, value in values.items():
            self._put(batch, resource.indices[name], value)
        quality = GOOD if health.connected else STALE if math.isfinite(age) else BAD
        self._status(resource, quality, age, health.connected, batch)
        if self.header is not None and f"{resource.source}.quality" in self.header.indices:
            self._put(batch, self.header.indices[f"{resource.source}.quality"], int(quality))
            seconds = min(int(age), 0xFFFE) if math.isfinite(age) else None
            self._put(batch, self.header.indices[f"{resource.source}.age_s"], seconds)

    def _header(self, batch: dict[int, Sample]) -> None:
        if self.header is None:
            return
        good = sum(poller.health.connected for poller in self.pollers.values())
        values: dict[str, Value] = {
            "magic": MAGIC,
            "layout_version": LAYOUT_VERSION,
            "map_hash": self._map_hash(),
            "heartbeat": self._beat,
            "uptime_s": int(self.uptime_s),
            "sources_good": good,
            "sources_total": len(self.pollers),
            "points_bad": min(self.points_bad(), 0xFFFE),
            "alarms_active": self.alarms_active(),
            "flags": FLAG_DRY_RUN if self._desk.policy.dry_run else 0,
            "version": self._version,
        }
        for name, value in values.items():
            self._put(batch, self.header.indices[name], value)

    def points_bad(self) -> int:
        """Served points without a usable value; optional ones that were never seen do not count."""
        table = self._table
        return sum(
            1
            for index, spec in enumerate(table.specs)
            if table.sample(index).quality > STALE and not (spec.optional and not table.seen(index))
        )

    def alarms_active(self) -> int:
        """What a person should look at: sources that are down, resources in trouble, commands not in force."""
        down = sum(not poller.health.connected for poller in self.pollers.values())
        trouble = sum(bool(resource.trouble) for resource in self._inventory.resources.values())
        return down + trouble + self._desk.alarms() + sum(map(bool, self._inventory.unassigned.values()))
