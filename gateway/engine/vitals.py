"""Once a second: staleness, ages, status words, the `source` resource and the header registers."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter

from gateway.addressing.builtin import LAYOUT_VERSION, MAGIC
from gateway.core.point import SOURCE_KIND, STATUS_POINTS
from gateway.core.value import BAD, GOOD, STALE, Quality, Sample, Value
from gateway.engine.commands import CommandDesk
from gateway.engine.inventory import Inventory, Resource, measured
from gateway.engine.poller import Poller
from gateway.engine.ports import Clock
from gateway.engine.table import BAD_AFTER, PointTable

FLAG_DRY_RUN = 2
HEARTBEAT_WRAPS = 0xFFFF
SOURCE_STALE_S = 15.0
QUALITY, TIME = itemgetter(1), itemgetter(3)
Watched = tuple[Callable[[Sequence[Sample]], tuple[Sample, ...]] | None, list[int]]
"""Points from every answer, picked at once (one index stands twice: one alone would give no tuple), and the others."""


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
        self._now = self._started
        self._beat = 0
        self._shown: dict[Resource, tuple[int | None, ...]] = {}
        self._watched: dict[Resource, Watched] = {}
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
        self._now = self._clock.monotonic()
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
        batch[index] = Sample(value, GOOD, "", self._now)

    def _condition(self, resource: Resource) -> tuple[Quality, float, bool]:
        """The worst quality of a resource's points, seconds since its newest answer, and whether any is fresh."""
        answered, others = self._watched.get(resource) or self._watch(resource)
        worst, newest, fresh = GOOD, -math.inf, False
        if answered is not None:
            samples = self._table.samples(answered)
            worst, newest = max(map(QUALITY, samples)), max(map(TIME, samples))
            fresh = min(map(QUALITY, samples)) is GOOD
        for index in others:
            spec, sample = self._table.specs[index], self._table.sample(index)
            if spec.optional and sample.time == -math.inf:
                continue
            worst = max(worst, sample.quality)
            if answered is None and spec.derive is None and spec.member_of is None:
                newest = max(newest, sample.time)
                fresh = fresh or sample.quality is GOOD
        return worst, self._now - newest, fresh

    def _watch(self, resource: Resource) -> Watched:
        """A resource's points, chosen once: those of its quickest reads, by which it is judged, and the others.

        A value read once a minute is fresh for minutes and would hide that the product is gone.
        """
        specs = self._table.specs
        points = measured(resource)
        read = [i for i in points if specs[i].derive is None and specs[i].member_of is None]
        life = {
            resource.indices[f"{name}.applied" if spec.command else name]: spec.stale_after_s
            for name, spec in resource.kind.points.items()
        }
        soonest = min((life[i] for i in read), default=0.0)
        answered = [i for i in read if not specs[i].optional and life[i] == soonest]
        others = [i for i in points if i not in answered]
        pick: Callable[[Sequence[Sample]], tuple[Sample, ...]] | None = None
        if answered:
            pick = itemgetter(*answered, answered[0])
        self._watched[resource] = (pick, others)
        return self._watched[resource]

    def _status(
        self, resource: Resource, quality: Quality, age_s: float, fresh: bool, batch: dict[int, Sample]
    ) -> None:
        seconds = int(age_s) if math.isfinite(age_s) else None
        values = (int(resource.present and fresh), int(quality), seconds)
        before = self._shown.get(resource, (None, None, -1))
        if values == before:
            return
        self._shown[resource] = values
        for name, value, old in zip(STATUS_POINTS, values, before, strict=True):
            index = resource.indices.get(name)
            if index is not None and value != old:
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
        quality = GOOD if health.connected else STALE if age <= BAD_AFTER * SOURCE_STALE_S else BAD
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
            "points_bad": min(len(self._table.bad()), 0xFFFE),
            "alarms_active": self.alarms_active(),
            "flags": FLAG_DRY_RUN if self._desk.policy.dry_run else 0,
            "version": self._version,
        }
        for name, value in values.items():
            self._put(batch, self.header.indices[name], value)

    def alarms_active(self) -> int:
        """What a person should look at: sources that are down, resources in trouble, commands not in force."""
        down = sum(not poller.health.connected for poller in self.pollers.values())
        trouble = sum(bool(resource.trouble) for resource in self._inventory.resources.values())
        return down + trouble + self._desk.alarms() + sum(map(bool, self._inventory.unassigned.values()))
