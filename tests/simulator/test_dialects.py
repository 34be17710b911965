"""Bodies as rendered and as accepted, in both dialects."""

import pytest

from gateway.simulator import EvceSimulator


@pytest.fixture
async def nested(clock, connect):
    async with EvceSimulator(clock=clock, tls=False, dialect="nested") as sim:
        client = await connect(sim)
        await client.evce_login()
        yield sim, client


async def test_desc_samples(evce, client, clock):
    clock.turn(10)
    truth = evce.site.station("Bay 001")
    listed = await client.get("/stations")
    assert (
        listed[0]
        == await client.get("/stations/101")
        == {
            "id": 101,
            "type": "evlink_pro_ac",
            "config": {"friendly_name": "Bay 001", "max_current": 32, "phases": 3, "priority": "standard"},
            "evses": [{"id": 1, "connectors": [{"id": 1, "type": "type2"}]}],
        }
    )
    status = await client.get("/stations/101/status")
    assert status == (await client.get("/stations/statuses"))[0]
    assert status["status"] == "Charging"
    assert status["current"]["l1"] == round(truth.amps, 1) > 0
    assert status["power"] == round(truth.power_w / 1000, 2)
    assert set(status) == {
        "id", "status", "online", "availability", "current", "power", "energy", "setpoint", "evses", "session"
    }  # fmt: skip
    idle = [entry for entry in await client.get("/stations/statuses") if entry["status"] == "Available"]
    assert all("session" not in entry for entry in idle)
    zone = {"id": 1, "desc": {"name": "Zone A", "type": "current", "max_current": 250.0, "parent": None}}
    assert (await client.get("/em/zones"))[0] == await client.get("/em/zones/1") == zone
    shown = await client.get("/em/zones/1/status")
    assert set(shown) == {"current", "power", "setpoint", "stations_charging", "stations_total"}
    assert shown["setpoint"] == 250.0
    reduction = {"type": "none", "value": 250.0, "valid_mode": "permanent"}
    assert await client.get("/em/zones/1/reduction") == reduction
    assert await client.get("/em/zones/1/stations") == [101, 102, 103, 104]
    meter = {"name": "Meter 1", "type": "tcp", "model": 3, "tcp_address": "192.168.0.201", "tcp_port": 502}
    assert (await client.get("/pms"))[0] == await client.get("/pms/1") == {"id": 1, "desc": meter}
    values = await client.get("/pms/1/values")
    assert values["timestamp"].endswith("Z")
    assert [entry["name"] for entry in values["values"]] == [
        "current_l1", "current_l2", "current_l3", "voltage_l1", "voltage_l2", "voltage_l3", "power", "energy"
    ]  # fmt: skip


async def test_nested_samples(nested, clock):
    sim, client = nested
    clock.turn(10)
    truth = sim.site.station("Bay 001")
    listed = await client.get("/stations")
    station = {
        "identity": {"label": "Bay 001"},
        "rating": {"imax_da": 320, "phases": 3},
        "points": [{"no": 1, "outlets": [{"no": 1}]}],
    }
    assert listed["total"] == 12
    assert listed["stations"]["101"] == station
    assert await client.get("/stations/101") == {"station": {"station_id": 101, **station}}
    status = (await client.get("/stations/statuses"))["data"]["101"]
    assert await client.get("/stations/101/status") == {"data": {"station_id": 101, **status}}
    assert status["state"] == {"ocpp": "CHARGING", "availability": "OPERATIVE"}
    assert status["measure"]["currents_da"][0] == round(truth.amps * 10)
    assert (await client.get("/em/zones"))["zones"][0] == {
        "zone_id": 1, "zone_name": "Zone A", "kind": "CURRENT", "limits": {"imax_da": 2500}
    }  # fmt: skip
    shown = (await client.get("/em/zones/1/status"))["zone_status"]
    assert set(shown) == {"i_da", "p_w", "allocated_da", "active", "members"}
    assert await client.get("/em/zones/1/reduction") == {"zone_reduction": {"kind": "off"}}
    assert (await client.get("/em/zones/1/stations"))["stations"][0] == {"station_id": 101, "label": "Bay 001"}
    assert (await client.get("/pms"))["meters"][0]["pm_name"] == "Meter 1"
    measures = (await client.get("/pms/1/values"))["measures"]
    assert {name: entry["u"] for name, entry in measures.items()} == {
        "I1": "dA", "I2": "dA", "I3": "dA", "U1": "dV", "U2": "dV", "U3": "dV", "P": "W", "E": "Wh"
    }  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        {"type": "current", "value": 60},
        {"type": "current", "value": 60, "valid_mode": "permanent", "unit": "A"},
        {"type": "current", "value": "60", "valid_mode": "permanent"},
        {"type": "current", "value": True, "valid_mode": "permanent"},
        {"type": "current", "value": None, "valid_mode": "permanent"},
        {"type": "current", "value": -1, "valid_mode": "permanent"},
        {"type": "current", "value": 250.1, "valid_mode": "permanent"},
        {"type": "power", "value": 60, "valid_mode": "permanent"},
        {"type": "Current", "value": 60, "valid_mode": "permanent"},
        {"type": "current", "value": 60, "valid_mode": "until"},
        {"type": "current", "value": 60, "valid_mode": "until", "valid_until": "tomorrow"},
        {"type": "current", "value": 60, "valid_mode": "until", "valid_until": "2020-01-01T00:00:00Z"},
        {"type": "current", "value": 60, "valid_mode": "permanent", "valid_until": "2099-01-01T00:00:00Z"},
        [],
        None,
    ],
)
async def test_desc_reduction_is_strict(evce, client, body):
    reply = await client.call("PUT", "/em/zones/1/reduction", body)
    assert reply.status == 400
    assert set(reply.json) == {"code", "message"}
    assert evce.site.zone("Zone A").limit_a == 250


async def test_desc_reduction_set_read_back_and_released(evce, client, clock):
    body = {"type": "current", "value": 60.0, "valid_mode": "permanent"}
    reply = await client.call("PUT", "/em/zones/1/reduction", body)
    assert (reply.status, reply.json) == (200, {})
    assert await client.get("/em/zones/1/reduction") == body
    assert (await client.get("/em/zones/1/status"))["setpoint"] == 60
    entry = evce.received[-1]
    assert (entry.method, entry.path, entry.status) == ("PUT", "/api/v2/em/zones/1/reduction", 200)
    assert entry.body == body
    until = {"type": "current", "value": 12, "valid_mode": "until", "valid_until": "2026-09-21T14:14:20Z"}
    assert (await client.call("PUT", "/em/zones/1/reduction", until)).status == 200
    assert (await client.get("/em/zones/1/reduction"))["valid_until"] == until["valid_until"]
    none = {"type": "none", "value": 250.0, "valid_mode": "permanent"}
    assert (await client.call("PUT", "/em/zones/1/reduction", none)).status == 200
    assert evce.site.zone("Zone A").reduction.kind == "none"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"kind": "off"}, 200),
        ({"kind": "absolute", "limit_da": 600, "validity": {"mode": "unlimited"}}, 200),
        ({"kind": "absolute", "limit_da": 600, "validity": {"mode": "until", "end": 1_790_000_100}}, 200),
        ({"kind": "absolute", "limit_da": 600, "validity": {"mode": "until", "end": 1_789_000_000}}, 400),
        ({"kind": "absolute", "limit_da": 600, "validity": {"mode": "until"}}, 400),
        ({"kind": "absolute", "limit_da": 600, "validity": {"mode": "unlimited", "end": 1_790_000_100}}, 400),
        ({"kind": "absolute", "limit_da": 600.0, "validity": {"mode": "unlimited"}}, 400),
        ({"kind": "absolute", "limit_da": 2501, "validity": {"mode": "unlimited"}}, 400),
        ({"kind": "absolute", "limit_da": 600}, 400),
        ({"kind": "off", "limit_da": 600, "validity": {"mode": "unlimited"}, "x": 1}, 400),
        ({"kind": "off", "limit_da": 600}, 400),
        ({"zone_reduction": {"kind": "off"}}, 400),
    ],
)
async def test_nested_reduction_is_strict(nested, body, status):
    sim, client = nested
    assert (await client.call("PUT", "/em/zones/1/reduction", body)).status == status
    if status == 200 and body["kind"] == "absolute":
        assert await client.get("/em/zones/1/reduction") == {"zone_reduction": body}
        assert sim.site.zone("Zone A").limit_a == 60


@pytest.mark.parametrize("dialect", ["desc", "nested"])
@pytest.mark.parametrize("path", ["/stations/101", "/em/zones/1", "/pms/1"])
async def test_put_takes_the_whole_object_back_and_nothing_else(clock, connect, dialect, path):
    async with EvceSimulator(clock=clock, tls=False, dialect=dialect) as sim:
        client = await connect(sim)
        await client.evce_login()
        body = await client.get(path)
        assert (await client.call("PUT", path, body)).status == 200
        assert await client.get(path) == body
        for wrong in ({}, {**body, "extra": 1}, [body], {**body, next(iter(body)): "x"}):
            assert (await client.call("PUT", path, wrong)).status == 400
        assert await client.get(path) == body


async def test_put_changes_what_it_may(evce, client):
    station = await client.get("/stations/101")
    station["config"] |= {"friendly_name": "Gate", "max_current": 16}
    assert (await client.call("PUT", "/stations/101", station)).status == 200
    assert evce.site.station("Gate").max_a == 16
    station["id"] = 102
    assert (await client.call("PUT", "/stations/101", station)).status == 400


COMMANDS = [
    ("remote_start", {"connector_id": 1, "id_tag": "04A2"}, {"connector_id": "1", "id_tag": "04A2"}),
    ("remote_stop", {"connector_id": 1}, {}),
    ("reset", {"type": "Soft"}, {"type": "soft"}),
    ("change_availability", {"connector_id": 1, "type": "Operative"}, {"connector_id": 1, "type": "On"}),
    ("get_configuration", {}, {"all": True}),
    ("get_diagnostics", {}, {"x": 1}),
    ("update_firmware", {"firmware_id": 1}, {"firmware_id": "1"}),
]


@pytest.mark.parametrize(("name", "good", "bad"), COMMANDS)
async def test_command_bodies_are_strict_in_both_dialects(client, nested, name, good, bad):
    path = f"/stations/101/cmds/{name}"
    assert (await client.call("POST", path, bad)).status == 400
    assert (await client.call("POST", path, {**good, "extra": 1})).status == 400
    assert (await client.call("POST", path, good)).json == {"cmd_id": 1}
    upper = {**good, "type": good["type"].upper()} if "type" in good else good
    other = nested[1]
    assert (await other.call("POST", path, upper)).json == {"command": {"id": 1}}
    if "type" in good:
        assert (await other.call("POST", path, good)).status == 400
