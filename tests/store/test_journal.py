"""The journal by its effect: what a client was told is there after the worst, and the fault flag never lies."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import stat
import sys
import threading
import time
from pathlib import Path

import pytest

from gateway.store import SqliteJournal
from gateway.store.evidence import EvidenceBook, Wanted
from gateway.store.writer import Bounds
from tests.awake import Awake
from tests.store.disk import ZONE, Disk, accepted, asked, chain, hurried, left, opened, until, write

ROOT = Path(__file__).resolve().parents[2]
CHILD = """\
import asyncio, sys
from pathlib import Path
from tests.store.disk import opened, accepted, ZONE

async def main():
    async with opened(Path(sys.argv[1])) as journal:
        value = 0
        async def one(client):
            nonlocal value
            while True:
                value += 1
                mine = value
                assert await journal.commit({f"{ZONE}{client}": mine}, [accepted(mine)])
                sys.stdout.write(f"{client} {mine}\\n")
                sys.stdout.flush()
        await asyncio.gather(*(one(client) for client in range(5)))

asyncio.run(main())
"""
FULL_CHILD = """\
import asyncio, resource, sys
from pathlib import Path
from tests.store.disk import ZONE, accepted, opened

async def main():
    folder = Path(sys.argv[1])
    async with opened(folder) as journal:
        assert await journal.commit({ZONE: "before"}, [accepted(1)])
        size = (folder / "state.db-wal").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        assert not await journal.commit({ZONE: "during"}, [accepted(2)])
        print("fault:", journal.fault)
        assert not await journal.commit({ZONE: "newest"}, [accepted(3)])
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        while journal.fault:
            await asyncio.sleep(0.02)
        assert await journal.commit({"other": 1}, [])

asyncio.run(main())
"""


async def child(text: str, folder: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", text, str(folder)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


async def test_states_and_evidence_are_there_at_the_next_start(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        assert journal.restored() == {}
        await write(journal, 3)
        assert await journal.commit({"gone": 1, "odd/ö": [None, True, 1.5, "\ud800"]}, [])
        journal.note({"gone": None}, [accepted(4)])
    assert await left(tmp_path) == {ZONE: {"asked": 3}, "odd/ö": [None, True, 1.5, "\ud800"]}
    assert asked(tmp_path) == ["1", "2", "3", "4"]
    assert chain(tmp_path) == (4, "")


async def test_nobody_else_may_read_what_it_writes(tmp_path: Path) -> None:
    async with opened(tmp_path, bounds=Bounds(segment=2)) as journal:
        await write(journal, 5)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    modes |= {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert {"state.db", "state.db-wal", "state.last.json"} <= set(modes)
    assert set(modes.values()) == {0o600}


async def test_C16_what_a_killed_process_was_told_is_on_the_disk(tmp_path: Path) -> None:
    """Killed in the middle of commits, three times on one state."""
    told: dict[str, int] = {}
    records: set[str] = set()
    for lines in (40, 173, 400):
        process = await child(CHILD, tmp_path)
        assert process.stdout is not None
        for _ in range(lines):
            client, value = (await process.stdout.readline()).decode().split()
            told[client] = int(value)
            records.add(value)
        process.send_signal(signal.SIGKILL)
        rest, _ = await process.communicate()
        for line in rest.decode().splitlines(keepends=True):
            if line.endswith("\n"):
                client, value = line.split()
                told[client] = int(value)
                records.add(value)
        found = await left(tmp_path)
        assert all(found[f"{ZONE}{client}"] >= value for client, value in told.items())
        assert records <= set(asked(tmp_path))
        assert chain(tmp_path)[1] == ""
        told = {}


async def test_C16_many_writers_share_one_transaction(tmp_path: Path) -> None:
    disk = Disk()
    async with opened(tmp_path, disk=disk) as journal:
        before = disk.commits
        answers = await asyncio.gather(*(journal.commit({f"{i}": i}, [accepted(i)]) for i in range(200)))
        assert answers == [True] * 200
        assert disk.commits - before <= 3
    assert len(await left(tmp_path)) == 200
    assert asked(tmp_path) == [f"{i}" for i in range(200)]


async def test_C16_the_flag_is_up_before_an_answer_leaves_without_a_commit(tmp_path: Path) -> None:
    disk = Disk()
    async with opened(tmp_path, disk=disk) as journal:
        await write(journal, 1)
        disk.delay_s = 30.0
        with hurried(), Awake() as awake:
            began = time.monotonic()
            assert not await journal.commit({ZONE: "slow"}, [accepted(2)])
            assert time.monotonic() - began > 0.45
            assert awake() < 1.0
            assert "0.5 s" in journal.fault
        with hurried(), Awake() as awake:
            assert not await journal.commit({ZONE: "newer"}, [accepted(3)])
            assert awake() < 0.1, "with the flag up nobody waits"
        disk.delay_s = 0.0
        await until(lambda: not journal.fault)
        assert await journal.commit({}, [accepted(4)])
    assert (await left(tmp_path))[ZONE] == "newer"
    assert asked(tmp_path) == ["1", "2", "3", "4"]


@pytest.mark.parametrize(
    "reason", ["database or disk is full", "disk I/O error", "attempt to write a readonly database"]
)
async def test_W20_H01_a_disk_that_refuses_costs_the_flag_and_nothing_else(tmp_path: Path, reason: str) -> None:
    disk = Disk()
    async with opened(tmp_path, disk=disk) as journal:
        await write(journal, 2)
        disk.refuses = reason
        with Awake() as awake:
            assert not await journal.commit({ZONE: 3, "a": 1}, [accepted(3)])
            assert awake() < 0.4
        assert journal.fault == reason
        for value in range(4, 9):
            assert not await journal.commit({ZONE: value}, [accepted(value)])
        assert asked(tmp_path) == ["1", "2"], "the old state is intact"
        assert journal.fault
        disk.refuses = ""
        await until(lambda: not journal.fault)
        assert await left_now(tmp_path) == {ZONE: 8, "a": 1}
    assert asked(tmp_path) == [f"{value}" for value in range(1, 9)]
    assert chain(tmp_path) == (8, "")


async def left_now(folder: Path) -> dict[str, object]:
    """The states on the disk while the journal runs."""
    connection = sqlite3.connect(folder / "state.db")
    try:
        return {key: json.loads(value) for key, value, _ in connection.execute("SELECT * FROM state")}
    finally:
        connection.close()


async def test_H01_a_file_that_cannot_grow(tmp_path: Path) -> None:
    """The operating system itself refuses the bytes (EFBIG), and takes them later."""
    process = await child(FULL_CHILD, tmp_path)
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, err.decode()
    assert "fault: disk I/O error" in out.decode()
    assert await left(tmp_path) == {ZONE: "newest", "other": 1}
    assert asked(tmp_path) == ["1", "2", "3"]


async def test_H01_a_full_disk_at_the_start_is_no_reason_to_forget(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        await write(journal, 4)
    disk = Disk()
    disk.refuses = "database or disk is full"
    async with opened(tmp_path, disk=disk) as journal:
        assert journal.restored() == {ZONE: {"asked": 4}}
        assert journal.fault
        assert not await journal.commit({"b": 2}, [accepted(5)])
        disk.refuses = ""
        await until(lambda: not journal.fault)
    assert await left(tmp_path) == {ZONE: {"asked": 4}, "b": 2}
    assert chain(tmp_path) == (5, "")


async def test_a_disk_that_says_no_and_had_taken_it_gets_it_once(tmp_path: Path) -> None:
    disk = Disk()
    async with opened(tmp_path, disk=disk) as journal:
        await write(journal, 1)
        disk.forgets_to_say = True
        assert not await journal.commit({ZONE: 2}, [accepted(2)])
        await until(lambda: not journal.fault)
        await write(journal, 1, first=3)
    assert asked(tmp_path) == ["1", "2", "3"]
    assert chain(tmp_path) == (3, "")


async def test_evidence_that_waits_is_bounded_and_what_was_lost_is_counted(tmp_path: Path) -> None:
    disk = Disk()
    async with opened(tmp_path, disk=disk, bounds=Bounds(waiting=10)) as journal:
        await write(journal, 1)
        disk.refuses = "disk I/O error"
        assert not await journal.commit({ZONE: 0}, [accepted(2)])
        for value in range(3, 33):
            await journal.commit({ZONE: value}, [accepted(value)])
        disk.refuses = ""
        await until(lambda: not journal.fault)
        await write(journal, 1, first=100)
        assert await left_now(tmp_path) == {ZONE: {"asked": 100}}
    told = [(r["event"], r["new"] or r["answer"]) for r in EvidenceBook(tmp_path).records(Wanted())]
    lost = ("lost", "20 records did not fit while the disk took none")
    assert told == [*(("accepted", f"{value}") for value in range(1, 13)), lost, ("accepted", "100")]


async def test_closing_writes_what_waits_and_never_hangs(tmp_path: Path) -> None:
    disk = Disk()
    async with opened(tmp_path, disk=disk) as journal:
        disk.delay_s = 0.2
        for value in range(50):
            journal.note({ZONE: value}, [accepted(value)])
    disk.delay_s = 0.0
    assert await left(tmp_path) == {ZONE: 49}
    with Awake() as awake:
        async with opened(tmp_path, disk=disk) as journal:
            disk.refuses = "disk I/O error"
            journal.note({ZONE: 50}, [])
            began, ran = time.monotonic(), awake()
        assert time.monotonic() - began > 1.5
        assert awake() - ran < 2.6
    await until(lambda: not any(thread.name == "journal" for thread in threading.enumerate()))
    assert await left(tmp_path) == {ZONE: 50}, "the copy beside it took what the database did not"


async def test_a_client_that_does_not_wait_changes_nothing(tmp_path: Path) -> None:
    disk = Disk()
    async with opened(tmp_path, disk=disk) as journal:
        disk.delay_s = 0.2
        async with asyncio.TaskGroup() as group:
            task = group.create_task(journal.commit({ZONE: 1}, [accepted(1)]))
            await asyncio.sleep(0.05)
            task.cancel()
        disk.delay_s = 0.0
        await write(journal, 1, first=2)
    assert asked(tmp_path) == ["1", "2"]


def test_a_state_that_is_no_json_is_a_fault_of_ours(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path) as journal:
            with pytest.raises(ValueError, match="JSON"):
                await journal.commit({ZONE: float("nan")}, [])
            assert await journal.commit({ZONE: 1}, [])

    asyncio.run(run())
    with pytest.raises(RuntimeError, match="not open"):
        SqliteJournal(tmp_path, clock=None).note({}, [])  # type: ignore[arg-type]
