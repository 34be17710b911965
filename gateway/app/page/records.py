"""The evidence for the page: newest records, the check of the whole chain, a table for spreadsheets, a report.

Rules of this file: files are read beside the loop, one request at a time; who reads evidence changes nothing; what an
answer holds is bounded, for it stands in memory.
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
from collections import deque
from collections.abc import Iterator
from typing import Any

from gateway.app.page.walk import Abandoned, ChainWalk, paced
from gateway.app.plant import Plant
from gateway.core.errors import ConfigError
from gateway.store.chain import parse
from gateway.store.evidence import COLUMNS, BrokenLine, EvidenceBook, Record, Wanted, cell
from gateway.web.ports import File, Filter, Unusable

MOST_EXPORTED = 50_000
MOST_REPORTED = 2000
_BEGIN = re.compile(r'\{"seq":(\d{1,18}),"utc":"([^"\\]*)"')


class Records:
    """Reads the evidence of the state directory."""

    def __init__(self, plant: Plant) -> None:
        self._folder = plant.site.state_dir
        self._one = asyncio.Lock()
        self._walk = ChainWalk(self._book)
        self._ended = False

    def end(self) -> None:
        """Stops reading: the gateway stops, and would wait for threads that read a long file."""
        self._ended = True
        self._walk.forget()

    def _look(self, _count: int) -> None:
        if self._ended:
            raise Abandoned("the gateway stops")

    async def newest(self, wanted: Filter) -> dict[str, Any]:
        """The newest records that are wanted, newest first."""
        async with self._one:
            return await asyncio.to_thread(self._newest, wanted)

    def _newest(self, wanted: Filter) -> dict[str, Any]:
        most = wanted.limit
        found: deque[Record] = deque(maxlen=most + 1)
        broken = ""
        try:
            lines = _likely(paced(self._lines(wanted), self._look), wanted)
            if not (wanted.point or wanted.event):
                lines = iter(deque(lines, maxlen=most + 1))  # the rest need not be understood
            found.extend(_taken(lines, wanted))
        except BrokenLine as error:
            broken = str(error)
        return {"records": list(reversed(found))[:most], "more": len(found) > most, "broken": broken}

    def _lines(self, wanted: Filter) -> Iterator[str]:
        """All lines, or only those of the files that can matter: a page begins with the newest of a long chain."""
        book = self._book()
        last = book.head.seq if book.head is not None else 0
        if wanted.before is not None:
            last = min(last, wanted.before - 1)
        if last == 0 or wanted.point or wanted.event or wanted.since or wanted.until:
            return book.lines()
        return book.lines(last - wanted.limit, last)

    async def verify(self) -> dict[str, Any]:
        """What `evidence verify` says; raises GatewayError while a long chain is being checked."""
        verdict = await self._walk.verdict()
        return {
            "good": not verdict.broken,
            "records": verdict.records,
            "last": verdict.head.seq,
            "hash": verdict.head.hash,
            "broken": verdict.broken,
            "broken_at": verdict.at if verdict.broken else None,
            "admitted": verdict.admitted,
        }

    async def table(self, wanted: Filter) -> File:
        """The wanted records as CSV that no spreadsheet takes for formulas; raises Unusable for too many."""
        async with self._one:
            content = await asyncio.to_thread(self._table, wanted)
        return File("evidence.csv", "text/csv; charset=utf-8", content)

    def _table(self, wanted: Filter) -> bytes:
        content = io.BytesIO()
        out = io.TextIOWrapper(content, "utf-8-sig", "replace", newline="")
        table = csv.writer(out)
        table.writerow(COLUMNS)
        for count, record in enumerate(_taken(_likely(paced(self._book().lines(), self._look), wanted), wanted)):
            if count == MOST_EXPORTED:
                text = f"more than {MOST_EXPORTED:,} records: choose a shorter time, or `evce-gateway evidence export`"
                raise Unusable(text)
            table.writerow([cell(str(record[name])) for name in COLUMNS])
        out.flush()
        return content.getvalue()

    async def of_point(self, point: str, since: str, until: str) -> list[Record]:
        """The newest records of exactly this point in a time, at most MOST_REPORTED, oldest first."""

        def read() -> list[Record]:
            wanted = Filter(point=point, since=since, until=until)
            taken = _taken(_likely(paced(self._book().lines(), self._look), wanted), wanted)
            return list(deque((record for record in taken if record["point"] == point), maxlen=MOST_REPORTED))

        async with self._one:
            return await asyncio.to_thread(read)

    def _book(self) -> EvidenceBook:
        try:
            return EvidenceBook(self._folder)
        except ConfigError as error:
            raise Unusable(str(error)) from error


def _taken(lines: Iterator[str], wanted: Filter) -> Iterator[Record]:
    """The records of those lines that are wanted; raises BrokenLine."""
    chosen = Wanted(wanted.point, wanted.event, wanted.since, wanted.until)
    for line in lines:
        record = parse(line)
        if chosen.takes(record) and (wanted.before is None or record["seq"] < wanted.before):
            yield record


def _likely(lines: Iterator[str], wanted: Filter) -> Iterator[str]:
    """Lines that may hold wanted records: to look at a text is much cheaper than to check a hash."""
    needles = [json.dumps(text)[1:-1].lower() for text in (wanted.point, wanted.event) if text]
    for line in lines:
        if not _beside(line, wanted) and all(needle in line.lower() for needle in needles):
            yield line


def _beside(line: str, wanted: Filter) -> bool:
    """Whether the number or the time, which every line begins with, says that it is not wanted."""
    begin = _BEGIN.match(line)
    if begin is None:
        return False
    seq, utc = int(begin[1]), begin[2]
    too_new = (wanted.before is not None and seq >= wanted.before) or (wanted.until != "" and utc >= wanted.until)
    return too_new or utc < wanted.since
