"""`history.db`: the records of all trends, as one SQLite file; everything here is done by the one thread that owns it.

Rules of this file: a file appears under its name only when it is complete; a damaged one is set aside as `.broken` and
a new one begun, for a past that is gone must not stop the present; a log keeps no more records than its buffer, so the
file stops growing.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeVar

from gateway.core.trend import Note, Recorded
from gateway.core.value import Quality
from gateway.engine.history import Held
from gateway.store.database import Connect, Damaged, connect, migrate, new_file
from gateway.store.files import sync_folder
from gateway.store.opening import DAMAGES

HISTORY = "history.db"
STEPS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE log (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, enabled INTEGER NOT NULL)",
        """CREATE TABLE record (log INTEGER, seq INTEGER, at INTEGER, value, quality INTEGER, note INTEGER,
            PRIMARY KEY (log, seq)) WITHOUT ROWID""",
        "CREATE VIEW batch AS SELECT '' AS logs, '' AS records, '' AS cuts",
        """CREATE TRIGGER take_batch INSTEAD OF INSERT ON batch BEGIN
            INSERT OR REPLACE INTO log SELECT
                json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]')
                FROM json_each(NEW.logs);
            INSERT OR REPLACE INTO record SELECT
                json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
                json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]')
                FROM json_each(NEW.records);
            DELETE FROM record WHERE (log, seq) IN (
                SELECT old.log, old.seq FROM json_each(NEW.cuts) AS cut CROSS JOIN record AS old
                ON old.log = json_extract(cut.value, '$[0]') AND old.seq < json_extract(cut.value, '$[1]'));
        END""",
    ),
)
"""As in `database.STEPS`; a whole transaction is one row of JSON arrays here too, and times are hundredths."""
FIELDS = "SELECT seq, at, value, quality, note FROM record WHERE log = ?"
LINE = f"note IN ({Note.VALUE:d}, {Note.INTERRUPTED:d}, {Note.STOPPED:d})"
"""What a line is drawn of: values, and where it is interrupted."""
ENDS = """SELECT key, id, enabled, (SELECT min(seq) FROM record WHERE log = id),
    (SELECT max(seq) FROM record WHERE log = id) FROM log"""
"""Looks at two records of each log: reading all of a large file would delay the start by seconds."""
T = TypeVar("T")


class Found(NamedTuple):
    """What a file holds: each log's number and state by key; `damage` is why an older one was set aside, or ""."""

    logs: Mapping[str, tuple[int, Held]]
    damage: str


@dataclass(slots=True)
class Batch:
    """One transaction: new or switched logs by number, records by log number, and the first record each log keeps."""

    logs: list[tuple[int, str, bool]] = field(default_factory=list)
    records: list[tuple[int, Recorded]] = field(default_factory=list)
    cuts: list[tuple[int, int]] = field(default_factory=list)


class HistoryFile:
    """The file in a state directory whose lock is held. Methods raise OSError and sqlite3.Error when the disk fails.

    Those that say so raise Damaged as well: then it is time for `set_aside`.
    """

    def __init__(self, folder: Path, connect: Connect = connect) -> None:
        self.path = folder / HISTORY
        self._connect = connect
        self._connection: sqlite3.Connection | None = None

    def open(self) -> Found:
        """Opens or makes it; a damaged one is set aside."""
        self.close()
        try:
            return Found(self._open(), "")
        except Damaged as error:
            damage = self.set_aside(str(error))
            return Found(self._open(), damage)

    def set_aside(self, why: str) -> str:
        """Puts a damaged file out of the way, so that the next use makes a new one; returns what was done, in words."""
        self.close()
        for suffix in ("", "-wal"):
            with contextlib.suppress(FileNotFoundError):
                self.path.with_name(HISTORY + suffix).replace(self.path.with_name(f"{HISTORY}.broken{suffix}"))
        return f"{HISTORY} was damaged ({why}) and is kept as {HISTORY}.broken"

    def close(self) -> None:
        """Closes it; fine if it is not open."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def take(self, batch: Batch) -> None:
        """Writes a batch, whole or not at all. Raises Damaged."""
        records = [(log, r.seq, round(r.at * 100), r.value, r.quality, r.note) for log, r in batch.records]
        row = (json.dumps(batch.logs), json.dumps(records), json.dumps(batch.cuts))
        self._do(lambda connection: connection.execute("INSERT INTO batch VALUES (?, ?, ?)", row).close())

    def records(self, log: int, first: int, last: int) -> list[Recorded]:
        """Records by number, oldest first. Raises Damaged."""
        return self._rows(f"{FIELDS} AND seq BETWEEN ? AND ? ORDER BY seq", log, first, last)

    def seek(self, log: int, first: int, at: float, *, newer: bool) -> int | None:
        """Number of the oldest record after `at`, or the newest before it, from `first` on. Raises Damaged."""
        what = "min(seq) FROM record WHERE at > ?" if newer else "max(seq) FROM record WHERE at < ?"
        query = f"SELECT {what} AND log = ? AND seq >= ?"
        found: int | None = self._do(lambda c: c.execute(query, (round(at * 100), log, first)).fetchone()[0])
        return found

    def window(self, log: int, first: int, since: float, until: float, limit: int) -> list[Recorded]:
        """The newest values and gaps of a time, oldest first, led by the last one before it. Raises Damaged."""
        begin, end = round(since * 100), round(until * 100)
        newest = f"{FIELDS} AND seq >= ? AND {LINE}"
        rows = self._rows(f"{newest} AND at BETWEEN ? AND ? ORDER BY seq DESC LIMIT ?", log, first, begin, end, limit)
        if len(rows) < limit:
            rows += self._rows(f"{newest} AND at < ? ORDER BY seq DESC LIMIT 1", log, first, begin)
        return rows[::-1]

    def _rows(self, query: str, *values: int) -> list[Recorded]:
        rows = self._do(lambda connection: connection.execute(query, values).fetchall())
        return [Recorded(seq, at / 100, value, Quality(quality), Note(note)) for seq, at, value, quality, note in rows]

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with _damage():
            if self._connection is None:
                self._open()
            assert self._connection is not None  # noqa: S101  # _open raises otherwise
            return work(self._connection)

    def _open(self) -> Mapping[str, tuple[int, Held]]:
        if not self.path.exists():
            self._create()
        elif self.path.stat().st_size == 0:
            raise Damaged("it was empty")
        with contextlib.ExitStack() as undo, _damage():
            connection = self._connect(self.path)
            undo.callback(connection.close)
            connection.execute("PRAGMA synchronous = NORMAL")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version != len(STEPS):
                raise Damaged(f"its schema is {version}, and this gateway knows {len(STEPS)}")
            rows = [row for row in connection.execute(ENDS).fetchall() if row[-1] is not None]
            undo.pop_all()
            self._connection = connection
        return {key: (number, Held(first, last, bool(enabled))) for key, number, enabled, first, last in rows}

    def _create(self) -> None:
        new = self.path.with_name(HISTORY + ".new")
        new_file(new)
        with contextlib.closing(self._connect(new)) as connection:
            migrate(connection, 0, STEPS)
        for suffix in ("-wal", "-shm"):  # left by a file of this name that is gone
            self.path.with_name(HISTORY + suffix).unlink(missing_ok=True)
        os.replace(new, self.path)  # noqa: PTH105  # atomic on purpose
        sync_folder(self.path.parent)


@contextlib.contextmanager
def _damage() -> Iterator[None]:
    """Tells a damaged file from a disk that fails."""
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF in DAMAGES:
            raise Damaged(str(error)) from error
        raise


__all__ = ["HISTORY", "Batch", "Damaged", "Found", "HistoryFile"]
