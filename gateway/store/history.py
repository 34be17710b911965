"""The archive of histories: what was recorded waits in memory for one thread that writes it in batches.

Rules of this file: everything here happens in the loop's thread, everything the disk does in the other; a record stays
in memory until the disk has it, so a reader sees it in one of the two; what waits is bounded.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from gateway.core.trend import Note, Recorded
from gateway.engine.history import Held
from gateway.store.database import Connect, connect
from gateway.store.history_file import Batch, Damaged, HistoryFile

MOST_WAITING = 50_000
"""Records in memory, some 15 MB, while the disk takes none."""
CLOSE_S = 2.0
GAPS = (Note.VALUE, Note.INTERRUPTED, Note.STOPPED)
T = TypeVar("T")


class SqliteHistory:
    """Implements `engine.history.Archive` in a state directory whose lock is held.

    Attributes:
        on_fault: called with why the disk does not take what waits, and with "" when it does again.
        on_lost: called with what happened when everything that was kept is gone.
    """

    def __init__(self, folder: Path, *, connect: Connect = connect, most_waiting: int = MOST_WAITING) -> None:
        self._file = HistoryFile(folder, connect)
        self._most_waiting = most_waiting
        self.on_fault: Callable[[str], None] = _nobody
        self.on_lost: Callable[[str], None] = _nobody
        self._worker: _Worker | None = None
        self._numbers: dict[str, int] = {}
        self._newest = 0
        self._unwritten: dict[str, bool] = {}
        self._enabled: dict[str, bool] = {}
        self._waiting: dict[str, list[Recorded]] = {}
        self._count = 0
        self._cuts: dict[str, int] = {}
        self._era = 0
        self._faulty = False
        self._writing: asyncio.Future[None] | None = None

    # -- life ------------------------------------------------------------------------------------------------------

    async def open(self) -> Mapping[str, Held] | None:
        self._worker = self._worker or _Worker()
        try:
            found = await self._worker.do(self._file.open)
        except (OSError, sqlite3.Error, Damaged) as error:
            self._fault(str(error))
            return None
        self._fault("")
        self._numbers = {key: number for key, (number, _) in found.logs.items()}
        self._newest = max(self._numbers.values(), default=0)
        self._enabled = {key: held.enabled for key, (_, held) in found.logs.items()}
        if found.damage:
            self.on_lost(found.damage)
        return {key: held for key, (_, held) in found.logs.items()}

    async def close(self) -> None:
        worker, self._worker = self._worker, None
        if worker is None:
            return
        try:
            async with asyncio.timeout(CLOSE_S):
                if self._writing is not None:
                    await asyncio.wait([self._writing])
                batch = self._batch()
                if batch.records or batch.logs:
                    await worker.do(lambda: self._file.take(batch))
                await worker.do(self._file.close)
        except (TimeoutError, OSError, sqlite3.Error, Damaged) as error:
            self._fault(str(error) or "the disk was too slow")
        worker.stop()

    # -- writing ---------------------------------------------------------------------------------------------------

    def append(self, key: str, record: Recorded, first: int) -> bool:
        if self._count >= self._most_waiting:
            return False
        if key not in self._numbers:
            self._newest += 1
            self._numbers[key] = self._newest
            self._unwritten[key] = self._enabled.setdefault(key, True)
        self._waiting.setdefault(key, []).append(record)
        self._count += 1
        if first > 1:
            self._cuts[key] = first
        return True

    def switch(self, key: str, *, enabled: bool) -> None:
        self._enabled[key] = enabled
        if key in self._numbers:
            self._unwritten[key] = enabled

    def save(self) -> None:
        if self._worker is None or self._writing is not None or not (self._count or self._unwritten):
            return
        batch, counts = self._batch(), {key: len(records) for key, records in self._waiting.items()}
        switched, era = dict(self._unwritten), self._era
        self._writing = self._worker.do(lambda: self._file.take(batch))
        self._writing.add_done_callback(lambda done: self._written(done, counts, switched, era))

    def _batch(self) -> Batch:
        numbers = self._numbers
        return Batch(
            [(numbers[key], key, enabled) for key, enabled in self._unwritten.items()],
            [(numbers[key], record) for key, records in self._waiting.items() for record in records],
            [(numbers[key], first) for key, first in self._cuts.items()],
        )

    def _written(
        self, done: asyncio.Future[None], counts: Mapping[str, int], switched: Mapping[str, bool], era: int
    ) -> None:
        """A batch is on the disk: what it held need not wait any more. One that failed is tried with the next."""
        self._writing = None
        error = done.exception() if not done.cancelled() else None
        if isinstance(error, Damaged):
            self._lose(error, era)
        elif error is not None:
            self._fault(str(error))
        elif era == self._era:  # else the file it went to was set aside since
            for key, count in counts.items():
                records = self._waiting.get(key, [])
                del records[:count]
                self._count -= count
                if not records:
                    self._waiting.pop(key, None)
                    self._cuts.pop(key, None)
            for key, enabled in switched.items():
                if self._unwritten.get(key) == enabled:
                    del self._unwritten[key]
            self._fault("")

    def _fault(self, reason: str) -> None:
        if reason or self._faulty:
            self._faulty = bool(reason)
            self.on_fault(reason)

    def _lose(self, why: Damaged, era: int) -> None:
        """The file was damaged while it was in use: a new one is begun, and every log with it.

        `era` is when the work began that found it: what that file did is told once.
        """
        if era != self._era:
            return
        if self._worker is not None:
            self._worker.do(lambda: self._file.set_aside(str(why))).add_done_callback(lambda done: done.exception())
        self._era += 1
        self._waiting.clear()
        self._cuts.clear()
        self._count = 0
        self._unwritten = {key: self._enabled.get(key, True) for key in self._numbers}
        self.on_lost(f"{self._file.path.name} was damaged ({why}) and is kept as {self._file.path.name}.broken")

    # -- reading ---------------------------------------------------------------------------------------------------

    async def records(self, key: str, first: int, last: int) -> list[Recorded]:
        waiting = [r for r in self._waiting.get(key, ()) if first <= r.seq <= last]
        return _joined(await self._read(key, lambda log: self._file.records(log, first, last)), waiting)

    async def seek(self, key: str, first: int, at: float, *, newer: bool) -> int | None:
        waiting = (r for r in self._waiting.get(key, ()) if r.seq >= first)
        found = [r.seq for r in waiting if (r.at > at if newer else r.at < at)]
        kept = await self._read(key, lambda log: self._file.seek(log, first, at, newer=newer))
        found += [kept] if kept is not None else []
        return (min if newer else max)(found, default=None)

    async def window(self, key: str, first: int, since: float, until: float, limit: int) -> list[Recorded]:
        waiting = [r for r in self._waiting.get(key, ()) if r.seq >= first and r.at <= until and r.note in GAPS]
        kept = await self._read(key, lambda log: self._file.window(log, first, since, until, limit))
        records = _joined(kept, waiting)
        inside = sum(r.at >= since for r in records)
        return records[-min(limit, inside + 1) :]

    async def _read(self, key: str, work: Callable[[int], T]) -> T | None:
        """What the file says; None if it has nothing of the log, or cannot be read now."""
        number, era = self._numbers.get(key), self._era
        if number is None or self._worker is None:
            return None
        try:
            return await self._worker.do(lambda: work(number))
        except Damaged as error:
            self._lose(error, era)
        except (OSError, sqlite3.Error) as error:
            self._fault(str(error))
        return None


def _joined(kept: list[Recorded] | None, waiting: list[Recorded]) -> list[Recorded]:
    """Records of the disk and of memory; one that was written in between is in both."""
    found = {r.seq: r for r in kept or ()} | {r.seq: r for r in waiting}
    return [found[seq] for seq in sorted(found)]


class _Worker(threading.Thread):
    """The one thread that touches the file; does what it is given in order."""

    def __init__(self) -> None:
        super().__init__(name="history", daemon=True)
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]] | None] = queue.SimpleQueue()
        self.start()

    def do(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Has it done; the future has the result or what was raised."""
        done: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put((work, done))
        return done

    def stop(self) -> None:
        """Ends after what was given so far."""
        self._jobs.put(None)

    def run(self) -> None:
        """Works until it is stopped."""
        while (job := self._jobs.get()) is not None:
            work, done = job
            result, error = None, None
            try:
                result = work()
            except Exception as raised:  # noqa: BLE001  # goes to whoever asked
                error = raised
            try:
                self._loop.call_soon_threadsafe(_settle, done, result, error)
            except RuntimeError:  # the loop has ended, and with it whoever would want to know
                return


def _settle(done: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if done.done():
        return
    if error is not None:
        done.set_exception(error)
    else:
        done.set_result(result)


def _nobody(_reason: str) -> None:
    """Nobody wants to know yet."""
