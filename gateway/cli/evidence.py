"""`evidence show|export|verify`: what was asked, by whom, and what became of it; reads the state directory itself."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cyclopts import App, Parameter
from rich.table import Table

from gateway.cli import show
from gateway.cli.ask import DEFAULT, ConfigFile, Json
from gateway.cli.codes import DONE, FAULTS, USAGE
from gateway.config import load_config
from gateway.config.duration import duration
from gateway.core.errors import ConfigError
from gateway.store.evidence import BrokenLine, EvidenceBook, Record, Wanted, write_csv, write_lines

evidence = App(name="evidence", help="The chain of records of every command: who asked what, and what became of it.")
FILES = (".csv", ".jsonl")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which records.

    Args:
        point: only points whose name contains this.
        event: only this event, e.g. accepted, refused, sent, verified, failsafe, released.
        since: only from this time on: 2026-07-01, 2026-07-01T17:00 (UTC, or with an offset), or 2h for two hours ago.
        until: only before this time, written as for --since.
    """

    point: str = ""
    event: str = ""
    since: str = ""
    until: str = ""

    def wanted(self) -> Wanted:
        """As the store asks for it.

        Raises:
            ValueError: a time cannot be read.
        """
        return Wanted(self.point, self.event, _time(self.since), _time(self.until))


@evidence.command(name="show")
def show_records(
    *, filter_: Filter | None = None, last: int = 50, config: ConfigFile = DEFAULT, json_: Json = False
) -> int:
    """Show the newest records, oldest first; times are UTC.

    Args:
        filter_: which records.
        last: how many, 0 for all.
    """
    book = _book(config)
    try:
        wanted = (filter_ or Filter()).wanted()
    except ValueError as error:
        show.err.print(show.clean(error))
        return USAGE
    records: deque[Record] = deque(maxlen=last or None)
    broken = _collect(book, wanted, records)
    if json_:
        show.show_json(list(records))
    elif not records:
        show.out.print("no record")
    elif sys.stdout.isatty() and len(records) <= 60:
        show.out.print(_table(records))
    else:
        for record in records:
            sys.stdout.write("\t".join(_plain(text) for text in _cells(record)) + "\n")
    return _end(broken)


@evidence.command
def export(file: Path, *, filter_: Filter | None = None, config: ConfigFile = DEFAULT) -> int:
    """Write records to a new file: .csv for a spreadsheet, .jsonl as they are, with their hashes.

    Args:
        file: the file to write; it must not exist yet, and its name says the format.
        filter_: which records; all if not given.
    """
    if file.suffix not in FILES:
        show.err.print(show.clean(f"{file}: the name must end in {' or '.join(FILES)}"))
        return USAGE
    book = _book(config)
    try:
        wanted = (filter_ or Filter()).wanted()
        if file.suffix == ".csv":
            count = write_csv(file, book.records(wanted))
        else:
            count = write_lines(file, book.lines() if filter_ is None else book.chosen(wanted))
    except ValueError as error:
        show.err.print(show.clean(error))
        return USAGE
    except FileExistsError:
        show.err.print(show.clean(f"{file}: exists already; name a new file"))
        return USAGE
    except OSError as error:
        show.err.print(show.clean(f"{file}: cannot be written: {error.strerror}"))
        return FAULTS
    except BrokenLine as error:
        return _end(str(error))
    show.out.print(f"{count} records written to {show.clean(file)}")
    return DONE


@evidence.command
def verify(*, config: ConfigFile = DEFAULT, json_: Json = False) -> int:
    """Walk the whole chain and say where it is broken, if it is."""
    verdict = _book(config).verify()
    if json_:
        show.show_json(
            {
                "records": verdict.records,
                "last": verdict.head.seq,
                "hash": verdict.head.hash,
                "broken": verdict.broken or None,
                "broken_at": verdict.at if verdict.broken else None,
                "admitted": verdict.admitted,
            }
        )
        return FAULTS if verdict.broken else DONE
    for text in verdict.admitted:
        show.out.print(show.clean(text))
    if verdict.broken:
        show.err.print(show.clean(f"broken at record {verdict.at}: {verdict.broken}"))
        return FAULTS
    if verdict.records:
        show.out.print(f"{verdict.records} records, unbroken up to record {verdict.head.seq}, hash {verdict.head.hash}")
    else:
        show.out.print("no record was written yet")
    return DONE


def _book(config: Path) -> EvidenceBook:
    """The evidence of a site; its mappings may be broken."""
    loaded, faults = load_config(config)
    if loaded is None:
        raise ConfigError(faults)
    return EvidenceBook(loaded.path(loaded.config.state_dir))


def _collect(book: EvidenceBook, wanted: Wanted, into: deque[Record]) -> str:
    """All wanted records up to the first broken one; returns what is wrong with that."""
    try:
        into.extend(book.records(wanted))
    except BrokenLine as error:
        return str(error)
    return ""


def _end(broken: str) -> int:
    if broken:
        show.err.print(show.clean(f"the evidence is broken after this: {broken}; `evidence verify` says where"))
    return FAULTS if broken else DONE


def _cells(record: Record) -> tuple[str, ...]:
    by = " ".join(part for part in (record["protocol"], record["client"], record["user"]) if part)
    change = f"{record['old'] or '-'} -> {record['new'] or '-'}" if record["old"] or record["new"] else ""
    slot = str(record["slot"] or "")
    seq, utc, event, point = str(record["seq"]), record["utc"], record["event"], record["point"]
    return seq, utc, event, point, slot, change, by, record["answer"], record["applied"]


def _table(records: Iterable[Record]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("seq", "time (UTC)", "event", "point", "slot", "change", "by", "answer", "applied"):
        table.add_column(name, overflow="fold")
    for record in records:
        table.add_row(*(show.clean(text) for text in _cells(record)))
    return table


def _plain(text: str) -> str:
    return text if text.isprintable() else ascii(text)[1:-1]


def _time(text: str) -> str:
    """A time as the records write it, "" for none.

    Raises:
        ValueError: it cannot be read, in words.
    """
    if not text:
        return ""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            moment = datetime.now(UTC) - timedelta(seconds=duration(text))
        except (ValueError, OverflowError):
            raise ValueError(f"{text!r} is no time: write 2026-07-01, 2026-07-01T17:00+02:00 or 2h") from None
    zoned = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return zoned.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
