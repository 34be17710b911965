"""What a BMS was told survives the worst: the real process killed at the wrong moment, and a disk that is no use."""

from __future__ import annotations

import functools
import json
import signal
import struct
from pathlib import Path
from typing import Any

import pytest

from gateway.checkout import ModbusClient
from gateway.store import SqliteJournal
from gateway.store.evidence import EvidenceBook, Wanted
from tests.site import running_site, until
from tests.store.disk import Disk
from tests.system.conftest import Bench, Process
from tests.system.test_service import complete

ZONE = "evce/zone/Zone A/reduction"
FLAGS = 14


def limits(bench: Bench) -> list[Any]:
    """The values of all limits that the product has received."""
    return [item.body["value"] for item in bench.evce.received if item.method == "PUT"]


def events(bench: Bench) -> list[str]:
    return [record["event"] for record in EvidenceBook(bench.folder / "state").records(Wanted(point=ZONE))]


async def kill(process: Process) -> None:
    await process.end(signal.SIGKILL)


async def receipt(process: Process) -> dict[str, Any]:
    code, out, _ = await process.cli("read", ZONE, "--json")
    row: dict[str, Any] = json.loads(out) if code == 0 else {"receipt": {}}
    return {**row["receipt"], "value": row.get("value")}


async def in_force(process: Process) -> None:
    for _ in range(100):
        if (await receipt(process)).get("write_status") == "in force":
            return
    raise AssertionError("the limit did not come into force")


@pytest.mark.timeout(90)
async def test_W14_C16_killed_after_the_answer_and_before_the_put(bench: Bench) -> None:
    await bench.products()
    first = await bench.run()
    await complete(first)
    await bench.evce.stop()
    code, _, err = await first.cli("write", ZONE, "21")
    assert code == 0, err
    await kill(first)
    assert limits(bench) == []
    await bench.evce.start()
    second = await bench.run()
    await until(lambda: limits(bench) == [21.0], 30.0)
    await in_force(second)
    assert (await receipt(second))["value"] == 21
    code, out, _ = await second.cli("evidence", "verify")
    assert code == 0
    assert "unbroken" in out
    assert [event for event in events(bench) if event in ("accepted", "sent")] == ["accepted", "sent"]


@pytest.mark.timeout(90)
async def test_W15_killed_while_the_product_answers_the_put(bench: Bench) -> None:
    """The product has taken the limit; its answer never arrives, and nobody noted what became of it."""
    await bench.products()
    first = await bench.run()
    await complete(first)
    bench.evce.faults.add("/em/zones/*/reduction", method="PUT", body="x" * 100, trickle_s=1.0)
    code, _, err = await first.cli("write", ZONE, "22")
    assert code == 0, err
    await until(lambda: limits(bench) == [22.0])
    await kill(first)
    bench.evce.faults.clear()
    second = await bench.run()
    await in_force(second)
    assert limits(bench) == [22.0], "the read-back decides; nothing is repeated"
    assert EvidenceBook(bench.folder / "state").verify().broken == ""


@pytest.mark.timeout(90)
async def test_C06_C16_a_release_survives_a_kill(bench: Bench) -> None:
    await bench.products()
    first = await bench.run()
    await complete(first)
    await first.cli("write", ZONE, "23")
    await in_force(first)
    await bench.evce.stop()
    code, _, err = await first.cli("release", ZONE)
    assert code == 0, err
    await kill(first)
    await bench.evce.start()
    await bench.run()
    await until(lambda: bench.evce.site.zone("Zone A").reduction.kind == "none", 30.0)


@pytest.mark.timeout(90)
async def test_H03_a_damaged_state_is_an_alarm_and_the_limit_stays_in_force(bench: Bench) -> None:
    await bench.products()
    first = await bench.run()
    await complete(first)
    await first.cli("write", ZONE, "24")
    await in_force(first)
    assert await first.end() == 0
    (bench.folder / "state" / "state.db").write_bytes(b"\xa5" * 20_000)
    second = await bench.run()
    await in_force(second)
    code, out, _ = await second.cli("status", "--json")
    assert code == 0
    (text,) = [text for text in json.loads(out)["alarm_texts"] if "state.db" in text]
    assert "kept as state.db.broken" in text
    assert (await receipt(second))["value"] == 24
    assert set(limits(bench)) == {24.0}


async def test_W20_H01_with_a_full_disk_commands_work_and_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk()
    journal = functools.partial(SqliteJournal, connect=disk.connect)
    monkeypatch.setattr("gateway.app.plant.SqliteJournal", journal)
    async with running_site(tmp_path, stations=2, zones=1, meters=1) as site:
        await site.complete()
        alarms = site.daemon.alarms.texts
        async with ModbusClient("127.0.0.1", site.modbus_port) as bms:

            async def faulted() -> bool:
                (flags,) = struct.unpack(">H", await bms.read(FLAGS, 1))
                return bool(flags & 1)

            await bms.write_float(site.register(ZONE), 20.0)
            assert not await faulted()
            disk.refuses = "database or disk is full"
            await bms.write_float(site.register(ZONE), 19.0)
            assert await faulted(), "raised before the answer left"
            assert any("disk is full" in text for text in alarms().values())
            await site.until(lambda: [put["value"] for put in site.puts()][-1:] == [19.0])
            disk.refuses = ""
            await site.until(lambda: not site.daemon.journal.fault)
            assert not await faulted()
            await site.until(lambda: not any("disk is full" in text for text in alarms().values()))
    records = EvidenceBook(tmp_path / "state").records(Wanted(event="accepted"))
    assert [record["new"] for record in records] == ["20.0", "19.0"]
