"""mbpoll and @bacnet-js/client read for each point what the simulated products hold, in both dialects."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from gateway.simulator import EvceSimulator
from tests.site import Running, StillClock, run_program, running_site

JS = Path(__file__).resolve().parents[1] / "servers" / "bacnet" / "js"
STATES = ("Available", "Preparing", "Charging", "SuspendedEVSE", "SuspendedEV")
STATES += ("Finishing", "Reserved", "Unavailable", "Faulted")
OBJECT_TYPES = {"analog-input": 0, "analog-value": 2, "binary-input": 3, "multi-state-input": 13}
FORMATS = {"float32": "4:float", "uint32": "4:int", "uint16": "4", "enum": "4", "bool": "4"}
PRESENT_VALUE, PRIORITY_ARRAY = 85, 87


def truth(sim: EvceSimulator) -> dict[str, float]:
    """What the model holds, in the units the mapping promises."""
    values: dict[str, float] = {}
    for zone in sim.site.zones.values():
        name = f"evce/zone/{zone.name}"
        values |= {f"{name}/current_l{i}": amps for i, amps in enumerate(zone.current_a, 1)}
        values |= {
            f"{name}/power": zone.power_w / 1000,
            f"{name}/stations_charging": zone.charging,
            f"{name}/stations_total": len(zone.stations),
            f"{name}/maximum": zone.max_a,
            f"{name}/setpoint": zone.limit_a,
            f"{name}/reduction.applied": zone.limit_a,
        }
    for station in sim.site.stations.values():
        name = f"evce/station/{station.name}"
        values |= {f"{name}/current_l{i}": amps for i, amps in enumerate(station.current_a, 1)}
        values |= {
            f"{name}/status": STATES.index(station.status) + 1,
            f"{name}/power": station.power_w / 1000,
            f"{name}/energy": station.energy_wh / 1000,
            f"{name}/setpoint": station.setpoint_a,
            f"{name}/online": 1,
        }
        values[f"evce/connector/{station.name}#1/status"] = STATES.index(station.connector_status(1)) + 1
    for meter in sim.site.meters.values():
        reading, name = sim.site.reading(meter), f"evce/meter/{meter.name}"
        values |= {f"{name}/current_l{i}": amps for i, amps in enumerate(reading.current_a, 1)}
        values |= {f"{name}/voltage_l{i}": volts for i, volts in enumerate(reading.voltage_v, 1)}
        values |= {f"{name}/power": reading.power_w / 1000, f"{name}/energy": reading.energy_wh / 1000}
    return values


async def by_mbpoll(site: Running, point: str) -> float:
    place = site.placed(point).registers[0]
    form = FORMATS[place.spec.type.name]
    swap = ("-B",) if place.spec.type.words == 2 else ()
    code, out, err = await run_program(
        *("mbpoll", "-m", "tcp", "-a", "1", "-p", str(site.modbus_port), "-0", "-1", "-q"),
        *("-r", str(place.register), "-t", form, *swap, "127.0.0.1"),
    )
    assert code == 0, f"{point}: {err}"
    match = re.search(r"\[\d+\]:\s+(\S+)", out)
    assert match, out
    return float(match[1])


async def node(site: Running, calls: list[list[Any]]) -> list[Any]:
    code, out, err = await run_program(
        "node", str(JS / "client.js"), f"127.0.0.1:{site.bacnet_port}", text=json.dumps(calls)
    )
    assert code == 0, err
    return json.loads(out)


async def by_node(site: Running, points: list[str]) -> dict[str, float]:
    calls: list[list[Any]] = []
    for point in points:
        place = site.placed(point).objects[0]
        where = {"type": OBJECT_TYPES[place.object], "instance": place.instance}
        calls.append(["readProperty", where, PRESENT_VALUE])
    answers = await node(site, calls)
    return {point: float(answer["values"][0]["value"]) for point, answer in zip(points, answers, strict=True)}


def need_peers() -> None:
    for program in ("mbpoll", "node"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    if not (JS / "node_modules").is_dir():
        pytest.skip("@bacnet-js/client is not installed: npm install in tests/servers/bacnet/js")


@pytest.mark.parametrize("dialect", ["desc", "nested"])
async def test_both_protocols_show_what_the_product_holds(tmp_path: Path, dialect: str) -> None:
    need_peers()
    async with running_site(tmp_path, dialect, clock=StillClock(), stations=8, zones=2, meters=2) as site:
        await site.complete()
        expected = truth(site.evce)
        assert len(expected) > 100
        seen = await by_node(site, list(expected))
        wrong = {p: (seen[p], v) for p, v in expected.items() if seen[p] != pytest.approx(v, abs=0.06, rel=1e-4)}
        assert wrong == {}
        polled = [point for i, point in enumerate(expected) if i % 3 == 0]
        for point in polled:
            assert await by_mbpoll(site, point) == pytest.approx(expected[point], abs=0.06, rel=1e-4), point


@pytest.mark.parametrize(
    ("dialect", "body", "released"),
    [
        (
            "desc",
            {"type": "current", "value": 48.5, "valid_mode": "permanent"},
            {"type": "none", "value": 250.0, "valid_mode": "permanent"},
        ),
        (
            "nested",
            {"kind": "absolute", "limit_da": 485, "validity": {"mode": "unlimited"}},
            {"kind": "off"},
        ),
    ],
)
async def test_a_limit_goes_back_over_each_protocol(
    tmp_path: Path, dialect: str, body: dict[str, Any], released: dict[str, Any]
) -> None:
    need_peers()
    point = "evce/zone/Zone A/reduction"
    async with running_site(tmp_path, dialect, stations=4, zones=1, meters=1) as site:
        await site.complete()
        register = str(site.register(point))
        code, _, err = await run_program(
            *("mbpoll", "-m", "tcp", "-a", "1", "-p", str(site.modbus_port), "-0", "-q"),
            *("-r", register, "-t", "4:float", "-B", "127.0.0.1", "48.5"),
        )
        assert code == 0, err
        await site.until(lambda: site.value(f"{point}.write_status") == 4)
        assert site.puts() == [body]
        where = {"type": 2, "instance": site.placed(point).objects[0].instance}
        answers = await node(
            site,
            [
                ["readProperty", where, PRIORITY_ARRAY],
                ["writeProperty", where, PRESENT_VALUE, [{"type": 4, "value": 30}], {"priority": 8}],
            ],
        )
        slots = [item["value"] for item in answers[0]["values"]]
        assert slots == [None] * 9 + [48.5] + [None] * 6
        await site.until(lambda: site.value(f"{point}.applied") == 30 and site.value(f"{point}.winner") == 8)
        await node(site, [["writeProperty", where, PRESENT_VALUE, [{"type": 0}], {"priority": 8}]])
        await site.until(lambda: site.value(f"{point}.applied") == 48.5)
        release = str(site.register(f"{point}.release"))
        code, _, err = await run_program(
            *("mbpoll", "-m", "tcp", "-a", "1", "-p", str(site.modbus_port), "-0", "-q"),
            *("-r", release, "-t", "4", "127.0.0.1", "1"),
        )
        assert code == 0, err
        await site.until(lambda: site.value(f"{point}.write_status") == 1)
        assert site.puts()[-1] == released
        assert site.evce.site.zone("Zone A").reduction.kind == "none"
