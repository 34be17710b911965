"""Permissions, paths, commands and identity of the EVCE simulator."""

import aiohttp
import pytest

from gateway.simulator import ControlServer, EvceSimulator

FORBIDDEN = [
    ("GET", "/licences"),
    ("GET", "/licences/features"),
    ("GET", "/users"),
    ("GET", "/users/roles"),
    ("GET", "/authent/cards"),
    ("GET", "/transactions/ongoing"),
    ("GET", "/transactions/101/3"),
    ("GET", "/stations/cpos"),
    ("POST", "/discovery/start"),
    ("POST", "/em/zones"),
    ("DELETE", "/em/zones/1"),
    ("POST", "/em/zones/1/stations"),
    ("GET", "/em/timeofuse"),
    ("GET", "/em/dis/statuses"),
    ("GET", "/config/network"),
    ("POST", "/maintenance/reboot"),
    ("GET", "/logger/events"),
    ("GET", "/certificates/ca/1"),
]
ALLOWED = [
    "/stations", "/stations/statuses", "/stations/models", "/stations/firmwares", "/stations/firmwares/1",
    "/stations/diagnostics", "/stations/101", "/stations/101/status", "/stations/101/firmware",
    "/stations/101/diagnostics", "/em/zones", "/em/zones/1", "/em/zones/1/status", "/em/zones/1/reduction",
    "/em/zones/1/stations", "/pms", "/pms/1", "/pms/1/values", "/pms/models", "/pms/models/3",
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), FORBIDDEN)
async def test_what_the_role_may_not_is_403(client, method, path):
    reply = await client.call(method, path)
    assert reply.status == 403
    assert set(reply.json) == {"code", "message"}


@pytest.mark.parametrize("path", ALLOWED)
async def test_what_the_role_may_works_with_and_without_a_trailing_slash(client, path):
    assert await client.get(path) == await client.get(path + "/")
    client.authorization = None
    assert (await client.call("GET", path)).status == 401


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/stations/999",
        "/stations/abc",
        "/stations/101/nothing",
        "/em/zones/9/status",
        "/pms/9/values",
        "/stations/firmwares/7",
        "/pms/models/9",
        "/stations/101/cmds/status/1",
        "/em/zones/-1",
        "/stations//101",
    ],
)
async def test_unknown_is_404(client, path):
    reply = await client.call("GET", path)
    assert reply.status == 404
    assert set(reply.json) == {"code", "message"}


async def test_outside_the_api_is_404_without_a_login(evce, client):
    client.base, client.authorization = "", None
    assert (await client.call("GET", "/")).status == 404


async def test_bodies_that_are_not_json_are_400(client):
    url = f"{client.sim.url}/api/v2/em/zones/1/reduction"
    headers = {"Authorization": client.authorization}
    for data, kind in ((b"{", "application/json"), (b'{"value": NaN}', "application/json"), (b"{}", "text/plain")):
        sent = {**headers, "Content-Type": kind}
        async with client.session.put(url, data=data, headers=sent) as response:
            assert response.status == 400


async def test_meter_models_firmware_upload_and_export(client):
    model = await client.get("/pms/models/3")
    model["desc"]["name"] = "Renamed"
    assert (await client.call("PUT", "/pms/models/3", model)).status == 200
    assert (await client.get("/pms/models"))[2] == model
    firmware = {"file_name": "new.bin", "station_type": "evlink_pro_ac", "version": "1.5.0"}
    assert (await client.call("POST", "/stations/firmwares", firmware)).json == {"id": 2}
    async with client.session.post(
        f"{client.sim.url}/api/v2/stations/diagnostics/export", headers={"Authorization": client.authorization}
    ) as response:
        assert response.content_type == "application/zip"


async def run(client, clock, station, name, body):
    path = f"/stations/{station}/cmds"
    number = (await client.call("POST", f"{path}/{name}", body)).json["cmd_id"]
    assert (await client.get(f"{path}/status/{number}"))["status"] == "pending"
    clock.turn(2.5)
    return (await client.get(f"{path}/status/{number}"))["status"]


async def test_remote_stop_and_start(evce, client, clock):
    assert await run(client, clock, 101, "remote_stop", {"connector_id": 1}) == "accepted"
    assert (await client.get("/stations/101/status"))["status"] == "Finishing"
    assert await run(client, clock, 101, "remote_stop", {"connector_id": 1}) == "rejected"
    clock.turn(20)
    assert (await client.get("/stations/101/status"))["status"] == "Available"
    start = {"connector_id": 1, "id_tag": "CAFE"}
    assert await run(client, clock, 101, "remote_start", start) == "accepted"
    clock.turn(5)
    status = await client.get("/stations/101/status")
    assert status["status"] == "Charging"
    assert status["session"]["id_tag"] == "CAFE"
    assert await run(client, clock, 101, "remote_start", start) == "rejected"


async def test_availability_reset_diagnostics_and_firmware(evce, client, clock):
    off = {"connector_id": 0, "type": "Inoperative"}
    idle = next(s.id for s in evce.site.stations.values() if s.visit is None)
    assert await run(client, clock, idle, "change_availability", off) == "accepted"
    status = await client.get(f"/stations/{idle}/status")
    assert (status["status"], status["availability"]) == ("Unavailable", "Inoperative")
    assert await run(client, clock, idle, "remote_start", {"connector_id": 1, "id_tag": "A"}) == "rejected"
    assert await run(client, clock, 101, "reset", {"type": "Hard"}) == "accepted"
    assert (await client.get("/stations/101/status"))["status"] == "Unavailable"
    clock.turn(10)
    assert (await client.get("/stations/101/status"))["status"] == "Available"
    assert await run(client, clock, 101, "get_diagnostics", None) == "accepted"
    assert [row["station_id"] for row in await client.get("/stations/101/diagnostics")] == [101]
    assert await run(client, clock, 101, "update_firmware", {"firmware_id": 9}) == "rejected"
    await evce.do("station_online", name="Bay 002", online=False)
    assert await run(client, clock, 102, "reset", {"type": "Soft"}) == "rejected"
    assert (await client.get("/stations/102/status"))["online"] is False


async def test_ids_are_never_reused(evce, client):
    assert await evce.do("replace", name="Bay 002") == {"id": 113}
    assert (await client.call("GET", "/stations/102/status")).status == 404
    assert (await client.get("/stations/113"))["config"]["friendly_name"] == "Bay 002"
    assert (await client.get("/stations/113/status"))["energy"] == 0
    await evce.do("delete", kind="station", name="Bay 002")
    assert await evce.do("add", kind="station", name="Bay 002", zone="Zone A") == {"id": 114}
    await evce.do("delete", kind="zone", name="Zone C")
    assert await evce.do("add", kind="zone", name="Zone C") == {"id": 4}
    moved = await evce.do("import")
    assert moved["stations"][101] == 115
    assert moved["zones"] == {1: 5, 2: 6, 4: 7}
    assert moved["meters"] == {1: 3, 2: 4}
    assert [zone["id"] for zone in await client.get("/em/zones")] == [5, 6, 7]


async def test_names_can_be_confused(evce, client):
    await evce.do("swap_names", kind="zone", name="Zone A", other="Zone B")
    assert (await client.get("/em/zones/1"))["desc"]["name"] == "Zone B"
    await evce.do("duplicate_name", kind="station", name="Bay 001", other="Bay 002")
    names = [station["config"]["friendly_name"] for station in await client.get("/stations")]
    assert names.count("Bay 001") == 2
    await evce.do("rename", kind="meter", name="Meter 1", to="😀\n" * 150)
    assert len((await client.get("/pms/1"))["desc"]["name"]) == 300
    await evce.do("zone_type", name="Zone C", type="power")
    assert (await client.get("/em/zones/3"))["desc"]["type"] == "power"


async def test_deleting_keeps_the_site_meter(evce, clock):
    clock.turn(60)
    before = evce.site.reading(evce.site.meter("Meter 1")).energy_wh
    for name in ("Bay 001", "Bay 005"):
        await evce.do("delete", kind="station", name=name)
    await evce.do("move", name="Bay 002", zone="Zone C")
    assert evce.site.reading(evce.site.meter("Meter 1")).energy_wh == pytest.approx(before)


async def test_an_operator_sets_a_reduction(evce, client, clock):
    await evce.do("set_reduction", name="Zone A", amps=20, seconds=60)
    shown = await client.get("/em/zones/1/reduction")
    assert (shown["value"], shown["valid_mode"]) == (20, "until")
    clock.turn(61)
    assert (await client.get("/em/zones/1/reduction"))["type"] == "none"
    await evce.do("set_reduction", name="Zone A", amps=20)
    await evce.do("set_reduction", name="Zone A")
    assert (await client.get("/em/zones/1/reduction"))["type"] == "none"


async def test_forbidding_an_endpoint(evce, client):
    await evce.do("forbid", path="/em/zones/*/reduction")
    assert (await client.call("GET", "/em/zones/1/reduction/")).status == 403
    await client.get("/em/zones/1/status")
    await evce.do("allow")
    await client.get("/em/zones/1/reduction")


async def test_reboot_with_down_time(evce, client, clock):
    await evce.do("reboot", down_s=30)
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.call("GET", "/pms")
    clock.turn(31)
    assert (await client.call("GET", "/pms")).status == 401


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 50_000, b'"\\ud800"', b"\xff", b"", b"x" * 900_000])
async def test_hostile_bodies_are_400_and_the_product_lives(client, body):
    url = f"{client.sim.url}/api/v2/em/zones/1/reduction"
    sent = {"Authorization": client.authorization, "Content-Type": "application/json"}
    async with client.session.put(url, data=body, headers=sent) as response:
        assert response.status == 400
    await client.get("/em/zones")


async def test_half_a_surrogate_pair_is_no_name(client):
    zone = await client.get("/em/zones/1")
    zone["desc"]["name"] = "\ud800"
    assert (await client.call("PUT", "/em/zones/1", zone)).status == 400


@pytest.mark.parametrize(("stations", "zones", "meters"), [(0, 0, 0), (3, 0, 1), (2, 5, 9), (1, 1, 1)])
async def test_odd_sizes(clock, connect, stations, zones, meters):
    async with EvceSimulator(clock=clock, tls=False, stations=stations, zones=zones, meters=meters) as sim:
        client = await connect(sim)
        await client.evce_login()
        clock.turn(600)
        assert len(await client.get("/stations/statuses")) == stations
        for number in range(1, zones + 1):
            await client.get(f"/em/zones/{number}/status")
        for number in range(1, meters + 1):
            await client.get(f"/pms/{number}/values")


async def test_a_port_in_use_is_an_error_and_leaves_nothing_behind(evce):
    port = int(evce.url.rpartition(":")[2])
    other = EvceSimulator(tls=False, port=port)
    with pytest.raises(OSError, match="in use"):
        await other.start()
    await other.stop()
    control = ControlServer(evce, port=port)
    with pytest.raises(OSError, match="in use"):
        await control.start()


async def test_second_connector_starts_and_stops(evce, client, clock):
    two = next(s for s in evce.site.stations.values() if s.connectors == 2)
    await run(client, clock, two.id, "remote_stop", {"connector_id": 1})
    clock.turn(20)
    off = {"connector_id": 1, "type": "Inoperative"}
    assert await run(client, clock, two.id, "change_availability", off) == "accepted"
    start = {"connector_id": 2, "id_tag": "B"}
    assert await run(client, clock, two.id, "remote_start", start) == "accepted"
    clock.turn(5)
    status = await client.get(f"/stations/{two.id}/status")
    assert [c["status"] for c in status["evses"][0]["connectors"]] == ["Unavailable", "Charging"]
    assert (status["status"], status["availability"]) == ("Charging", "Operative")
