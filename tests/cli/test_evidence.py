"""`evidence show|export|verify` as a user calls them: beside a running journal, without one, and on a broken chain."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.core.priority import Origin
from gateway.engine.ports import Evidence
from gateway.store.writer import Bounds
from tests.store.disk import opened

Call = Callable[..., Any]
ZONE = "evce/zone/Zone A/reduction"
EVIL = "evce/zone/[red]\x1b[31m=1\n/reduction"


@pytest.fixture
def written(site: Path) -> Path:
    """A state directory with six records, the first four in a file."""

    async def fill() -> None:
        async with opened(site / "state", bounds=Bounds(segment=4)) as journal:
            bms, operator = Origin("modbus", "10.0.0.20:4711", "bms"), Origin("cli", "local", "anna")
            for records in (
                [
                    Evidence("accepted", ZONE, bms, 10, "", "32"),
                    Evidence("sent", ZONE, bms, 10, new="32", answer="204"),
                ],
                [Evidence("verified", ZONE, bms, 10, new="32", applied="32"), Evidence("accepted", EVIL, operator, 8)],
                [Evidence("refused", ZONE, operator, 8, "32", "3", "3 is below the floor 6 A")],
                [Evidence("released", ZONE, bms, 10, "32")],
            ):
                await journal.commit({}, records)

    (site / "state").mkdir()
    asyncio.run(fill())
    return site


def test_records_are_shown_with_who_asked_and_what_came_of_it(written: Path, call: Call) -> None:
    said = call("evidence", "show")
    lines = [line.split("\t") for line in said.out.splitlines()]
    assert said.code == 0
    assert [line[2] for line in lines] == ["accepted", "sent", "verified", "accepted", "refused", "released"]
    assert lines[0][3:7] == [ZONE, "10", "- -> 32", "modbus 10.0.0.20:4711 bms"]
    assert lines[4][5:8] == ["32 -> 3", "cli local anna", "3 is below the floor 6 A"]
    assert lines[5][5] == "32 -> -"
    assert "\x1b" not in said.out


def test_records_are_chosen(written: Path, call: Call) -> None:
    def shown(*arguments: str) -> list[int]:
        said = call("evidence", "show", "--json", *arguments)
        assert said.code == 0, said.err
        return [record["seq"] for record in json.loads(said.out)]

    assert shown() == [1, 2, 3, 4, 5, 6]
    assert shown("--last", "2") == [5, 6]
    assert shown("--event", "accepted") == [1, 4]
    assert shown("--point", "zone a", "--last", "0") == [1, 2, 3, 5, 6]
    assert shown("--since", "1h") == [1, 2, 3, 4, 5, 6]
    assert shown("--until", "1h") == []
    assert shown("--since", "2001-01-01", "--until", "2001-01-01T10:00+02:00") == []
    said = call("evidence", "show", "--since", "yesterday")
    assert said.code == 2
    assert "is no time" in said.err
    assert call("evidence", "show", "--event", "nothing").out == "no record\n"


def test_exports_for_spreadsheets_and_for_auditors(written: Path, call: Call) -> None:
    assert call("evidence", "export", "all.csv").code == 0
    rows = list(csv.DictReader((written / "all.csv").read_text(encoding="utf-8-sig").splitlines()))
    assert [row["event"] for row in rows][-1] == "released"
    assert rows[3]["point"] == r"evce/zone/[red]\x1b[31m=1\n/reduction"
    said = call("evidence", "export", "all.jsonl")
    assert "6 records written to all.jsonl" in said.out
    assert len((written / "all.jsonl").read_text().splitlines()) == 6
    assert call("evidence", "export", "some.jsonl", "--event", "sent").code == 0
    (line,) = (written / "some.jsonl").read_text().splitlines()
    assert line in (written / "all.jsonl").read_text().splitlines()
    for name, words in (("all.csv", "exists already"), ("all.xls", "must end in .csv or .jsonl")):
        said = call("evidence", "export", name)
        assert said.code == 2
        assert words in said.err


def test_a_whole_chain_is_verified_and_a_broken_one_is_told(written: Path, call: Call) -> None:
    said = call("evidence", "verify")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("6 records, unbroken up to record 6, hash ")
    with contextlib.closing(sqlite3.connect(written / "state" / "state.db", isolation_level=None)) as database:
        database.execute("""UPDATE evidence SET line = replace(line, '"new":"3"', '"new":"30"')""")
    said = call("evidence", "verify")
    assert said.code == 1
    assert "broken at record 5: was changed: its hash does not fit" in said.err
    said = call("evidence", "verify", "--json")
    assert said.code == 1
    assert json.loads(said.out)["broken_at"] == 5
    said = call("evidence", "show")
    assert said.code == 1
    assert len(said.out.splitlines()) == 4
    assert "evidence verify" in said.err
    said = call("evidence", "export", "broken.csv")
    assert said.code == 1


def test_nothing_written_yet_and_nothing_readable(site: Path, call: Call) -> None:
    assert call("evidence", "verify").out == "no record was written yet\n"
    assert call("evidence", "show").out == "no record\n"
    (site / "state").mkdir()
    (site / "state" / "state.db").write_bytes(b"\xa5" * 9000)
    said = call("evidence", "verify")
    assert said.code == 1
    assert "state.db: cannot be read: file is not a database" in said.err
    (site / "config.yaml").write_text("site: [")
    assert call("evidence", "verify").code == 1
