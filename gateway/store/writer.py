"""The one thread that writes `state.db`: everything that waits goes into one transaction.

Rules of this file: a batch stays until the disk has taken it, once and whole; states waiting behind it are coalesced
by key, evidence behind it is bounded, and what did not fit is counted in a record; nothing here touches the event
loop but through `tell`.
"""

from __future__ import annotations

import json
import math
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gateway.engine.ports import Evidence
from gateway.store.archive import segments, surplus, write_segment
from gateway.store.chain import DROPPED, LOST, Gone, Head, admission, line_of
from gateway.store.database import Damaged, Mark, checksum, read_mark
from gateway.store.generation import Generation, write_generation
from gateway.store.opening import Opened, Opening

RETRY_S = (0.1, 2.0)
GENERATION_S = 10.0
TAKE = "INSERT INTO batch VALUES (?, ?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is kept: records in the database before they go to a file, bytes of files, records that may wait."""

    segment: int = 5_000
    archive_bytes: int = 64 * 1024 * 1024
    waiting: int = 10_000


@dataclass(slots=True)
class Batch:
    """What one transaction takes: JSON texts by key (None forgets it), and records with their Unix time."""

    ticket: int = 0
    states: dict[str, str | None] = field(default_factory=dict)
    evidence: list[tuple[float, Evidence]] = field(default_factory=list)
    lost: int = 0


class Writer(threading.Thread):
    """`committed(ticket)`, `failed(reason)` and `trouble(reason)` are called in this thread."""

    def __init__(
        self,
        opening: Opening,
        opened: Opened,
        bounds: Bounds,
        wall: Callable[[], float],
        *,
        committed: Callable[[int], None],
        failed: Callable[[str], None],
        trouble: Callable[[str], None],
    ) -> None:
        super().__init__(name="journal", daemon=True)
        self._opening, self._bounds, self._wall = opening, bounds, wall
        self._committed, self._failed, self._trouble = committed, failed, trouble
        self._connection = opened.connection
        self._mark, self._attempted = opened.mark, opened.mark
        self._states = dict(opened.states)
        self._whole = bool(opened.found) or opened.connection is None
        self._taken = opened.mark.serial
        self._wake, self._stopping = threading.Condition(), threading.Event()
        self._stop_at = math.inf
        self._waiting: Batch | None = None
        self._generation_due = time.monotonic() + GENERATION_S if self._states else math.inf
        self._records = _count(opened.connection) if opened.connection is not None else 0
        if self._whole:
            evidence = [(wall(), opened.first)] if opened.first is not None else []
            self._waiting = Batch(opened.mark.serial, evidence=evidence)

    # -- called by the loop's thread -------------------------------------------------------------------------------

    def put(self, ticket: int, states: Mapping[str, str | None], evidence: Sequence[tuple[float, Evidence]]) -> None:
        """Takes more for the next transaction."""
        with self._wake:
            batch = self._waiting = self._waiting or Batch()
            batch.ticket = ticket
            batch.states.update(states)
            room = self._bounds.waiting - len(batch.evidence)
            batch.evidence += evidence[:room]
            batch.lost += max(len(evidence) - room, 0)
            self._wake.notify()

    def stop(self, within_s: float) -> bool:
        """Writes what waits; returns whether everything is on the disk after at most `within_s`."""
        with self._wake:
            self._stop_at = time.monotonic() + within_s
            self._stopping.set()
            self._wake.notify()
        self.join(within_s + 0.1)
        return not self.is_alive() and self._waiting is None

    # -- the thread --------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Writes until stopped."""
        while True:
            batch = self._next()
            if batch is None:
                break
            if not self._write(batch):
                with self._wake:
                    self._waiting = self._waiting or batch
                break
            self._keep_tidy()
        self._save_generation()
        if self._connection is not None:
            self._connection.close()

    def _next(self) -> Batch | None:
        """The next batch, None when stopped; meanwhile the generation is saved when it is due."""
        while True:
            with self._wake:
                due = self._generation_due
                wait_s = None if math.isinf(due) else max(due - time.monotonic(), 0.0)
                self._wake.wait_for(lambda: self._waiting is not None or self._stopping.is_set(), wait_s)
                if self._waiting is not None:
                    batch, self._waiting = self._waiting, None
                    return batch
                if self._stopping.is_set():
                    return None
            self._save_generation()

    def _write(self, batch: Batch) -> bool:
        """Writes a batch, again and again until the disk takes it; False when stopped before that."""
        for key, value in batch.states.items():
            if value is None:
                self._states.pop(key, None)
            else:
                self._states[key] = value
        self._taken = batch.ticket
        if math.isinf(self._generation_due):
            self._generation_due = time.monotonic() + GENERATION_S
        retry_s = RETRY_S[0]
        while True:
            try:
                self._commit(batch)
            except (sqlite3.Error, OSError, Damaged) as error:
                self._disconnect()
                self._failed(str(error))
            else:
                self._committed(batch.ticket)
                return True
            if self._stopping.wait(retry_s):
                time.sleep(RETRY_S[0])
                if time.monotonic() >= self._stop_at:
                    return False
            retry_s = min(2 * retry_s, RETRY_S[1])
            if time.monotonic() >= self._generation_due:
                self._save_generation()

    def _commit(self, batch: Batch) -> None:
        connection = self._connection
        if connection is None:
            connection = self._connection = self._opening.reopen(self._mark.head)
            if self._is_there(connection):
                return
        rows, head = self._records_of(batch)
        states: Mapping[str, str | None] = self._states if self._whole else batch.states
        kept = [(key, value, checksum(key, value)) for key, value in states.items() if value is not None]
        forgotten = [key for key, value in states.items() if value is None]
        self._attempted = Mark(batch.ticket, head)
        if self._whole:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("DELETE FROM state")
        content = (json.dumps(forgotten), json.dumps(kept), json.dumps(rows), batch.ticket, head.seq, head.hash)
        connection.execute(TAKE, content)
        if self._whole:
            connection.execute("COMMIT")
        self._mark, self._whole = self._attempted, False
        self._records += len(rows)

    def _is_there(self, connection: sqlite3.Connection) -> bool:
        """Whether a commit that was answered with an error is on the disk after all."""
        found = read_mark(connection)
        if self._attempted != self._mark and found == self._attempted:
            self._mark = found
            return True
        if found.head.seq > self._mark.head.seq:
            self._mark = Mark(self._mark.serial, found.head)
        self._whole, self._records = True, _count(connection)
        return False

    def _records_of(self, batch: Batch) -> tuple[list[tuple[int, str]], Head]:
        head, rows = self._mark.head, []
        events = list(batch.evidence)
        if batch.lost:
            text = f"{batch.lost} records did not fit while the disk took none"
            events.append((self._wall(), admission(LOST, None, text)))
        for wall, event in events:
            line, head = line_of(head, wall, event)
            rows.append((head.seq, line))
        return rows, head

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # -- tidying ---------------------------------------------------------------------------------------------------

    def _keep_tidy(self) -> None:
        """Moves records to a file once there are many; a disk that refuses is asked again with the next batch."""
        if self._records < self._bounds.segment or self._connection is None:
            return
        try:
            self._rotate(self._connection)
        except (sqlite3.Error, OSError) as error:
            self._disconnect()
            self._trouble(f"evidence stays in the database: {error}")

    def _rotate(self, connection: sqlite3.Connection) -> None:
        folder = self._opening.folder
        found = segments(folder)
        done = found[-1].last if found else 0
        rows = connection.execute("SELECT seq, line FROM evidence WHERE seq > ? ORDER BY seq", (done,)).fetchall()
        if rows:
            found.append(write_segment(folder, rows[0][0], [line for _, line in rows]))
        old = surplus(found, self._bounds.archive_bytes)
        head, admitted = self._mark.head, []
        for segment in old:
            text = f"records {segment.first} to {segment.last} were dropped to keep the evidence within its size"
            gone = Gone(segment.first, segment.head())
            line, head = line_of(head, self._wall(), admission(DROPPED, gone, text))
            admitted.append((head.seq, line))
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("DELETE FROM evidence")
        connection.executemany("INSERT INTO evidence VALUES (?, ?)", admitted)
        connection.execute("UPDATE mark SET seq = ?, hash = ?", (head.seq, head.hash))
        connection.execute("COMMIT")
        self._mark = self._attempted = Mark(self._mark.serial, head)
        self._records = len(admitted)
        for segment in old:
            segment.path.unlink(missing_ok=True)

    def _save_generation(self) -> None:
        if math.isinf(self._generation_due):
            return
        self._generation_due = math.inf
        saved = datetime.fromtimestamp(self._wall(), UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        try:
            write_generation(self._opening.folder, Generation(saved, self._taken, self._mark.head, self._states))
        except OSError as error:
            self._trouble(f"the copy of the command state was not written: {error}")


def _count(connection: sqlite3.Connection) -> int:
    (count,) = connection.execute("SELECT count(*) FROM evidence").fetchone()
    return int(count)
