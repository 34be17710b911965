"""A whole site with a Modbus unit per source and per resource, read and written by pyModbusTCP and mbpoll."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyModbusTCP.client import ModbusClient
from pyModbusTCP.constants import EXP_DATA_ADDRESS, EXP_GATEWAY_TARGET_DEVICE_FAILED_TO_RESPOND
from pyModbusTCP.utils import decode_ieee, encode_ieee, long_list_to_word, word_list_to_long

from gateway.addressing import units
from tests.site import Running, StillClock, run_program, running_site

SITE: dict[str, Any] = {"clock": StillClock(), "stations": 4, "zones": 2, "meters": 1}
MAGIC = [0x4556, 0x4757]
LIMIT = "evce/zone/Zone B/reduction"
BODIES = {
    "desc": {"type": "current", "value": 48.5, "valid_mode": "permanent"},
    "nested": {"kind": "absolute", "limit_da": 485, "validity": {"mode": "unlimited"}},
}


@pytest.fixture(autouse=True)
def no_runtime_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)


def divided(mode: str, first: int = 1) -> Callable[[dict[str, Any]], None]:
    def change(data: dict[str, Any]) -> None:
        data["modbus"] |= {"units": mode, "unit": first}

    return change


class Bms:
    """A BMS: `words` reads registers of a unit, or gives the exception code."""

    def __init__(self, site: Running) -> None:
        self._port = site.modbus_port

    async def _do(self, unit: int, work: Callable[[ModbusClient], Any]) -> Any:
        def session() -> Any:
            client = ModbusClient("127.0.0.1", self._port, unit_id=unit, timeout=5)
            try:
                return work(client) or client.last_except
            finally:
                client.close()

        return await asyncio.to_thread(session)

    async def words(self, unit: int, register: int, count: int = 1) -> Any:
        return await self._do(unit, lambda client: client.read_holding_registers(register, count))

    async def write(self, unit: int, register: int, words: list[int]) -> Any:
        """True, or the exception code."""
        return await self._do(unit, lambda client: client.write_multiple_registers(register, words))

    async def number(self, site: Running, point: str) -> float:
        """A float32 where the gateway says that it is."""
        place = site.placed(point).registers[0]
        found = await self.words(place.unit, place.register, 2)
        assert isinstance(found, list), f"{point}: exception {found}"
        return float(decode_ieee(word_list_to_long(found)[0]))


def places(site: Running) -> dict[str, tuple[int, int]]:
    """Unit and first register of every point that has one."""
    return {p.name: (p.registers[0].unit, p.registers[0].register) for p in site.daemon.placed.values() if p.registers}


def resource_units(site: Running) -> dict[str, int]:
    """The unit of every resource."""
    return {r.label: r.seat.unit for r in site.daemon.inventory.resources.values() if r.seat is not None}


async def cli(site: Running, *arguments: str) -> str:
    code, out, err = await run_program(sys.executable, "-m", "gateway", *arguments, "-c", str(site.files.config))
    assert code == 0, err
    return out


def told(text: str) -> dict[str, tuple[int, int]]:
    """Unit and register of every row of `points --json`."""
    rows = json.loads(text)
    return {row["point"]: (row["modbus"]["unit"], row["modbus"]["register"]) for row in rows if row["modbus"]}


async def check_headers(site: Running, bms: Bms, answering: set[int]) -> None:
    """The header is in every unit that answers, with the same map hash; every other unit is unknown."""
    await site.until(lambda: site.value("gateway/header/map_hash") == site.daemon.map_hash())
    map_hash = [site.daemon.map_hash() >> shift & 0xFFFF for shift in (48, 32, 16, 0)]
    for unit in answering:
        header = await bms.words(unit, 0, 100)
        assert header[:2] == MAGIC, unit
        assert header[3:7] == map_hash
        assert header[10:12] == [3, 3], "three sources, all good"
    for unit in {0, 1, 2, 100, 247, 255} - answering:
        assert await bms.words(unit, 0, 2) == EXP_GATEWAY_TARGET_DEVICE_FAILED_TO_RESPOND, unit


@pytest.mark.parametrize("dialect", ["desc", "nested"])
async def test_M07_M14_a_unit_per_source(tmp_path: Path, dialect: str) -> None:
    async with running_site(tmp_path, dialect, change=divided("per_source", 5), **SITE) as site:
        await site.complete()
        await site.until(lambda: site.value("gateway/header/sources_good") == 3)
        bms = Bms(site)
        assert {label.split("/")[0]: unit for label, unit in resource_units(site).items() if "header" not in label} == {
            "evce": 5,
            "garage-7": 6,
            "garage-8": 7,
        }
        assert places(site)[LIMIT] == (5, 1100), "registers as with one unit"
        assert places(site)["garage-8/source/connected"] == (7, 132)
        assert await bms.number(site, f"{LIMIT}.applied") == site.evce.site.zone("Zone B").limit_a
        assert await bms.words(7, 132) == [1]
        assert await bms.words(5, 6500) == [0xFFFF], "a gap in a region"
        assert await bms.words(6, 1100, 2) == EXP_DATA_ADDRESS, "zones are in the unit of their source"
        await check_headers(site, bms, {5, 6, 7})
        assert await bms.write(5, 1100, long_list_to_word([encode_ieee(48.5)])) is True
        await site.until(lambda: site.value(f"{LIMIT}.write_status") == 4)
        assert site.puts() == [BODIES[dialect]]
        before = places(site)
        assert told(await cli(site, "points", "--json")) == before
    assert told(await cli(site, "points", "--json")) == before, "also without a gateway"


@pytest.mark.parametrize("dialect", ["desc", "nested"])
async def test_M07_M14_a_unit_per_resource(tmp_path: Path, dialect: str) -> None:
    async with running_site(tmp_path, dialect, change=divided("per_resource"), **SITE) as site:
        await site.complete()
        await site.until(lambda: site.value("gateway/header/sources_good") == 3)
        bms, where = Bms(site), resource_units(site)
        tops = {label: unit for label, unit in where.items() if "/connector/" not in label}
        own = {label: unit for label, unit in tops.items() if "/source" not in label and "/header" not in label}
        assert len(own) == 2 + 4 + 1 + 2
        assert sorted(own.values()) == list(range(2, 11)), "one each, without a hole"
        assert {unit for label, unit in tops.items() if label not in own} == {1}
        zones, stations = ("Zone A", "Zone B"), sorted(site.evce.site.stations.values(), key=lambda s: s.name)
        for name in zones:
            assert places(site)[f"evce/zone/{name}/power"] == (where[f"evce/zone/{name}"], 1008)
            power = await bms.number(site, f"evce/zone/{name}/power")
            assert power == pytest.approx(site.evce.site.zone(name).power_w / 1000, abs=0.06)
        for station in stations:
            unit = where[f"evce/station/{station.name}"]
            assert await bms.number(site, f"evce/station/{station.name}/power") == pytest.approx(
                station.power_w / 1000, abs=0.06
            )
            for n in range(1, station.connectors + 1):
                assert places(site)[f"evce/connector/{station.name}#{n}/status"][0] == unit
            assert sorted(r for p, (u, r) in places(site).items() if u == unit and p.endswith("/reset")) == [
                places(site)[f"evce/station/{stations[0].name}/reset"][1]
            ], "the actions stand where those of every station stand"
        for number in (7, 8):
            assert places(site)[f"garage-{number}/charger/ambient_temp"][1] < 61064, "a charger's first block"
        await check_headers(site, bms, set(tops.values()))
        await check_edges(bms, where)
        before = places(site)
        assert told(await cli(site, "points", "--json")) == before
    assert told(await cli(site, "points", "--json")) == before, "also without a gateway"


async def check_edges(bms: Bms, where: dict[str, int]) -> None:
    """What can be read as a block in a unit and what cannot."""
    zone = where["evce/zone/Zone A"]
    assert (await bms.words(zone, 1000, 60))[16:40] == [0xFFFF] * 24, "a whole block"
    assert await bms.words(zone, 1060) == EXP_DATA_ADDRESS, "another zone's block is in another unit"
    assert await bms.words(zone, 7000) == EXP_DATA_ADDRESS
    assert await bms.words(zone, 100) == EXP_DATA_ADDRESS, "the sources are in the gateway's unit"
    assert await bms.words(1, 100) == [1]
    assert await bms.words(1, 1000) == EXP_DATA_ADDRESS


@pytest.mark.parametrize("dialect", ["desc", "nested"])
async def test_a_limit_written_to_a_units_register_reaches_that_zone(tmp_path: Path, dialect: str) -> None:
    if shutil.which("mbpoll") is None:
        pytest.skip("mbpoll is not installed")
    async with running_site(tmp_path, dialect, change=divided("per_resource"), **SITE) as site:
        await site.complete()
        bms, zone = Bms(site), resource_units(site)["evce/zone/Zone B"]
        assert places(site)[LIMIT] == (zone, 1040)
        at = ("mbpoll", "-m", "tcp", "-a", str(zone), "-p", str(site.modbus_port), "-0", "-q", "-r", "1040")
        code, _, err = await run_program(*at, "-t", "4:float", "-B", "127.0.0.1", "48.5")
        assert code == 0, err
        await site.until(lambda: site.value(f"{LIMIT}.write_status") == 4)
        assert site.puts() == [BODIES[dialect]]
        assert site.evce.site.zone("Zone B").limit_a == 48.5
        assert site.evce.site.zone("Zone A").limit_a != 48.5
        code, out, err = await run_program(*at, "-t", "4:float", "-B", "-1", "127.0.0.1")
        match = re.search(r"\[1040\]:\s+(\S+)", out)
        assert match, err
        assert float(match[1]) == 48.5
        assert await bms.write(1, 1040, [0, 0]) == EXP_DATA_ADDRESS
        assert await bms.write(200, 1040, [0, 0]) == EXP_GATEWAY_TARGET_DEVICE_FAILED_TO_RESPOND


async def test_a_restart_and_what_comes_and_goes_move_no_unit(tmp_path: Path) -> None:
    async with running_site(tmp_path, change=divided("per_resource"), **SITE) as site:
        await site.complete()
        first, map_hash = places(site), site.daemon.map_hash()
    rows = yaml.safe_load((tmp_path / "state" / "addresses.yaml").read_text(encoding="utf-8"))["blocks"]
    saved = {f"{row['source']}/{row['kind']}/{row['name']}": row.get("unit") for row in rows}
    assert saved["evce/zone/Zone B"] == first["evce/zone/Zone B/power"][0]
    assert saved["evce/source/evce"] is None, "it stands with the gateway"

    def fewer(data: dict[str, Any]) -> None:
        divided("per_resource")(data)
        data["sources"][0]["exclude"] = ["zone/Zone A"]
        data["sources"].insert(0, data["sources"].pop())

    async with running_site(tmp_path, change=fewer, **{**SITE, "stations": 6}) as site:
        await site.until(lambda: site.value("evce/station/Bay 006/power") is not None)
        now = places(site)
        assert "evce/zone/Zone A/power" not in now
        assert {point: now.get(point) for point in first if "Zone A" not in point} == {
            point: at for point, at in first.items() if "Zone A" not in point
        }
        assert site.daemon.map_hash() != map_hash
        assert await Bms(site).words(first["evce/zone/Zone A/power"][0], 0) == (
            EXP_GATEWAY_TARGET_DEVICE_FAILED_TO_RESPOND
        ), "its unit is nobody else's"
    async with running_site(tmp_path, change=divided("per_resource"), **{**SITE, "stations": 6}) as site:
        await site.complete()
        assert {point: places(site).get(point) for point in first} == first


async def test_what_finds_no_unit_is_counted_and_its_bacnet_objects_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "LAST_UNIT", 6)
    async with running_site(tmp_path, change=divided("per_resource"), **SITE) as site:
        await site.complete()
        status = json.loads(await cli(site, "status", "--json"))
        assert sum(count for label, count in status["without_unit"].items() if "connector" not in label) == 9 - 5
        assert status["without_address"] == status["without_unit"]
        assert status["alarms"] >= len(status["without_unit"])
        lost = next(r for r in site.daemon.inventory.resources.values() if r.name and not r.parent and r.seat is None)
        assert site.placed(f"{lost.label}/power").registers == ()
        assert site.placed(f"{lost.label}/power").objects != ()
        shown = await cli(site, "status")
        label = f"{lost.source}/{lost.kind.name}"
        assert f"no Modbus unit left for {status['without_unit'][label]} of {label}: 247 are the most" in shown
