"""A disk that a test can fill, slow down or break, under a journal that is the real one."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from gateway.app.clock import SystemClock
from gateway.core.priority import Origin
from gateway.engine.ports import Evidence
from gateway.store import SqliteJournal, journal
from gateway.store.database import connect
from gateway.store.evidence import EvidenceBook, Wanted
from gateway.store.journal import COMMIT_S
from gateway.store.writer import TAKE, Bounds

ZONE = "evce/zone/0/reduction"
BMS = Origin("modbus", "127.0.0.1:5555", "bms")
PATIENCE_S = 20.0


class Disk:
    """What every connection meets; each commit of the journal's thread takes `delay_s`, or until that is less."""

    def __init__(self) -> None:
        self.commits = 0
        self.refuses = ""
        self.delay_s = 0.0
        self.forgets_to_say = False

    def connect(self, path: Path) -> Any:
        if self.refuses:
            raise self.error()
        return _Connection(connect(path), self)

    def turn(self) -> None:
        began = time.monotonic()
        while time.monotonic() - began < self.delay_s:
            time.sleep(0.005)

    def error(self) -> sqlite3.OperationalError:
        error = sqlite3.OperationalError(self.refuses or "disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL if "full" in self.refuses else sqlite3.SQLITE_IOERR
        return error


class _Connection:
    def __init__(self, real: sqlite3.Connection, disk: Disk) -> None:
        self._real, self._disk = real, disk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def execute(self, sql: str, *arguments: Any) -> Any:
        if sql != "COMMIT" and (sql != TAKE or self._real.in_transaction):
            return self._real.execute(sql, *arguments)
        self._disk.commits += 1
        if threading.current_thread().name == "journal":
            self._disk.turn()
        if self._disk.refuses:
            raise self._disk.error()
        done = self._real.execute(sql, *arguments)
        if self._disk.forgets_to_say:
            self._disk.forgets_to_say = False
            raise self._disk.error()
        return done


async def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def opened(
    folder: Path, *, disk: Disk | None = None, bounds: Bounds | None = None, wall: Callable[[], float] | None = None
) -> AsyncIterator[SqliteJournal]:
    """A journal that runs. It waits longer for the disk than the gateway's: this machine's may be busy."""
    clock = SystemClock()
    if wall is not None:
        clock.wall = wall  # type: ignore[method-assign]
    made = SqliteJournal(folder, clock=clock, bounds=bounds, connect=disk.connect if disk else connect)
    made.open()
    try:
        with mock.patch.object(journal, "COMMIT_S", PATIENCE_S):
            yield made
    finally:
        made.close()


@contextlib.contextmanager
def hurried() -> Iterator[None]:
    """In here a commit waits for the disk as long as the gateway's does."""
    with mock.patch.object(journal, "COMMIT_S", COMMIT_S):
        yield


def accepted(value: float = 32, point: str = "evce/zone/Zone A/reduction") -> Evidence:
    return Evidence("accepted", point, BMS, 10, "", f"{value:g}")


async def write(journal: SqliteJournal, count: int, first: int = 1) -> None:
    """Commits values `first`.. one after another, each with its record."""
    for value in range(first, first + count):
        assert await journal.commit({ZONE: {"asked": value}}, [accepted(value)])


async def left(folder: Path) -> dict[str, Any]:
    """What the next start restores."""
    async with opened(folder) as journal:
        return dict(journal.restored())


def chain(folder: Path) -> tuple[int, str]:
    """How many records there are, and what is wrong with them."""
    verdict = EvidenceBook(folder).verify()
    return verdict.records, verdict.broken


def asked(folder: Path) -> list[str]:
    """The values of all accepted records, in order."""
    return [record["new"] for record in EvidenceBook(folder).records(Wanted(event="accepted"))]
