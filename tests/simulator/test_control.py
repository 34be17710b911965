import asyncio

import aiohttp
import pytest

from gateway.simulator import BenderSimulator, ControlServer, EvceSimulator, OperationError, run_simulator
from gateway.simulator.bender import BENDER_OPERATIONS
from gateway.simulator.evce_operations import EVCE_OPERATIONS


@pytest.fixture
async def control(evce):
    async with ControlServer(evce) as server, aiohttp.ClientSession(server.url) as session:
        yield session


async def test_state_shows_the_truth(control, evce):
    state = await (await control.get("/state")).json()
    assert state["kind"] == "evce"
    assert [zone["name"] for zone in state["zones"]] == ["Zone A", "Zone B", "Zone C"]
    assert state["stations"][0]["energy_wh"] == evce.site.station("Bay 001").energy_wh


async def test_do_and_received(control, evce, client):
    await client.call("PUT", "/em/zones/1/reduction", {"x": 1})
    received = await (await control.get("/received")).json()
    assert received[-1]["body"] == {"x": 1}
    assert received[-1]["status"] == 400
    answer = await control.post("/do", json={"op": "rename", "kind": "zone", "name": "Zone A", "to": "North"})
    assert (answer.status, await answer.json()) == (200, {})
    assert evce.site.zones[1].name == "North"


@pytest.mark.parametrize(
    "body",
    [
        None,
        {},
        {"op": "fly"},
        {"op": "rename"},
        {"op": "rename", "kind": "zone", "name": "Nowhere", "to": "x"},
        {"op": "rename", "kind": "roof", "name": "Zone A", "to": "x"},
        {"op": "replace", "name": "Nobody"},
        {"op": "freeze", "name": "Nothing"},
        {"op": "revoke", "self": 1},
        {"op": "clock_offset", "seconds": "1"},
        {"op": "clock_offset", "seconds": True},
        {"op": "replace_certificate"},
        {"op": "add", "kind": "roof", "name": "x"},
        {"op": "second_login", "mode": "maybe"},
    ],
)
async def test_nonsense_is_400_with_a_sentence(control, body):
    answer = await control.post("/do", json=body)
    assert answer.status == 400
    assert " " in await answer.text()


async def test_faults_over_http(control, evce, client):
    answer = await control.post("/faults", json={"path": "/pms", "status": 500, "count": 3})
    assert await answer.json() == {"id": 1}
    assert (await client.call("GET", "/pms")).status == 500
    assert (await (await control.get("/faults")).json())["1"]["count"] == 2
    assert (await control.delete("/faults")).status == 200
    assert (await client.call("GET", "/pms")).status == 200
    assert (await control.post("/faults", json={"nothing": 1})).status == 400
    assert (await control.post("/faults", data=b"{")).status == 400


def test_the_control_port_stays_on_loopback(evce):
    with pytest.raises(ValueError, match="loopback"):
        ControlServer(evce, host="0.0.0.0")


EVCE_SAMPLES = {
    "down": {"seconds": 0},
    "listen": {"on": True},
    "reboot": {"down_s": 0.5},
    "set_password": {"password": "Other-Secret-9!"},
    "second_login": {"mode": "refuse"},
    "forbid": {"path": "/pms"},
    "clock_offset": {"seconds": 60},
    "freeze": {"name": "Meter 1"},
    "rename": {"kind": "zone", "name": "Zone A", "to": "Zone A"},
    "duplicate_name": {"kind": "meter", "name": "Meter 2", "other": "Meter 2"},
    "swap_names": {"kind": "station", "name": "Bay 001", "other": "Bay 002"},
    "delete": {"kind": "meter", "name": "Meter 2"},
    "add": {"kind": "meter", "name": "Meter 9"},
    "replace": {"name": "Bay 003"},
    "move": {"name": "Bay 004", "zone": "Zone B"},
    "zone_type": {"name": "Zone B", "type": "power"},
    "zone_max": {"name": "Zone B", "amps": 100},
    "set_reduction": {"name": "Zone B", "amps": 50, "seconds": 100},
    "station_online": {"name": "Bay 005", "online": False},
    "station_fault": {"name": "Bay 006", "faulted": True},
}
BENDER_SAMPLES = {
    "down": {"seconds": 0},
    "listen": {"on": True},
    "set_password": {"password": "x"},
    "clock_offset": {"seconds": -60},
    "message": {"type": "warning", "text": "hot"},
    "set_setting": {"key": "FreeCharging_vehicleif", "value": True},
}


async def test_every_operation_runs(clock):
    async with EvceSimulator(clock=clock) as evce, BenderSimulator(clock=clock, tls=True) as bender:
        for op in EVCE_OPERATIONS:
            assert isinstance(await evce.do(op, **EVCE_SAMPLES.get(op, {})), dict)
        for op in BENDER_OPERATIONS:
            assert isinstance(await bender.do(op, **BENDER_SAMPLES.get(op, {})), dict)
        assert evce.site.station("Bay 006").status == "Faulted"
        assert evce.truth()["stations"]
        assert bender.truth()["limit_a"] == 32
        with pytest.raises(OperationError):
            await bender.do("set_setting", key="FreeCharging_vehicleif", value=3)


async def test_run_simulator_serves_until_told_to_stop(clock):
    stop = asyncio.Event()
    seen = []

    def started(simulator, control):
        seen.extend((simulator.url, control.url))
        stop.set()

    await run_simulator(BenderSimulator(clock=clock), control=("127.0.0.1", 0), started=started, stop=stop)
    assert all(not url.endswith(":0") for url in seen)
    assert len(seen) == 2
