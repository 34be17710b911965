"""Reading the evidence of a state directory, beside a running gateway or without one; nothing is changed."""

from __future__ import annotations

import contextlib
import csv
import os
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.core.errors import ConfigError, Fault
from gateway.store.archive import Segment, segments
from gateway.store.chain import FIELDS, BrokenLine, Head, Record, Verdict, parse, verify
from gateway.store.database import BUSY_S, STATE, Damaged, read_mark, uri

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
COLUMNS = (*FIELDS, "hash")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records: a part of the point's name, an event, and ISO times (UTC, Z) from and before which."""

    point: str = ""
    event: str = ""
    since: str = ""
    until: str = ""

    def takes(self, record: Record) -> bool:
        """Whether a record is one of them."""
        return (
            self.point.lower() in record["point"].lower()
            and self.event in ("", record["event"])
            and (not self.since or record["utc"] >= self.since)
            and (not self.until or record["utc"] < self.until)
        )


class EvidenceBook:
    """All lines that a state directory holds, in the order of the chain.

    Raises:
        ConfigError: the database is there and cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._recent, self.head = _recent(folder / STATE)  # before the files: what moves meanwhile is met twice
        self._segments: list[Segment] = segments(folder)

    def lines(self, first: int = 0, last: int = sys.maxsize) -> Iterator[str]:
        """Oldest first; raises BrokenLine where a file cannot be read.

        Files that hold none of the records `first` to `last` are not opened.
        """
        done = 0
        for segment in self._segments:
            if first <= segment.last and segment.first <= last:
                yield from segment.lines()
            done = segment.last
        yield from (line for seq, line in self._recent if seq > done)

    def records(self, wanted: Wanted) -> Iterator[Record]:
        """The records of the lines; raises BrokenLine at the first that is none."""
        return (record for record in map(parse, self.lines()) if wanted.takes(record))

    def chosen(self, wanted: Wanted) -> Iterator[str]:
        """The lines of the wanted records; raises BrokenLine as `records`."""
        return (line for line in self.lines() if wanted.takes(parse(line)))

    def verify(self) -> Verdict:
        """Walks the whole chain, up to the head the gateway noted."""
        return verify(self.lines(), self.head)


def _recent(path: Path) -> tuple[list[tuple[int, str]], Head | None]:
    problem: Exception
    try:
        modes = ["ro"] if path.exists() else []
        if modes and not path.with_name(STATE + "-wal").exists():
            modes.append("ro&immutable=1")  # a folder that cannot be written, and nothing that only a -wal would tell
    except OSError as error:
        raise _unreadable(path, error) from error
    if not modes:
        return [], None
    for mode in modes:
        try:
            with contextlib.closing(sqlite3.connect(uri(path, mode), uri=True, timeout=10 * BUSY_S)) as connection:
                connection.execute("BEGIN")
                rows = connection.execute("SELECT seq, line FROM evidence ORDER BY seq").fetchall()
                return [(int(seq), str(line)) for seq, line in rows], read_mark(connection).head
        except (sqlite3.Error, Damaged, ValueError) as error:
            problem = error
    raise _unreadable(path, problem)


def _unreadable(path: Path, problem: Exception) -> ConfigError:
    why = problem.strerror if isinstance(problem, OSError) else problem
    text = f"cannot be read: {why}; a gateway that starts mends a damaged one"
    return ConfigError([Fault(str(path), 0, 0, "", text)])


def write_lines(file: Path, lines: Iterable[str]) -> int:
    """The records as they are, one a line; returns how many. Raises OSError and BrokenLine."""
    count = 0
    with os.fdopen(_new(file), "w", encoding="ascii", newline="\n") as out:
        for count, line in enumerate(lines, 1):  # noqa: B007  # counted for the caller
            out.write(line + "\n")
    return count


def write_csv(file: Path, records: Iterable[Record]) -> int:
    """A table for spreadsheets; no cell is taken for a formula. Raises OSError and BrokenLine."""
    count = 0
    with os.fdopen(_new(file), "w", encoding="utf-8-sig", errors="replace", newline="") as out:
        table = csv.writer(out)
        table.writerow(COLUMNS)
        for count, record in enumerate(records, 1):  # noqa: B007
            table.writerow([cell(str(record[name])) for name in COLUMNS])
    return count


def cell(text: str) -> str:
    """One cell: control characters escaped, and what a spreadsheet would calculate marked as text."""
    shown = text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
    return f"'{shown}" if text.startswith(FORMULA) and not _is_number(text) else shown


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii() and text.isprintable() and "_" not in text


def _new(file: Path) -> int:
    """A file of this user alone; one that exists is not overwritten."""
    return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


__all__ = ["BrokenLine", "EvidenceBook", "Record", "Verdict", "Wanted", "cell", "write_csv", "write_lines"]
