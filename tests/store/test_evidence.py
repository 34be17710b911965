"""The chain of records: any change is found, files and database are one chain, and its size is bounded."""

from __future__ import annotations

import contextlib
import csv
import gzip
import json
import sqlite3
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from gateway.core.priority import Origin
from gateway.engine.ports import Evidence
from gateway.store.archive import segments, write_segment
from gateway.store.chain import BrokenLine, Head, line_of, parse, verify
from gateway.store.evidence import EvidenceBook, Wanted, cell, write_csv, write_lines
from gateway.store.writer import Bounds
from tests.store.disk import BMS, accepted, asked, chain, opened, write

ODD = ["", "Zoë 👩‍👩‍👧‍👦", "\ud800", 'quo"te\\', "line\nline\r\x1b[31m", "=1+1", "x" * 5000]


def changed_text(line: str) -> str:
    return line.replace('"new":"5"', '"new":"6"')


def forged(line: str) -> str:
    """Changed, with a hash that fits again."""
    body = changed_text(line).rpartition(',"hash":')[0] + "}"
    return f'{body[:-1]},"hash":"{sha256(body.encode()).hexdigest()}"}}'


async def filled(folder: Path, count: int = 12, segment: int = 5_000) -> None:
    async with opened(folder, bounds=Bounds(segment=segment)) as journal:
        await write(journal, count)


def edit(folder: Path, sql: str, *arguments: object) -> None:
    with contextlib.closing(sqlite3.connect(folder / "state.db", isolation_level=None)) as connection:
        connection.execute(sql, arguments)


def line_at(folder: Path, seq: int) -> str:
    with contextlib.closing(sqlite3.connect(folder / "state.db")) as connection:
        (line,) = connection.execute("SELECT line FROM evidence WHERE seq = ?", (seq,)).fetchone()
        return str(line)


def verdict(folder: Path) -> tuple[int, str]:
    found = EvidenceBook(folder).verify()
    return found.at, found.broken


async def test_files_that_hold_nothing_wanted_are_not_opened(tmp_path: Path) -> None:
    await filled(tmp_path, 23, segment=5)
    book, found = EvidenceBook(tmp_path), segments(tmp_path)
    assert len(found) >= 3
    for segment in (found[0], found[-1]):
        segment.path.write_bytes(b"not read")
    middle = found[1]
    numbers = [parse(line)["seq"] for line in book.lines(middle.first, middle.last)]
    assert numbers[: middle.last - middle.first + 1] == list(range(middle.first, middle.last + 1))
    assert set(numbers).isdisjoint(range(found[0].first, found[0].last + 1))
    with pytest.raises(BrokenLine):
        list(book.lines())


def test_a_line_is_checked_without_this_code() -> None:
    line, head = line_of(Head(), 1_751_360_400.25, accepted(32))
    record = json.loads(line)
    body = line[: line.index(',"hash":')] + "}"
    assert sha256(body.encode("ascii")).hexdigest() == record["hash"] == head.hash
    assert record["utc"] == "2025-07-01T09:00:00.250Z"
    assert (record["seq"], record["prev"]) == (1, "0" * 64)
    assert (record["protocol"], record["client"], record["user"], record["slot"]) == ("modbus", BMS.client, "bms", 10)
    assert line.isascii()
    second, _ = line_of(head, 0.0, accepted(33))
    assert json.loads(second)["prev"] == head.hash


@pytest.mark.parametrize("odd", ODD)
def test_any_text_of_a_product_stays_one_line(odd: str) -> None:
    event = Evidence("sent", odd, Origin("modbus", odd, odd), 1, odd, odd, odd, odd)
    line, head = line_of(Head(), 0.0, event)
    assert "\n" not in line
    assert len(line) < 20_000
    assert verify([line], head).broken == ""
    if len(odd) < 400:
        assert parse(line)["answer"] == odd


@pytest.mark.parametrize("line", ["", "{}", "[1]", "nonsense", "1", '{"seq": 1}'])
def test_what_is_no_record_is_told(line: str) -> None:
    with pytest.raises(BrokenLine):
        parse(line)


def test_every_changed_byte_of_a_line_is_found() -> None:
    line, head = line_of(Head(), 1.0, accepted(5))
    for place in range(len(line)):
        for other in ("0", " ", "}"):
            if line[place] != other:
                changed = line[:place] + other + line[place + 1 :]
                assert verify([changed], head).broken, changed


TAMPERING: list[tuple[str, Callable[[Path], None], tuple[int, str]]] = [
    (
        "a value",
        lambda f: edit(f, "UPDATE evidence SET line = ? WHERE seq = 5", changed_text(line_at(f, 5))),
        (5, "was changed"),
    ),
    (
        "a value and its hash",
        lambda f: edit(f, "UPDATE evidence SET line = ? WHERE seq = 5", forged(line_at(f, 5))),
        (6, "missing"),
    ),
    ("a record taken out", lambda f: edit(f, "DELETE FROM evidence WHERE seq = 5"), (5, "records 5 to 5 are missing")),
    ("the first taken out", lambda f: edit(f, "DELETE FROM evidence WHERE seq = 1"), (1, "records 1 to 1 are missing")),
    ("the last taken out", lambda f: edit(f, "DELETE FROM evidence WHERE seq = 12"), (12, "the gateway wrote 12")),
    ("all taken out", lambda f: edit(f, "DELETE FROM evidence"), (1, "the last record is 0")),
    (
        "one moved to the end",
        lambda f: edit(f, "UPDATE evidence SET seq = CASE seq WHEN 3 THEN 104 ELSE seq END"),
        (3, "records 3 to 3 are missing"),
    ),
]


@pytest.mark.parametrize(("what", "tamper", "told"), TAMPERING, ids=[row[0] for row in TAMPERING])
async def test_tampering_with_the_database_is_found(
    tmp_path: Path, what: str, tamper: Callable[[Path], None], told: tuple[int, str]
) -> None:
    await filled(tmp_path)
    assert verdict(tmp_path) == (0, "")
    tamper(tmp_path)
    at, text = verdict(tmp_path)
    assert at == told[0], text
    assert told[1] in text or "does not follow" in text


async def test_records_move_to_files_and_the_chain_goes_on(tmp_path: Path) -> None:
    await filled(tmp_path, 23, segment=5)
    found = segments(tmp_path)
    assert [(s.first, s.last) for s in found[:2]] == [(1, 5), (6, 10)]
    assert chain(tmp_path) == (23, "")
    await filled(tmp_path, 3, segment=5)
    assert chain(tmp_path) == (26, "")
    assert asked(tmp_path)[:3] == ["1", "2", "3"]
    with gzip.open(found[1].path, "rt") as file:
        assert [json.loads(line)["seq"] for line in file] == [6, 7, 8, 9, 10]


async def test_tampering_with_a_file_is_found(tmp_path: Path) -> None:
    await filled(tmp_path, 23, segment=5)
    first, second = segments(tmp_path)[:2]
    kept = second.path.read_bytes()  # with bits that no record needs: its head, and what fills the last byte
    for place in range(12, len(kept)):
        content = bytearray(kept)
        content[place] ^= 0x40
        second.path.write_bytes(content)
        at, text = verdict(tmp_path)
        assert 6 <= at <= 11 or gzip.decompress(bytes(content)) == gzip.decompress(kept), (place, text)
    second.path.write_bytes(kept[: len(kept) // 2])
    assert 6 <= verdict(tmp_path)[0] <= 10
    second.path.unlink()
    assert verdict(tmp_path) == (6, "records 6 to 10 are missing, and no record says why")
    lines = [line.replace('"new":"2"', '"new":"3"') for line in first.lines()]
    write_segment(tmp_path, 1, lines)
    at, text = verdict(tmp_path)
    assert (at, "was changed" in text) == (2, True)


async def test_the_oldest_file_goes_and_a_record_says_so(tmp_path: Path) -> None:
    bounds = Bounds(segment=10, archive_bytes=4_000)
    async with opened(tmp_path, bounds=bounds) as journal:
        for first in range(1, 200):
            await write(journal, 1, first)
    found = segments(tmp_path)
    assert sum(segment.path.stat().st_size for segment in found) <= 4_000
    assert found[0].first > 1
    verdict = EvidenceBook(tmp_path).verify()
    assert verdict.broken == ""
    assert "dropped to keep the evidence within its size" in verdict.admitted[0]
    assert asked(tmp_path)[-1] == "199"
    found[1].path.unlink()
    assert EvidenceBook(tmp_path).verify().broken


async def test_a_crash_between_file_and_database_doubles_nothing(tmp_path: Path) -> None:
    await filled(tmp_path, 12)
    write_segment(tmp_path, 1, [line_at(tmp_path, seq) for seq in range(1, 8)])
    assert chain(tmp_path) == (12, "")
    assert asked(tmp_path) == [f"{value}" for value in range(1, 13)]
    await filled(tmp_path, 1)
    assert chain(tmp_path) == (13, "")


async def test_it_is_read_while_the_gateway_writes(tmp_path: Path) -> None:
    async with opened(tmp_path, bounds=Bounds(segment=7)) as journal:
        for first in range(1, 60, 3):
            await write(journal, 3, first)
            records, broken = chain(tmp_path)
            assert (records, broken) == (first + 2, "")


async def test_reading_needs_no_gateway_and_no_write_permission(tmp_path: Path) -> None:
    assert chain(tmp_path) == (0, "")
    await filled(tmp_path, 3)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    tmp_path.chmod(0o500)
    try:
        assert chain(tmp_path) == (3, "")
    finally:
        tmp_path.chmod(0o700)
    assert {name: (tmp_path / name).read_bytes() for name in before} == before


async def test_records_are_chosen_by_point_event_and_time(tmp_path: Path) -> None:
    moments = iter(range(1_000_000, 2_000_000, 60))
    async with opened(tmp_path, wall=lambda: float(next(moments))) as journal:
        for zone in ("A", "B"):
            point = f"evce/zone/Zone {zone}/reduction"
            await journal.commit({}, [accepted(10, point)])
            await journal.commit({}, [Evidence("sent", point, Origin("gateway"), 10, new="10")])
    book = EvidenceBook(tmp_path)
    everything = list(book.records(Wanted()))
    assert len(everything) == 4
    assert [r["seq"] for r in book.records(Wanted(point="zone b"))] == [3, 4]
    assert [r["seq"] for r in book.records(Wanted(event="sent"))] == [2, 4]
    assert [r["seq"] for r in book.records(Wanted(since=everything[1]["utc"], until=everything[3]["utc"]))] == [2, 3]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("=SUM(A1)", "'=SUM(A1)"),
        ("+49 30", "'+49 30"),
        ("-5.5", "-5.5"),
        ("-5.5|x", "'-5.5|x"),
        ("@cmd", "'@cmd"),
        ("\t=1", "'\\t=1"),
        ("a\nb", "a\\nb"),
        ("\r=1", "'\\r=1"),
        ("-1_0", "'-1_0"),
        ("32", "32"),
        ("", ""),
    ],
)
def test_no_cell_is_a_formula(text: str, shown: str) -> None:
    assert cell(text) == shown


async def test_exports_hold_every_record(tmp_path: Path) -> None:
    evil = '=HYPERLINK("http://x")'
    async with opened(tmp_path, bounds=Bounds(segment=4)) as journal:
        for text in (*ODD, evil):
            await journal.commit({}, [accepted(5, text)])
    book, lines, table = EvidenceBook(tmp_path), tmp_path / "all.jsonl", tmp_path / "all.csv"
    assert write_lines(lines, book.lines()) == len(ODD) + 1
    assert verify(lines.read_text().splitlines(), book.head).broken == ""
    assert write_csv(table, book.records(Wanted())) == len(ODD) + 1
    rows = list(csv.DictReader(table.read_text(encoding="utf-8-sig").splitlines()))
    assert len(rows) == len(ODD) + 1
    assert rows[-1]["point"] == f"'{evil}"
    assert not any(value.startswith("=") for row in rows for value in row.values())
    assert lines.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        write_lines(lines, [])
