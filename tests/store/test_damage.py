"""What a start makes of a database that is damaged, missing, behind, held, older or newer: never a silent empty one."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.core.errors import ConfigError
from gateway.store import opening
from gateway.store.backup import Manifest, read_archive, state_files, write_archive
from gateway.store.database import STEPS
from gateway.store.generation import read_generation
from gateway.store.opening import Opening
from gateway.store.writer import Bounds
from tests.store.disk import ZONE, accepted, asked, chain, hurried, left, opened, until, write

Damage = Callable[[Path], None]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 + 100])


def garbage(path: Path) -> None:
    path.write_bytes(b"\xa5" * path.stat().st_size)


def garbage_inside(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096 : 4096 * 3] = b"\x5a" * (4096 * 2)
    path.write_bytes(content)


def one_digit(path: Path) -> None:
    content = path.read_bytes()
    assert content.count(b'{"asked": 7}') >= 1
    path.write_bytes(content.replace(b'{"asked": 7}', b'{"asked": 9}'))


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def another_database(path: Path) -> None:
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE music (title TEXT)")


DAMAGES = [cut, garbage, garbage_inside, one_digit, emptied, another_database]


def newest(folder: Path) -> int:
    generation = read_generation(folder)
    return generation.serial if generation else 0


async def run_before(folder: Path) -> None:
    async with opened(folder) as journal:
        await write(journal, 7)


@pytest.mark.parametrize("damage", DAMAGES)
async def test_H03_a_damaged_database_is_kept_and_the_last_generation_used(tmp_path: Path, damage: Damage) -> None:
    await run_before(tmp_path)
    damage(tmp_path / "state.db")
    broken = (tmp_path / "state.db").read_bytes()
    async with opened(tmp_path) as journal:
        assert journal.restored() == {ZONE: {"asked": 7}}
        assert "damaged" in journal.found
        assert "restored" in journal.found
        await write(journal, 2, first=8)
    assert (tmp_path / "state.db.broken").read_bytes()[100:] == broken[100:]
    async with opened(tmp_path) as journal:
        assert journal.found == "", "told once"
        assert journal.restored() == {ZONE: {"asked": 9}}
    records, fault = chain(tmp_path)
    assert fault == ""
    kept = asked(tmp_path)
    assert kept[-2:] == ["8", "9"]
    assert records == len(kept) + 1, "one record says what happened"


async def test_H03_evidence_is_saved_from_a_damaged_database(tmp_path: Path) -> None:
    await run_before(tmp_path)
    one_digit(tmp_path / "state.db")
    await left(tmp_path)
    assert asked(tmp_path) == [f"{value}" for value in range(1, 8)]


@pytest.mark.parametrize("damage", DAMAGES)
async def test_H03_without_a_generation_it_says_that_command_state_was_lost(tmp_path: Path, damage: Damage) -> None:
    await run_before(tmp_path)
    (tmp_path / "state.last.json").unlink()
    damage(tmp_path / "state.db")
    async with opened(tmp_path) as journal:
        assert journal.restored() == {}
        assert "command state was lost" in journal.found
        await write(journal, 1, first=20)
    assert (tmp_path / "state.db.broken").exists()
    assert await left(tmp_path) == {ZONE: {"asked": 20}}
    assert chain(tmp_path)[1] == ""


async def test_H03_the_chain_goes_on_after_the_files_outside_the_database(tmp_path: Path) -> None:
    async with opened(tmp_path, bounds=Bounds(segment=5)) as journal:
        await write(journal, 12)
    (tmp_path / "state.last.json").unlink()
    garbage(tmp_path / "state.db")
    async with opened(tmp_path) as journal:
        await write(journal, 1, first=20)
    assert asked(tmp_path)[-1] == "20"
    assert len(asked(tmp_path)) >= 11
    assert chain(tmp_path)[1] == ""


async def test_H03_a_missing_database_is_taken_from_its_copy(tmp_path: Path) -> None:
    await run_before(tmp_path)
    (tmp_path / "state.db").unlink()
    async with opened(tmp_path) as journal:
        assert journal.restored() == {ZONE: {"asked": 7}}
        assert "state.db was missing" in journal.found
    records, fault = chain(tmp_path)
    assert (records, fault) == (1, "")


@pytest.mark.parametrize("damage", [cut, garbage, emptied])
async def test_H03_a_damaged_copy_is_not_used(tmp_path: Path, damage: Damage) -> None:
    await run_before(tmp_path)
    damage(tmp_path / "state.last.json")
    assert read_generation(tmp_path) is None
    async with opened(tmp_path) as journal:
        assert journal.found == ""
        assert journal.restored() == {ZONE: {"asked": 7}}


async def test_H03_a_log_that_lost_its_end_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite takes a -wal file without its end for a complete one; the copy knows more."""
    monkeypatch.setattr("gateway.store.writer.GENERATION_S", 0.0)
    before, copied = tmp_path / "before", tmp_path / "copied"
    before.mkdir()
    async with opened(before) as journal:
        await write(journal, 9)
        await until(lambda: newest(before) >= 9)
        shutil.copytree(before, copied)
    wal = copied / "state.db-wal"
    wal.write_bytes(wal.read_bytes()[: wal.stat().st_size // 2])
    async with opened(copied) as journal:
        assert "behind its copy" in journal.found
        assert journal.restored() == {ZONE: {"asked": 9}}
        await write(journal, 1, first=30)
    assert chain(copied)[1] == ""
    assert asked(copied)[-1] == "30"


async def test_H16_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    await run_before(tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / "state.db")) as connection:
        connection.execute("PRAGMA user_version = 9")
    before = (tmp_path / "state.db").read_bytes()
    with pytest.raises(ConfigError, match=r"newer gateway \(schema 9, this one knows 1\)"):
        Opening(tmp_path).open()
    assert (tmp_path / "state.db").read_bytes() == before
    assert not (tmp_path / "state.db.broken").exists()


async def test_H16_an_older_schema_is_migrated_and_a_copy_kept(tmp_path: Path) -> None:
    await run_before(tmp_path)
    later = (*STEPS, ("CREATE TABLE history (at INTEGER)", "INSERT INTO history VALUES (5)"))
    found = Opening(tmp_path, steps=later).open()
    assert found.connection is not None
    assert found.connection.execute("SELECT at FROM history").fetchall() == [(5,)]
    found.connection.close()
    assert found.states == {ZONE: '{"asked": 7}'}
    copy = tmp_path / "state.db.v1"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with pytest.raises(ConfigError, match=r"state\.db\.v1"):
        Opening(tmp_path).open()
    copy.replace(tmp_path / "state.db")
    for name in ("state.db-wal", "state.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    assert await left(tmp_path) == {ZONE: {"asked": 7}}


async def test_H16_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    await run_before(tmp_path)
    wrong = (*STEPS, ("CREATE TABLE history (at INTEGER)", "INSERT INTO nowhere VALUES (5)"))
    with pytest.raises(ConfigError, match="cannot be updated from schema 1: no such table: nowhere; it is as it was"):
        Opening(tmp_path, steps=wrong).open()
    with contextlib.closing(sqlite3.connect(tmp_path / "state.db")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        assert connection.execute("SELECT name FROM sqlite_master WHERE name = 'history'").fetchall() == []
    assert await left(tmp_path) == {ZONE: {"asked": 7}}


async def test_a_program_that_holds_the_database_stops_the_start_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "START_BUSY_S", 0.1)
    await run_before(tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / "state.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ConfigError, match="another program holds it"):
            Opening(tmp_path).open()
    assert await left(tmp_path) == {ZONE: {"asked": 7}}


async def test_a_database_that_cannot_be_read_and_has_no_copy_stops_the_start(tmp_path: Path) -> None:
    await run_before(tmp_path)
    (tmp_path / "state.last.json").unlink()
    path = tmp_path / "state.db"
    kept = path.read_bytes()
    path.unlink()
    path.mkdir()
    (path / "x").write_text("x")
    with pytest.raises(ConfigError, match=r"cannot be read: .*; the command state is in it"):
        Opening(tmp_path).open()
    shutil.rmtree(path)
    path.write_bytes(kept)
    assert await left(tmp_path) == {ZONE: {"asked": 7}}


async def test_a_write_of_another_program_delays_and_loses_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        await write(journal, 1)
        with contextlib.closing(sqlite3.connect(tmp_path / "state.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with hurried():
                assert not await journal.commit({ZONE: 2}, [accepted(2)])
            assert journal.fault
    assert await left(tmp_path) == {ZONE: 2}
    assert chain(tmp_path) == (2, "")


async def test_a_backup_of_a_running_journal_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.store.writer.GENERATION_S", 0.0)
    state, archive, restored = tmp_path / "state", tmp_path / "backup.tar.gz", tmp_path / "restored"
    for folder in (state, restored):
        folder.mkdir()
    (tmp_path / "config.yaml").write_text("site: x")
    async with opened(state, bounds=Bounds(segment=5)) as journal:
        await write(journal, 8)
        files = {f"state/{path.name}": path for path in state_files(state, [])}
        manifest = Manifest("1", "now", "config/config.yaml", {}, [])
        await write(journal, 1, first=9)
        await until(lambda: newest(state) >= 9)
        write_archive(archive, {**files, "config/config.yaml": tmp_path / "config.yaml"}, manifest)
    read_archive(archive, restored)
    async with opened(restored / "state") as journal:
        assert journal.found == ""
        assert journal.restored() == {ZONE: {"asked": 9}}
    assert chain(restored / "state") == (9, "")
