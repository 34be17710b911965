"""Every kind of injected fault, seen from the client's side."""

import gzip
import json
import ssl

import aiohttp
import pytest

from gateway.simulator import BenderSimulator, EvceSimulator, make_certificate
from gateway.simulator.faults import Fault, fault_from_json

REDUCTION = {"type": "current", "value": 60.0, "valid_mode": "permanent"}


async def raw(client, path, **options):
    headers = {"Authorization": client.authorization}
    async with client.session.get(f"{client.sim.url}/api/v2{path}", headers=headers, **options) as response:
        return response.status, response.headers, await response.read()


async def test_status_with_headers_and_count(evce, client):
    evce.faults.add("/stations", status=429, headers={"Retry-After": "5"}, count=2)
    for _ in range(2):
        reply = await client.call("GET", "/stations/")
        assert (reply.status, reply.headers["Retry-After"]) == (429, "5")
    assert (await client.call("GET", "/stations")).status == 200
    assert evce.faults.active() == {}


async def test_faults_by_full_path_method_and_removal(evce, client):
    number = evce.faults.add(
        "/api/v2/em/*/reduction", method="PUT", status=503, headers={"Content-Type": "text/plain"}, body="busy"
    )
    await client.get("/em/zones/1/reduction")
    reply = await client.call("PUT", "/em/zones/1/reduction", REDUCTION)
    assert (reply.status, reply.text) == (503, "busy")
    assert evce.received[-1].status == 503
    evce.faults.remove(number)
    assert (await client.call("PUT", "/em/zones/1/reduction", REDUCTION)).status == 200
    evce.faults.add(status=500)
    evce.faults.clear()
    await client.get("/pms")


async def test_redirect(evce, client):
    evce.faults.add("/pms", status=302, headers={"Location": "http://127.0.0.1:9/"})
    status, headers, _ = await raw(client, "/pms", allow_redirects=False)
    assert (status, headers["Location"]) == (302, "http://127.0.0.1:9/")


async def test_delay_lets_the_client_time_out(evce, client):
    evce.faults.add("/pms", delay_s=30)
    with pytest.raises(TimeoutError):
        await raw(client, "/pms", timeout=aiohttp.ClientTimeout(total=0.05))


async def test_trickle(evce, client):
    evce.faults.add("/pms", trickle_s=0.2)
    with pytest.raises(TimeoutError):
        await raw(client, "/pms", timeout=aiohttp.ClientTimeout(total=0.1))
    evce.faults.clear()
    evce.faults.add("/em/zones/1/stations", trickle_s=0.0001)
    assert await client.get("/em/zones/1/stations") == [101, 102, 103, 104]


@pytest.mark.parametrize("kind", ["html", "empty", "garbage", "invalid_utf8"])
async def test_replaced_bodies(evce, client, kind):
    evce.faults.add("/pms", replace=kind)
    status, headers, body = await raw(client, "/pms")
    assert status == 200
    with pytest.raises(ValueError):
        json.loads(body)
    if kind == "html":
        assert headers["Content-Type"].startswith("text/html")
    if kind == "invalid_utf8":
        with pytest.raises(UnicodeDecodeError):
            body.decode()


async def test_huge_body_and_gzip_bomb(evce, client):
    evce.faults.add("/pms", replace="huge", megabytes=3, count=1)
    assert len((await raw(client, "/pms"))[2]) == 3 * 2**20 + 4
    evce.faults.add("/pms", replace="gzip_bomb", megabytes=20, count=1)
    headers = {"Authorization": client.authorization}
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.get(f"{evce.url}/api/v2/pms", headers=headers) as response,
    ):
        assert response.headers["Content-Encoding"] == "gzip"
        packed = await response.read()
    assert len(packed) < 2**16
    assert len(gzip.decompress(packed)) == 20 * 2**20 + 4


@pytest.mark.parametrize("cut", ["reset", "truncate", "chunked"])
async def test_cut_in_the_middle(evce, client, cut):
    evce.faults.add("/pms", cut=cut, count=1)
    with pytest.raises(aiohttp.ClientError):
        await raw(client, "/pms")
    assert (await raw(client, "/pms"))[0] == 200


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ({"member": "power", "change": "drop"}, lambda text: "power" not in json.loads(text)),
        ({"member": "power", "value": "12.3"}, lambda text: json.loads(text)["power"] == "12.3"),
        ({"member": "current.l1", "value": None}, lambda text: json.loads(text)["current"]["l1"] is None),
        ({"member": "power", "raw": "NaN"}, lambda text: '"power": NaN' in text),
        ({"member": "power", "raw": "1e999"}, lambda text: json.loads(text)["power"] == float("inf")),
        ({"member": "power", "raw": "-Infinity"}, lambda text: '"power": -Infinity' in text),
        ({"member": "status", "value": "Dreaming"}, lambda text: json.loads(text)["status"] == "Dreaming"),
        ({"member": "evses.*.connectors.0.id", "value": 9}, lambda text: '"connectors": [{"id": 9' in text),
        ({"member": "setpoint", "change": "duplicate", "value": 1}, lambda text: text.count('"setpoint"') == 2),
        ({"member": "nothing.here", "value": 1}, lambda text: "nothing" not in text),
        ({"nest": 500}, lambda text: text.startswith("[" * 500 + "{") and text.endswith("}" + "]" * 500)),
    ],
)
async def test_changed_members(evce, client, fault, check):
    evce.faults.add("/stations/*/status", **fault)
    assert check((await raw(client, "/stations/101/status"))[2].decode())


async def test_members_of_every_element_and_two_faults_together(evce, client):
    evce.faults.add("/stations/statuses", member="*.power", value=70000)
    evce.faults.add("/stations/statuses", member="0.status", value="X")
    statuses = await client.get("/stations/statuses")
    assert {entry["power"] for entry in statuses} == {70000}
    assert statuses[0]["status"] == "X"


async def test_empty_lists_in_both_dialects(evce, client, clock, connect):
    evce.faults.add("/stations", empty_list=True, count=1)
    assert await client.get("/stations") == []
    assert len(await client.get("/stations")) == 12
    async with EvceSimulator(clock=clock, tls=False, dialect="nested") as sim:
        other = await connect(sim)
        await other.evce_login()
        sim.faults.add("/stations", empty_list=True)
        assert await other.get("/stations") == {"total": 0, "stations": {}}


async def test_put_accepted_but_ignored(evce, client):
    evce.faults.add("/em/zones/*/reduction", method="PUT", ignore_write=True)
    reply = await client.call("PUT", "/em/zones/1/reduction", REDUCTION)
    assert (reply.status, reply.json) == (200, {})
    assert evce.site.zone("Zone A").reduction.kind == "none"
    assert (await client.call("PUT", "/em/zones/1/reduction", {})).status == 400


async def test_put_applied_but_connection_reset_before_the_answer(evce, client):
    evce.faults.add("*/reduction", method="PUT", cut="reset", after_bytes=0, count=2)  # aiohttp repeats a PUT once
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.call("PUT", "/em/zones/1/reduction", REDUCTION)
    assert evce.site.zone("Zone A").limit_a == 60
    assert evce.received[-1].status == 0


async def test_bender_settings_ignored(clock, connect):
    async with BenderSimulator(clock=clock, seed=2) as sim:
        client = await connect(sim)
        await client.bender_login()
        sim.faults.add("/settings", method="POST", ignore_write=True)
        body = {"params": [{"key": "OperatorCurrentLimit_vehicleif", "value": 6}]}
        assert (await client.call("POST", "/settings", body)).status == 200
        assert sim.charger.limit_a == 32


async def test_frozen_meter(evce, client, clock):
    clock.turn(60)
    await evce.do("freeze", name="Meter 1")
    before = await client.get("/pms/1/values")
    clock.turn(600)
    after = await client.get("/pms/1/values")
    assert after["values"] == before["values"]
    assert after["timestamp"] != before["timestamp"]
    await evce.do("freeze", name="Meter 1", frozen=False)
    assert (await client.get("/pms/1/values"))["values"][-1] != before["values"][-1]


async def test_listening_stops_and_comes_back_on_the_same_port(evce, client):
    url = evce.url
    await evce.do("listen", on=False)
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.call("GET", "/pms")
    await evce.do("listen", on=True)
    assert evce.url == url
    await client.get("/pms")


async def test_tls_certificate_is_replaced_and_expires(clock, connect):
    async with EvceSimulator(clock=clock) as sim:
        assert sim.url.startswith("https://127.0.0.1:")
        client = await connect(sim)
        assert (await client.evce_login()).status == 200
        old = sim.fingerprint
        assert len(old) == len("sha256:") + 64
        pinned = aiohttp.Fingerprint(bytes.fromhex(old[7:]))
        async with client.session.get(f"{sim.url}/api/v2/pms", ssl=pinned) as response:
            assert response.status == 401
        assert (await sim.do("replace_certificate"))["fingerprint"] == sim.fingerprint != old
        async with aiohttp.ClientSession() as fresh:
            with pytest.raises(aiohttp.ServerFingerprintMismatch):
                await fresh.get(f"{sim.url}/api/v2/pms", ssl=pinned)
            await sim.do("replace_certificate", expired=True)
            trusting = ssl.create_default_context(cadata=sim.certificate_pem)
            with pytest.raises(aiohttp.ClientConnectorCertificateError, match="expired"):
                await fresh.get(f"{sim.url}/api/v2/pms", ssl=trusting)


def test_certificates_differ():
    assert make_certificate().fingerprint != make_certificate().fingerprint


@pytest.mark.parametrize(
    "given",
    [
        [],
        {"pth": "x"},
        {"count": "2"},
        {"count": True},
        {"replace": "pdf"},
        {"cut": 1},
        {"delay_s": -1},
        {"headers": []},
        {"change": "turn"},
        {"replace": []},
        {"path": None},
    ],
)
def test_bad_faults_are_refused_with_a_sentence(given):
    with pytest.raises(ValueError, match=" "):
        fault_from_json(given)


def test_every_member_of_a_fault_can_come_from_json():
    given = {"path": "/x", "count": 1, "delay_s": 1, "megabytes": 2, "value": [1], "nest": 3, "status": 500}
    assert fault_from_json(given) == Fault(path="/x", count=1, delay_s=1, megabytes=2, value=[1], nest=3, status=500)
