"""The evidence for the page: newest records, the check of the whole chain, a table for spreadsheets, a report.

Rules of this file: files are read beside the loop, one request at a time; who reads evidence changes nothing.
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Any

from gateway.app.plant import Plant
from gateway.core.errors import ConfigError
from gateway.store.chain import parse
from gateway.store.evidence import COLUMNS, BrokenLine, EvidenceBook, Record, Wanted, cell
from gateway.web.ports import File, Filter, Unusable

MOST_EXPORTED = 200_000


class Records:
    """Reads the evidence of the state directory."""

    def __init__(self, plant: Plant) -> None:
        self._folder = plant.site.state_dir
        self._one = asyncio.Lock()

    async def newest(self, wanted: Filter) -> dict[str, Any]:
        """The newest records that are wanted, newest first."""
        async with self._one:
            return await asyncio.to_thread(self._newest, wanted)

    def _newest(self, wanted: Filter) -> dict[str, Any]:
        most, before = wanted.limit, wanted.before
        found: deque[Record] = deque(maxlen=most + 1)
        broken = ""
        chosen = _wanted(wanted)
        try:
            for line in _likely(self._book().lines(), wanted):
                record = parse(line)
                if chosen.takes(record) and (before is None or record["seq"] < before):
                    found.append(record)
        except BrokenLine as error:
            broken = str(error)
        return {"records": list(reversed(found))[:most], "more": len(found) > most, "broken": broken}

    async def verify(self) -> dict[str, Any]:
        """What `evidence verify` says."""
        async with self._one:
            verdict = await asyncio.to_thread(lambda: self._book().verify())
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
        """The wanted records as CSV that no spreadsheet takes for formulas."""
        async with self._one:
            content = await asyncio.to_thread(self._table, wanted)
        return File("evidence.csv", "text/csv; charset=utf-8", content)

    def _table(self, wanted: Filter) -> bytes:
        out = io.StringIO(newline="")
        table = csv.writer(out)
        table.writerow(COLUMNS)
        for record in islice(self._book().records(_wanted(wanted)), MOST_EXPORTED):
            table.writerow([cell(str(record[name])) for name in COLUMNS])
        return out.getvalue().encode("utf-8-sig", "replace")

    async def of_point(self, point: str, since: str, until: str) -> list[Record]:
        """Every record of exactly this point in a time, oldest first."""

        def read() -> list[Record]:
            wanted = Wanted(point=point, since=since, until=until)
            return [record for record in self._book().records(wanted) if record["point"] == point]

        async with self._one:
            return await asyncio.to_thread(read)

    def _book(self) -> EvidenceBook:
        try:
            return EvidenceBook(self._folder)
        except ConfigError as error:
            raise Unusable(str(error)) from error


def _wanted(wanted: Filter) -> Wanted:
    return Wanted(wanted.point, wanted.event, wanted.since, wanted.until)


def _likely(lines: Iterator[str], wanted: Filter) -> Iterator[str]:
    """Lines that may hold wanted records: to look for a text is much cheaper than to check a hash."""
    needles = [json.dumps(text)[1:-1].lower() for text in (wanted.point, wanted.event) if text]
    if not needles and not (wanted.since or wanted.until or wanted.before):
        return iter(deque(lines, maxlen=wanted.limit + 1))
    return (line for line in lines if all(needle in line.lower() for needle in needles))
