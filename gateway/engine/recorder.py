"""Records the histories of points: at each multiple of a period of local time, or whenever a value changes.

Rules of this file: a bad value is recorded as none, never as 0, and so is what a person forced and what follows from
it, for a trend tells what was measured; wherever values may be missing, a note says so; the
disk is never waited for, and a record that found no room leaves a note and no hole in the numbers.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import structlog

from gateway.addressing import PlacedPoint
from gateway.core.trend import Note, Recorded
from gateway.core.value import BAD, GOOD, STALE, Quality, ValueKind
from gateway.engine.alarms import Alarms
from gateway.engine.history import Archive, Held, Log
from gateway.engine.ports import Clock
from gateway.engine.resource import Resource
from gateway.engine.table import PointTable

FAULT, MENDED = "history.fault", "history.mended"
SAVE_EVERY_S = 10.0
"""What a killed process loses at most."""
CLOCK_STEP_S = 1.0
"""A clock that moved by more than this was set."""
LATE_S = 5.0
"""A value taken later than this is not that of the period's begin."""
log = structlog.get_logger("history")


@dataclass(slots=True)
class _Period:
    """All logs of one period, and when (Unix time) the next value is due."""

    every_s: float
    due: float
    logs: dict[int, Log] = field(default_factory=dict)


class Recorder:
    """Implements `engine.history.History`; nothing is recorded before `open`."""

    def __init__(self, table: PointTable, clock: Clock, archive: Archive, alarms: Alarms) -> None:
        self._table, self._clock, self._archive, self._alarms = table, clock, archive, alarms
        self._logs: dict[int, Log] = {}
        self._by_key: dict[str, Log] = {}
        self._periods: dict[float, _Period] = {}
        self._changing: dict[int, Log] = {}
        self._owed: dict[int, Log] = {}
        self._held: dict[str, Held] = {}
        self._open = False
        self._monotonic, self._wall, self._local = clock.monotonic(), clock.wall(), self._local_time()
        self._save_at = clock.monotonic() + SAVE_EVERY_S
        table.subscribe(self._changed)

    # -- life ------------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Takes up what the last run left; nothing is recorded while the disk does not let it, and an alarm says so."""
        held = await self._archive.open()
        if held is None:
            return
        self._held, self._open = dict(held), True
        for each in self._logs.values():
            self._resume(each)

    async def run(self) -> None:
        """Records until cancelled."""
        while True:
            if not self._open and self._clock.monotonic() >= self._save_at:
                self._save_at = self._clock.monotonic() + SAVE_EVERY_S
                await self.open()
            self.tick()
            await asyncio.sleep(self._rest_s())

    async def close(self) -> None:
        """Writes what waits."""
        await self._archive.close()

    def tick(self) -> None:
        """What is due now; call at least once a second."""
        now, wall = self._clock.monotonic(), self._clock.wall()
        self._watch_clock(now, wall)
        self._settle(wall)
        for period in self._periods.values():
            if wall >= period.due:
                self._sample(period, wall)
        if self._open and now >= self._save_at:
            self._save_at = now + SAVE_EVERY_S
            self._archive.save()

    def _rest_s(self) -> float:
        due = min((period.due for period in self._periods.values()), default=math.inf)
        return min(max(due - self._clock.wall(), 0.0) + 0.002, 1.0)

    # -- what the archive tells ------------------------------------------------------------------------------------

    def on_fault(self, reason: str) -> None:
        """The disk does not take what was recorded, "": it does again."""
        if reason:
            text = f"histories are not saved ({reason}); see to the disk of state_dir, it is tried again every 10 s"
            self._alarms.set(FAULT, text)
        else:
            self._alarms.clear(FAULT)

    def on_lost(self, reason: str) -> None:
        """What was kept is gone: all logs begin anew, and their numbers go on."""
        log.critical("history.lost", reason=reason)
        self._alarms.set(MENDED, f"{reason}; the histories of all points begin anew")
        self._held.clear()
        for each in self._by_key.values():
            each.first = each.last + 1
            each.gap = True
        self._owed.update(self._changing)

    # -- which points ----------------------------------------------------------------------------------------------

    def learn(self, resource: Resource, points: Sequence[tuple[int, PlacedPoint]]) -> None:
        """Takes the trends of a resource's points; what was known before goes on, a trend that changed with a note.

        The log belongs to the resource's block: it survives another name and another id, as its addresses do.
        """
        for index, placed in points:
            trend = placed.spec.trend
            if trend is None or resource.block is None:
                self.forget([index])
                continue
            key = f"{resource.source}/{resource.kind.name}/{resource.block}/{placed.spec.name}"
            known = self._by_key.get(key)
            if known is None:
                known = self._by_key[key] = Log(key, index, trend, placed.spec.kind is ValueKind.BOOL)
                self._begin(known)
            elif self._logs.get(index) is not known or known.spec != trend:
                self._drop(known)
                known.gap |= (known.spec.every_s, known.spec.buffer) != (trend.every_s, trend.buffer)
                known.index, known.spec, known.is_bool = index, trend, placed.spec.kind is ValueKind.BOOL
                self._begin(known)

    def forget(self, indices: Iterable[int]) -> None:
        """Points that are there no more, or have no trend any more; their records stay, should they come back."""
        for index in indices:
            each = self._logs.get(index)
            if each is not None:
                self._drop(each)
                each.gap = True

    def _begin(self, each: Log) -> None:
        self._logs[each.index] = each
        every_s = each.spec.every_s
        if every_s is None:
            self._changing[each.index] = self._owed[each.index] = each
        else:
            period = self._periods.get(every_s)
            if period is None:
                period = self._periods[every_s] = _Period(every_s, self._next(every_s))
            period.logs[each.index] = each
        if self._open:
            self._resume(each)

    def _drop(self, each: Log) -> None:
        self._logs.pop(each.index, None)
        self._changing.pop(each.index, None)
        for period in self._periods.values():
            period.logs.pop(each.index, None)

    def _resume(self, each: Log) -> None:
        """Goes on where the last run ended; what it missed meanwhile is a gap."""
        held = self._held.pop(each.key, None)
        if held is not None and each.last == 0:
            each.first, each.last, each.enabled, each.gap = *held, held.enabled
        if each.enabled and each.gap:
            self._note(each, Note.INTERRUPTED, self._clock.wall())

    def _settle(self, wall: float) -> None:
        """An on-change log that begins anew begins with the value there is."""
        owed, self._owed = self._owed, {}
        for index, each in owed.items():
            if self._table.seen(index) and self._changing.get(index) is each:
                self._take(each, wall, only_news=True)

    # -- recording -------------------------------------------------------------------------------------------------

    def _sample(self, period: _Period, wall: float) -> None:
        """Takes the values of a period's begin, unless it is over for too long."""
        late = wall - period.due > LATE_S
        for each in period.logs.values():
            if late:
                each.gap = True
            else:
                self._take(each, period.due)
        period.due = self._next(period.every_s)

    def _next(self, every_s: float) -> float:
        """The next multiple of a period in local time, as Unix time; a day begins at local midnight."""
        wall = self._clock.wall()
        local = self._local_time()
        return round(wall + ((local // every_s + 1) * every_s - local), 2)

    def _local_time(self) -> float:
        wall = self._clock.wall()
        return wall + time.localtime(wall).tm_gmtoff

    def _watch_clock(self, now: float, wall: float) -> None:
        """A clock that was set, or put to or from summer time, is a note in every log (clause 12.25.14)."""
        local, passed = self._local_time(), now - self._monotonic
        step, was_set = local - self._local - passed, abs(wall - self._wall - passed) >= CLOCK_STEP_S
        self._monotonic, self._wall, self._local = now, wall, local
        if abs(step) < CLOCK_STEP_S:
            return
        for each in self._logs.values():
            self._note(each, Note.TIME_CHANGE, wall, round(step, 2))
        for period in self._periods.values():
            if was_set or wall < period.due:
                period.due = self._next(period.every_s)

    def _changed(self, indices: Sequence[int]) -> None:
        changing = self._changing
        if not changing:
            return
        for index in indices:
            if index in changing:
                self._take(changing[index], self._clock.wall(), only_news=True)

    def _take(self, each: Log, at: float, *, only_news: bool = False) -> None:
        """Records what the table shows; a commandable point always shows what is asked."""
        table = self._table
        spec, sample = table.specs[each.index], table.sample(each.index)
        value, quality = sample.value, sample.quality
        unknown = spec.kind is ValueKind.ENUM and value == 0
        usable = (quality <= STALE or spec.command is not None) and not unknown and not table.is_doubtful(each.index)
        if not usable or value is None or isinstance(value, str) or not math.isfinite(value):
            value, quality = None, max(quality, BAD)
        if only_news and each.shown == (value, quality):
            return
        if self._add(each, at, value, quality):
            each.shown = (value, quality)

    def _note(self, each: Log, note: Note, at: float, value: float | None = None) -> None:
        if each.enabled or note is Note.STOPPED or note is Note.PURGED:
            self._add(each, at, value, GOOD if note is Note.TIME_CHANGE else BAD, note)

    def _add(self, each: Log, at: float, value: float | None, quality: Quality, note: Note = Note.VALUE) -> bool:
        """Gives a record the next number; a gap before it is told first."""
        if not self._open or (note is Note.VALUE and not each.enabled):
            return False
        if each.gap and note is not Note.INTERRUPTED and not self._add(each, at, None, BAD, Note.INTERRUPTED):
            return False
        first = max(each.first, each.last + 2 - each.spec.buffer)
        record = Recorded(each.last + 1, round(at, 2), value, quality, note)
        if not self._archive.append(each.key, record, first):
            each.gap = True
            return False
        each.last, each.first, each.gap, each.shown = record.seq, first, False, None
        return True

    # -- for readers (engine.history.History) ----------------------------------------------------------------------

    def log(self, index: int) -> Log | None:
        return self._logs.get(index)

    def logs(self) -> Sequence[Log]:
        return list(self._logs.values())

    def switch(self, each: Log, *, enabled: bool, by: str) -> None:
        if each.enabled == enabled:
            return
        log.warning("trend.switched", point=self._table.names[each.index], enabled=enabled, by=by)
        each.enabled = enabled
        self._archive.switch(each.key, enabled=enabled)
        self._note(each, Note.STARTED if enabled else Note.STOPPED, self._clock.wall())
        self._owe(each)

    def purge(self, each: Log, *, by: str) -> None:
        log.warning("trend.purged", point=self._table.names[each.index], records=each.count, by=by)
        each.first, each.gap = each.last + 1, False
        self._note(each, Note.PURGED, self._clock.wall())
        self._owe(each)

    def _owe(self, each: Log) -> None:
        if each.index in self._changing:
            self._owed[each.index] = each

    async def records(self, each: Log, first: int, last: int) -> list[Recorded]:
        first, last = max(first, each.first), min(last, each.last)
        return self._shaped(each, await self._archive.records(each.key, first, last)) if first <= last else []

    async def seek(self, each: Log, at: float, *, newer: bool) -> int | None:
        return await self._archive.seek(each.key, each.first, at, newer=newer)

    async def read(self, point: int | str, since: float, until: float, limit: int) -> list[Recorded]:
        index = self._table.find(point) if isinstance(point, str) else point
        each = self._logs.get(index) if index is not None else None
        if each is None or limit < 1:
            return []
        return self._shaped(each, await self._archive.window(each.key, each.first, since, until, limit))

    @staticmethod
    def _shaped(each: Log, records: list[Recorded]) -> list[Recorded]:
        """A file knows no booleans."""
        if not each.is_bool:
            return records
        return [r if r.value is None or r.note is not Note.VALUE else r._replace(value=bool(r.value)) for r in records]
