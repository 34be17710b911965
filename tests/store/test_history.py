"""`history.db`: what a damaged file, a full disk and a killed process leave of it."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.core.trend import Recorded, TrendSpec
from gateway.core.value import GOOD
from gateway.engine.recorder import FAULT, MENDED
from gateway.store.database import connect
from gateway.store.history import SqliteHistory
from gateway.store.history_file import HISTORY
from tests.engine.past import EACH_CHANGE, Past, live, point, until


async def lived(folder: Path, values: tuple[float, ...] = (1.0, 2.0)) -> Past:
    """A run that ended in good order."""
    past = await live(folder)
    limit = past.learn(point("reduction", EACH_CHANGE))
    for value in values:
        past.set(limit, value)
    await past.recorder.close()
    return past


async def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    await lived(tmp_path)
    assert stat.S_IMODE((tmp_path / HISTORY).stat().st_mode) == 0o600


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def overwritten(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[5000:9000] = b"\xa5" * 4000
    file.write_bytes(content)


def replaced(file: Path) -> None:
    file.write_text("this is no database, and it is long enough to be looked at" * 20)


def from_tomorrow(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA user_version = 9")
    connection.close()


@pytest.mark.parametrize("harm", [emptied, overwritten, replaced, from_tomorrow])
async def test_a_damaged_file_is_set_aside_and_a_new_one_begun(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    await lived(tmp_path, tuple(range(300)))
    harm(tmp_path / HISTORY)
    before = (tmp_path / HISTORY).read_bytes()
    past = await live(tmp_path)
    assert (tmp_path / f"{HISTORY}.broken").read_bytes() == before
    text = past.alarms.text(MENDED)
    assert text is not None
    assert text.startswith("history.db was damaged (")
    assert text.endswith("is kept as history.db.broken; the histories of all points begin anew")
    limit = past.learn(point("reduction", EACH_CHANGE))
    past.set(limit, 5.0)
    await past.recorder.close()
    again = await live(tmp_path, past.clock)
    limit = again.learn(point("reduction", EACH_CHANGE))
    assert await again.values(limit) == [5.0, "INTERRUPTED"]
    assert MENDED not in again.alarms
    await again.recorder.close()


async def test_a_file_damaged_while_it_is_used_begins_anew_and_numbers_go_on(tmp_path: Path) -> None:
    past = await live(tmp_path)
    limit = past.learn(point("reduction", TrendSpec(None, buffer=500)))
    for value in range(300):
        past.set(limit, float(value))
    await past.saved()
    past.archive._file.close()
    overwritten(tmp_path / HISTORY)
    past.set(limit, 1000.0)
    past.archive.save()
    await until(lambda: MENDED in past.alarms)
    past.set(limit, 2000.0)
    await past.saved()
    found = await past.records(limit)
    assert [(r.seq, r.value) for r in found[-1:]] == [(303, 2000.0)]
    assert await past.values(limit) == ["INTERRUPTED", 2000.0]
    assert (tmp_path / f"{HISTORY}.broken").exists()
    await past.recorder.close()


class FullDisk:
    """A disk with room for so many pages; SQLite itself says that there are no more."""

    def __init__(self, pages: int) -> None:
        self.pages = pages
        self.connections: list[Any] = []

    def connect(self, path: Path) -> sqlite3.Connection:
        connection = connect(path)
        connection.execute(f"PRAGMA max_page_count = {self.pages}")
        self.connections.append(connection)
        return connection

    def grow(self) -> None:
        self.connections[-1].execute("PRAGMA max_page_count = 100000")


async def test_a_full_disk_is_an_alarm_and_nothing_is_lost_once_there_is_room(tmp_path: Path) -> None:
    disk = FullDisk(12)
    past = await live(tmp_path, connect=disk.connect)
    limit = past.learn(point("reduction", TrendSpec(None, buffer=10_000)))
    for value in range(3000):
        past.set(limit, float(value))
    past.archive.save()
    await until(lambda: FAULT in past.alarms)
    text = past.alarms.text(FAULT)
    assert text is not None
    assert "full" in text
    past.set(limit, -1.0)
    assert len(await past.records(limit)) == 3001, "what waits is read from memory"
    disk.grow()
    past.pass_time(10)
    await past.saved()
    assert FAULT not in past.alarms
    assert (await past.values(limit))[-2:] == [2999.0, -1.0]
    await past.recorder.close()


async def test_while_the_disk_takes_nothing_what_waits_is_bounded_and_the_gap_is_told(tmp_path: Path) -> None:
    disk = FullDisk(12)
    past = await live(tmp_path, connect=disk.connect, most_waiting=2000)
    limit = past.learn(point("reduction", TrendSpec(None, buffer=10_000)))
    for value in range(2500):
        past.set(limit, float(value))
    past.archive.save()
    await until(lambda: FAULT in past.alarms)
    disk.grow()
    await past.saved()
    past.set(limit, 9.0)
    found = await past.records(limit)
    assert [r.seq for r in found] == list(range(1, 2003))
    assert (await past.values(limit))[-3:] == [1999.0, "INTERRUPTED", 9.0]
    await past.recorder.close()


async def test_a_disk_that_is_not_there_at_start_is_tried_again(tmp_path: Path) -> None:
    await lived(tmp_path)
    refuses = [True]

    def connect_later(path: Path) -> sqlite3.Connection:
        if refuses:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise error
        return connect(path)

    past = await live(tmp_path, connect=connect_later)
    limit = past.learn(point("reduction", EACH_CHANGE))
    past.set(limit, 3.0)
    assert FAULT in past.alarms
    assert await past.records(limit) == []
    refuses.clear()
    await past.recorder.open()
    past.set(limit, 4.0)
    assert FAULT not in past.alarms
    assert await past.values(limit) == [1.0, 2.0, "INTERRUPTED", 4.0]
    await past.recorder.close()


CHILD = """
import asyncio, pathlib, sys
from tests.engine.past import live, point
from gateway.core.trend import TrendSpec
async def main():
    past = await live(pathlib.Path(sys.argv[1]))
    limit = past.learn(point("reduction", TrendSpec(None, buffer=100)))
    for value in range(10**6):
        past.set(limit, float(value))
        if value % 10 == 9:
            await past.saved()
            print(value, flush=True)
asyncio.run(main())
"""


async def test_a_killed_process_leaves_everything_that_was_saved(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=environment
    ) as child:
        assert child.stdout is not None
        saved = [int(child.stdout.readline()) for _ in range(40)][-1]
        child.send_signal(signal.SIGKILL)
    past = await live(tmp_path)
    limit = past.learn(point("reduction", TrendSpec(None, buffer=100)))
    found = await past.records(limit)
    values = [r.value for r in found if r.value is not None]
    assert values == [float(v) for v in range(int(values[0] or 0), int(values[-1] or 0) + 1)]
    assert values[-1] is not None
    assert values[-1] >= saved
    assert len(found) == 100
    assert not past.alarms.texts()
    await past.recorder.close()


async def test_many_logs_stay_within_their_buffers_on_the_disk(tmp_path: Path) -> None:
    archive = SqliteHistory(tmp_path)
    await archive.open()
    sizes = []
    for step in range(1, 13):
        for log in range(200):
            for seq in range(10 * step - 9, 10 * step + 1):
                archive.append(f"evce/station/{log}/power", Recorded(seq, 1e9 + seq, 1.5, GOOD), max(1, seq - 29))
        archive.save()
        await until(lambda: archive._writing is None)
        sizes.append((tmp_path / HISTORY).stat().st_size)
    assert await archive.records("evce/station/7/power", 1, 200) == [
        Recorded(seq, 1e9 + seq, 1.5, GOOD) for seq in range(91, 121)
    ]
    await archive.close()
    assert (tmp_path / HISTORY).stat().st_size < 1.5 * 200 * 30 * 40, sizes
