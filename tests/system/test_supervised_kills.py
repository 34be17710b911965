"""Failsafe, releases and actions of the real process when it, the BMS and the product die one after the other."""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import signal
import struct
from collections.abc import Callable
from typing import Any

import pytest

from gateway.checkout import ModbusClient
from gateway.store.evidence import EvidenceBook, Wanted
from tests.site import until
from tests.system.conftest import Bench, Process
from tests.system.test_service import complete

ZONE = "evce/zone/Zone A/reduction"
RESET = "evce/station/Bay 001/reset"


class Bms(ModbusClient):
    """A client at another loopback address, for another client group."""

    def __init__(self, bench: Bench, host: str) -> None:
        super().__init__("127.0.0.1", int(bench.files.data["modbus"]["listen"].rpartition(":")[2]))
        self._from = host

    async def __aenter__(self) -> Bms:
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port, local_addr=(self._from, 0))
        return self


def two_groups(bench: Bench) -> None:
    bench.files.data["modbus"]["clients"] = [
        {"name": "bms", "allow": "127.0.0.1/32", "slot": 10, "write": True}
        | {"lease_s": 5, "on_bms_loss": {"value": 10}},
        {"name": "ems", "allow": "127.0.0.2/32", "slot": 12, "write": True, "lease_s": 5, "on_bms_loss": "release"},
    ]
    bench.files.write()


def limits(bench: Bench) -> list[Any]:
    return [item.body.get("value", "release") for item in bench.evce.received if item.method == "PUT"]


def held(bench: Bench, zone: str = "Zone A") -> float | None:
    found = bench.evce.site.zone(zone).reduction
    return found.value_a if found.kind == "current" else None


async def row(process: Process, point: str = ZONE) -> dict[str, Any]:
    code, out, _ = await process.cli("read", point, "--json")
    found: dict[str, Any] = json.loads(out) if code == 0 else {"receipt": {}, "slots": {}, "value": None}
    return found


async def shows(process: Process, seen: Callable[[dict[str, Any]], bool], point: str = ZONE) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(60):
        found = await row(process, point)
        if seen(found):
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(found)


def receipt(status: str, authority: str) -> Callable[[dict[str, Any]], bool]:
    wanted = (status, authority)
    return lambda found: (found["receipt"].get("write_status"), found["receipt"].get("authority")) == wanted


async def register(process: Process, point: str = ZONE) -> int:
    return int((await row(process, point))["modbus"]["register"])


@pytest.mark.timeout(120)
@pytest.mark.parametrize("dialect", ["desc", "nested"])
async def test_C05_C10_C11_failsafe_outlives_a_kill_and_the_reboot_of_the_product(bench: Bench, dialect: str) -> None:
    await bench.products(dialect)
    two_groups(bench)
    first = await bench.run()
    await complete(first)
    where = await register(first)
    async with Bms(bench, "127.0.0.1") as bms, Bms(bench, "127.0.0.2") as ems:
        await bms.write_float(where, 20.0)
        await ems.write_float(where, 30.0)
        await until(lambda: held(bench) == 20.0)
    await until(lambda: held(bench) == 10.0, 20.0)
    await shows(first, receipt("in force", "failsafe"))
    await first.end(signal.SIGKILL)
    await bench.evce.do("reboot")
    await bench.evce.do("set_reduction", name="Zone A")
    second = await bench.run()
    await until(lambda: held(bench) == 10.0, 30.0)
    found = await shows(second, receipt("in force", "failsafe"))
    assert found["value"] == 10.0
    assert [(number, slot["failsafe"], slot["value"]) for number, slot in found["slots"].items()] == [
        ("10", True, 10.0),
        ("12", True, None),
    ]
    async with Bms(bench, "127.0.0.1") as bms:
        await bms.write_float(where, 25.0)
        await until(lambda: held(bench) == 25.0)
        await shows(second, receipt("in force", "controlled"))
    await second.end(signal.SIGKILL)
    await asyncio.sleep(6.0)
    third = await bench.run()
    await shows(third, lambda found: found.get("value") == 25.0 and found["receipt"].get("authority") == "controlled")
    await until(lambda: held(bench) == 10.0, 20.0)
    await shows(third, receipt("in force", "failsafe"))
    assert EvidenceBook(bench.folder / "state").verify().broken == ""


@pytest.mark.timeout(90)
async def test_C06_C14_a_pending_release_follows_its_zone_to_another_id(bench: Bench) -> None:
    await bench.products()
    first = await bench.run()
    await complete(first)
    for zone, amperes in (("Zone A", "20"), ("Zone B", "30")):
        code, _, err = await first.cli("write", ZONE.replace("Zone A", zone), amperes)
        assert code == 0, err
        await until(lambda z=zone, a=amperes: held(bench, z) == float(a))
    await bench.evce.stop()
    code, _, err = await first.cli("release", ZONE)
    assert code == 0, err
    await bench.evce.do("import")
    new = {zone.name: key for key, zone in bench.evce.site.zones.items()}
    await first.end(signal.SIGKILL)
    before = len(bench.evce.received)
    await bench.evce.start()
    second = await bench.run()
    await until(lambda: held(bench) is None, 30.0)
    await shows(second, receipt("idle", "autonomous"))
    assert held(bench, "Zone B") == 30.0
    sent = [item.path for item in bench.evce.received[before:] if item.method == "PUT"]
    assert sent == [f"{bench.evce.base}/em/zones/{new['Zone A']}/reduction"]


@pytest.mark.timeout(90)
async def test_C16_W20_a_disk_that_is_full_to_the_last_byte(bench: Bench) -> None:
    """No file of the process may grow, its log included: commands work, the flag is up before the answer."""
    await bench.products()
    first = await bench.run()
    await complete(first)
    where = await register(first)
    async with Bms(bench, "127.0.0.1") as bms:
        await bms.write_float(where, 20.0)
        await until(lambda: held(bench) == 20.0)
        resource.prlimit(first.process.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
        await bms.write_float(where, 19.0)
        (flags,) = struct.unpack(">H", await bms.read(14, 1))
        assert flags & 1
        await until(lambda: held(bench) == 19.0)
        for number in range(300):
            await bms.write_float(where, 20.0 + number % 5)
        await bms.write_float(where, 18.0)
        await until(lambda: held(bench) == 18.0)
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(first.process.pid, resource.RLIMIT_FSIZE, unlimited)
        for _ in range(100):
            (flags,) = struct.unpack(">H", await bms.read(14, 1))
            if not flags & 1:
                break
            await asyncio.sleep(0.1)
        assert not flags & 1
    await first.end(signal.SIGKILL)
    second = await bench.run()
    found = await shows(second, receipt("in force", "controlled"))
    assert found["value"] == 18.0
    book = EvidenceBook(bench.folder / "state")
    assert book.verify().broken == ""
    accepted = [record["new"] for record in book.records(Wanted(event="accepted"))]
    assert (len(accepted), accepted[-1]) == (303, "18.0")


@pytest.mark.timeout(90)
async def test_C15_an_action_is_never_repeated_whenever_the_gateway_is_killed(bench: Bench) -> None:
    await bench.products()
    process = await bench.run()
    await complete(process)
    for wait_s in (0.0, 0.05, 0.3):
        where = await register(process, RESET)
        before = len(posts(bench))
        async with Bms(bench, "127.0.0.1") as bms:
            await bms.write(where, b"\0\0")
            with contextlib.suppress(Exception):
                await bms.write(where, b"\0\1")
            await asyncio.sleep(wait_s)
            await process.end(signal.SIGKILL)
        process = await bench.run()
        found = await shows(process, lambda row: row["receipt"].get("result") not in (None, "running"), RESET)
        assert found["value"] == 1
        async with Bms(bench, "127.0.0.1") as bms:
            await bms.write(where, b"\0\1")
        await complete(process)
        assert len(posts(bench)) - before <= 1


def posts(bench: Bench) -> list[str]:
    return [item.path for item in bench.evce.received if item.path.endswith("/cmds/reset")]
