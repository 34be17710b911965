"""`state.db`: the schema of command states and evidence, and how the file is made and read.

Rules of this file: a database appears under its name only when it is complete, so an empty one is a damaged one;
every row of state carries a checksum, for SQLite does not notice a changed byte inside a text.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from gateway.core.errors import GatewayError
from gateway.store.chain import Head
from gateway.store.files import sync_folder

STATE = "state.db"
BUSY_S = 0.25
STEPS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE state (key TEXT PRIMARY KEY, value TEXT NOT NULL, crc INTEGER NOT NULL) WITHOUT ROWID",
        "CREATE TABLE evidence (seq INTEGER PRIMARY KEY, line TEXT NOT NULL)",
        "CREATE TABLE mark (one INTEGER PRIMARY KEY CHECK (one = 1), serial INTEGER, seq INTEGER, hash TEXT)",
        "CREATE VIEW batch AS SELECT '' AS forgotten, '' AS states, '' AS evidence, 0 AS serial, 0 AS seq, '' AS hash",
        """CREATE TRIGGER take_batch INSTEAD OF INSERT ON batch BEGIN
            DELETE FROM state WHERE key IN (SELECT value FROM json_each(NEW.forgotten));
            INSERT OR REPLACE INTO state SELECT
                json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]')
                FROM json_each(NEW.states);
            INSERT INTO evidence SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]')
                FROM json_each(NEW.evidence);
            UPDATE mark SET serial = NEW.serial, seq = NEW.seq, hash = NEW.hash;
        END""",
    ),
)
"""The schema's versions: what each adds to the one before; `user_version` says how many are in a file.

A whole transaction is one row inserted into `batch` (JSON arrays): Python's lock is given away once and not once a
row, and with a busy event loop it takes milliseconds to get it back.
"""
Steps = Sequence[Sequence[str]]
Connect = Callable[[Path], sqlite3.Connection]


class Damaged(GatewayError):
    """The file is no usable database; the text says why."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a database is: the newest serial it took and the head of its evidence."""

    serial: int = 0
    head: Head = field(default_factory=Head)


def uri(path: Path, mode: str) -> str:
    """The address of a database file for SQLite; `mode` as in its URI parameters."""
    return f"file:{quote(str(path))}?mode={mode}"


def connect(path: Path) -> sqlite3.Connection:
    """A connection whose commits reach the disk before they return; for one thread at a time."""
    connection = sqlite3.connect(
        uri(path, "rw"), uri=True, isolation_level=None, timeout=BUSY_S, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA journal_size_limit = 4194304")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def new_file(path: Path) -> None:
    """An empty file that only its owner may read; SQLite gives its other files the same mode."""
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))


def create(path: Path, lines: Iterable[tuple[int, str]] = (), head: Head | None = None, steps: Steps = STEPS) -> None:
    """Makes a database with this evidence beside, then gives it its name; raises OSError or sqlite3.Error."""
    head, new = head or Head(), path.with_name(path.name + ".new")
    new_file(new)
    with contextlib.closing(connect(new)) as connection:
        migrate(connection, 0, steps)
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO evidence VALUES (?, ?)", lines)
        connection.execute("INSERT INTO mark VALUES (1, 0, ?, ?)", (head.seq, head.hash))
        connection.execute("COMMIT")
    for suffix in ("-wal", "-shm"):  # left by a file of this name that is gone
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    os.replace(new, path)  # noqa: PTH105  # atomic on purpose
    sync_folder(path.parent)


def migrate(connection: sqlite3.Connection, version: int, steps: Steps) -> None:
    """Brings the schema from `version` to the newest in one transaction."""
    connection.execute("BEGIN")
    for step in steps[version:]:
        for statement in step:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {len(steps)}")
    connection.execute("COMMIT")


def checksum(key: str, value: str) -> int:
    """Of one row of `state`."""
    return zlib.crc32(f"{key}\0{value}".encode("utf-8", "surrogatepass"))


def read_mark(connection: sqlite3.Connection) -> Mark:
    """How far the database is.

    Raises:
        Damaged: it does not say.
    """
    row = connection.execute("SELECT serial, seq, hash FROM mark").fetchone()
    if row is None or [type(value) for value in row] != [int, int, str]:
        raise Damaged("its mark is missing")
    return Mark(row[0], Head(row[1], row[2]))


def read_states(connection: sqlite3.Connection) -> dict[str, str]:
    """The JSON text of each key.

    Raises:
        Damaged: a row does not fit its checksum.
    """
    rows = connection.execute("SELECT key, value, crc FROM state").fetchall()
    if wrong := [key for key, value, crc in rows if checksum(key, value) != crc]:
        raise Damaged(f"the state of {wrong[0]} was changed on the disk")
    return {key: value for key, value, _ in rows}
