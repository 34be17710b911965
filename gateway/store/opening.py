"""What start finds of `state.db`, and what it does about it (COMMANDS C10, C16).

Rules of this file: a damaged database is set aside as `.broken` and never taken for empty; an older one is copied
before it is migrated, a newer one is refused; whatever the disk refuses at start, what was accepted is read if it can
be read at all; the last generation is used when the database is damaged, missing or behind it.
"""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from gateway.core.errors import ConfigError, Fault
from gateway.engine.ports import Evidence
from gateway.store.archive import segments
from gateway.store.chain import MENDED, BrokenLine, Gone, Head, admission, parse
from gateway.store.database import (
    BUSY_S,
    STATE,
    STEPS,
    Connect,
    Damaged,
    Mark,
    Steps,
    connect,
    create,
    migrate,
    new_file,
    read_mark,
    read_states,
    uri,
)
from gateway.store.generation import Generation, read_generation

START_BUSY_S = 3.0
DAMAGES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_ERROR)
HELD = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


@dataclass(slots=True)
class Opened:
    """What start found.

    Attributes:
        connection: None while the disk does not let the database be written.
        states: JSON texts by key.
        mark: where to go on.
        found: what happened to the command state, in words, "" when nothing did.
        first: the record that states it.
    """

    connection: sqlite3.Connection | None
    states: dict[str, str]
    mark: Mark
    found: str = ""
    first: Evidence | None = None


@dataclass(frozen=True, slots=True)
class Opening:
    """Opens the database of a state directory whose lock is held."""

    folder: Path
    connect: Connect = connect
    steps: Steps = STEPS

    @property
    def path(self) -> Path:
        """The database."""
        return self.folder / STATE

    def open(self) -> Opened:
        """Opens, mends or makes it.

        Raises:
            ConfigError: a newer gateway wrote it, another program holds it, or nothing of it can be read.
        """
        generation = read_generation(self.folder)
        if not self.path.exists():
            head = _archived(self.folder)
            if generation is None:
                return self._made(Opened(None, {}, Mark(0, head)))
            return self._made(_from(generation, head, f"{STATE} was missing"))
        try:
            opened = self._checked()
        except Damaged as error:
            return self._mended(generation, str(error))
        except sqlite3.Error as error:
            opened = self._only_read(generation, error)
        if generation is None or generation.serial <= opened.mark.serial:
            return opened
        later = _from(generation, opened.mark.head, f"{STATE} was behind its copy")
        later.connection = opened.connection
        return later

    def reopen(self, head: Head) -> sqlite3.Connection:
        """A new connection after a failure; a database that is gone is made anew. Raises OSError, sqlite3.Error."""
        if not self.path.exists():
            create(self.path, head=head, steps=self.steps)
        return self.connect(self.path)

    def _checked(self) -> Opened:
        """The database as it is, migrated if it is older.

        Raises:
            Damaged: it is not usable.
            sqlite3.Error: the disk does not let it be used now.
        """
        if self.path.stat().st_size == 0:
            raise Damaged("it was empty")
        with contextlib.ExitStack() as undo:
            try:
                connection = self.connect(self.path)
                undo.callback(connection.close)
                connection.execute(f"PRAGMA busy_timeout = {START_BUSY_S * 1000:.0f}")
                self._bring_up_to_date(connection)
                (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
                if verdict != "ok":
                    raise Damaged(verdict)
                opened = Opened(connection, read_states(connection), read_mark(connection))
                archived = [segment.last for segment in segments(self.folder)]
                connection.execute("DELETE FROM evidence WHERE seq <= ?", (max(archived, default=0),))
                connection.execute(f"PRAGMA busy_timeout = {BUSY_S * 1000:.0f}")
            except sqlite3.Error as error:
                code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
                if code in DAMAGES:
                    raise Damaged(str(error)) from error
                if code in HELD:
                    raise self._fault(f"another program holds it ({error}); close that first") from error
                raise
            undo.pop_all()
            return opened

    def _bring_up_to_date(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        known = len(self.steps)
        if version > known:
            text = f"was written by a newer gateway (schema {version}, this one knows {known}); run that one, or"
            raise self._fault(f"{text} restore the copy it made when it was updated: {STATE}.v{known}")
        if version == 0:
            raise Damaged("it holds no command state")
        if version < known:
            copy = self.path.with_name(f"{STATE}.v{version}")
            try:
                new_file(copy)
                with contextlib.closing(sqlite3.connect(copy)) as target:
                    connection.backup(target)
                migrate(connection, version, self.steps)
            except (sqlite3.Error, OSError) as error:
                text = f"cannot be updated from schema {version}: {error}; it is as it was"
                raise self._fault(text) from error

    def _only_read(self, generation: Generation | None, reason: sqlite3.Error) -> Opened:
        """The disk is full or failing: what it holds is read without writing; the writer tries again later."""
        at = uri(self.path, "rw")
        try:
            with contextlib.closing(sqlite3.connect(at, uri=True, isolation_level=None, timeout=BUSY_S)) as connection:
                connection.execute("PRAGMA locking_mode = EXCLUSIVE")  # then no -shm file is needed
                return Opened(None, read_states(connection), read_mark(connection))
        except (sqlite3.Error, Damaged):
            if generation is None:
                raise self._fault(f"cannot be read: {reason}; the command state is in it") from reason
            return _from(generation, generation.head, f"{STATE} could not be read ({reason})")

    def _mended(self, generation: Generation | None, why: str) -> Opened:
        """Sets a damaged database aside; takes the last generation, and what can be saved of the evidence."""
        lines, head = _saved_evidence(self.path, _archived(self.folder))
        what = f"{STATE} was damaged ({why}) and is kept as {STATE}.broken"
        for suffix in ("", "-wal"):
            with contextlib.suppress(FileNotFoundError):
                self.path.with_name(STATE + suffix).replace(self.path.with_name(f"{STATE}.broken{suffix}"))
        if generation is not None:
            return self._made(_from(generation, head, what), lines, head)
        text = f"{what}; command state was lost: nothing is sent for it, and limits in force upstream stay as they are"
        return self._made(Opened(None, {}, Mark(0, head), text, admission(MENDED, None, text)), lines, head)

    def _made(self, opened: Opened, lines: list[tuple[int, str]] | None = None, head: Head | None = None) -> Opened:
        """Makes the database for what was found; without a connection when the disk does not take it."""
        try:
            create(self.path, lines or (), head or opened.mark.head, self.steps)
            opened.connection = self.connect(self.path)
        except (OSError, sqlite3.Error):
            opened.connection = None
        return opened

    def _fault(self, text: str) -> ConfigError:
        return ConfigError([Fault(str(self.path), 0, 0, "", text)])


def _from(generation: Generation, head: Head, what: str) -> Opened:
    """The last generation's states; evidence between `head` and its own head is gone."""
    text = f"{what}; command state of {generation.saved} was restored: what was accepted after that is not known"
    gone = Gone(head.seq + 1, generation.head) if generation.head.seq > head.seq else None
    mark = Mark(generation.serial, head if gone is None else generation.head)
    return Opened(None, dict(generation.states), mark, text, admission(MENDED, gone, text))


def _archived(folder: Path) -> Head:
    """The head that the files outside the database end with."""
    found = segments(folder)
    return found[-1].head() if found else Head()


def _saved_evidence(path: Path, head: Head) -> tuple[list[tuple[int, str]], Head]:
    """The lines of a damaged database that still continue the chain, and where they end."""
    lines: list[tuple[int, str]] = []
    with (
        contextlib.suppress(sqlite3.Error, BrokenLine),
        contextlib.closing(sqlite3.connect(uri(path, "ro"), uri=True)) as connection,
    ):
        for (line,) in connection.execute("SELECT line FROM evidence WHERE seq > ? ORDER BY seq", (head.seq,)):
            record = parse(str(line))
            if (record["seq"], record["prev"]) != (head.seq + 1, head.hash):
                break
            lines.append((record["seq"], line))
            head = Head(record["seq"], record["hash"])
    return lines, head
