"""A recorder over a real archive, with time that is moved by hand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.addressing import PlacedPoint
from gateway.core.point import KindSpec, PointSpec
from gateway.core.trend import Note, Recorded, TrendSpec
from gateway.core.value import GOOD, Quality, Sample, Value, ValueKind
from gateway.engine.alarms import Alarms
from gateway.engine.recorder import Recorder
from gateway.engine.resource import Resource
from gateway.engine.table import PointTable
from gateway.store.database import connect
from gateway.store.history import SqliteHistory

MIDNIGHT = time.mktime((2026, 3, 2, 0, 0, 0, 0, 0, -1))
ZONE = KindSpec("zone", None, None, None, {}, {}, None, None)
EACH_MINUTE, EACH_CHANGE = TrendSpec(60.0, buffer=10), TrendSpec(None, buffer=10)


class Hands:
    """A clock: both times move together unless somebody sets the wall clock."""

    def __init__(self) -> None:
        self.now, self.offset = 1000.0, MIDNIGHT - 1000.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now + self.offset


def point(name: str, trend: TrendSpec | None, kind: ValueKind = ValueKind.NUMBER, **more: Any) -> PointSpec:
    return PointSpec(name=name, kind=kind, trend=trend, **more)


@dataclass
class Past:
    """One life of a gateway, as far as histories go."""

    clock: Hands
    table: PointTable
    archive: SqliteHistory
    recorder: Recorder
    alarms: Alarms

    def learn(self, spec: PointSpec, *, name: str = "Zone B", block: int | None = 3) -> int:
        """A point of a zone, placed; returns its index."""
        full = f"evce/zone/{name}/{spec.name}"
        index = self.table.find(full)
        if index is None:
            index = self.table.add(full, spec)
        else:
            self.table.specs[index] = spec
        resource = Resource("evce", ZONE, name, "1", None, block=block)
        self.recorder.learn(resource, [(index, PlacedPoint(full, spec, (), ()))])
        return index

    def set(self, index: int, value: Value | None, quality: Quality = GOOD, reason: str = "") -> None:
        self.table.update([(index, Sample(value, quality, reason, self.clock.now))])

    def pass_time(self, seconds: float) -> None:
        """Second by second, as the daemon ticks."""
        for _ in range(round(seconds)):
            self.clock.now += 1
            self.recorder.tick()

    async def records(self, index: int) -> list[Recorded]:
        log = self.recorder.log(index)
        assert log is not None
        return await self.recorder.records(log, 1, log.last)

    async def values(self, index: int) -> list[Any]:
        """Values, and notes by name."""
        return [r.value if r.note is Note.VALUE else r.note.name for r in await self.records(index)]

    async def saved(self) -> None:
        """Waits until the disk has everything."""

        def done() -> bool:
            self.archive.save()
            return self.archive._writing is None and not self.archive._count

        await until(done)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


async def live(
    folder: Path, clock: Hands | None = None, *, connect: Callable[[Path], Any] = connect, **more: Any
) -> Past:
    """A gateway begins on this folder."""
    clock = clock or Hands()
    table, alarms = PointTable(clock), Alarms()
    archive = SqliteHistory(folder, connect=connect, **more)
    recorder = Recorder(table, clock, archive, alarms)
    archive.on_fault, archive.on_lost = recorder.on_fault, recorder.on_lost
    await recorder.open()
    return Past(clock, table, archive, recorder, alarms)


__all__ = ["EACH_CHANGE", "EACH_MINUTE", "MIDNIGHT", "Hands", "Past", "live", "point", "until"]
