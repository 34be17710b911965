"""A whole site with a virtual BACnet device per resource, seen and written by @bacnet-js/client through the router."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.addressing import devices
from tests.interop.test_alarms import quick
from tests.servers.bacnet.campus import Router, destined, key
from tests.servers.bacnet.conftest import RawClient
from tests.site import Running, StillClock, run_program, running_site

SITE: dict[str, Any] = {"clock": StillClock(), "stations": 4, "zones": 2, "meters": 1}
NETWORK, FIRST, OWN = 200, 271000, 260001
JS = Path(__file__).parents[1] / "servers" / "bacnet" / "js"
LIMIT = "evce/zone/Zone B/reduction"
BODIES = {
    "desc": {"type": "current", "value": 48.5, "valid_mode": "permanent"},
    "nested": {"kind": "absolute", "limit_da": 485, "validity": {"mode": "unlimited"}},
}
DEVICE, ANALOG_VALUE = 8, 2
OBJECT_NAME, OBJECT_LIST, PRESENT_VALUE, REAL = 77, 76, 85, 4


@pytest.fixture(autouse=True)
def no_runtime_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)


def divided(data: dict[str, Any]) -> None:
    data["bacnet"] |= {"devices": "per_resource", "network": NETWORK, "first_instance": FIRST}


async def node(site: Running, calls: list[list[Any]]) -> list[Any]:
    """What @bacnet-js/client got; a call that begins with a station's address goes through the router."""
    program = shutil.which("node")
    if program is None:
        pytest.skip("node is not installed")
    if not (JS / "node_modules" / "@bacnet-js" / "client").is_dir():
        pytest.skip("@bacnet-js/client is not installed (npm install in tests/servers/bacnet/js)")
    arguments = (program, str(JS / "client.js"), f"127.0.0.1:{site.bacnet_port}")
    code, out, err = await run_program(*arguments, text=json.dumps(calls))
    assert code == 0, err
    found: list[Any] = json.loads(out)
    return found


def at(device: int) -> dict[str, Any]:
    return {"net": NETWORK, "adr": list(device.to_bytes(3, "big"))}


def homes(site: Running) -> dict[str, int]:
    """The virtual device of every resource that has one."""
    stands = {r.label: r.stand for r in site.daemon.inventory.resources.values()}
    return {label: stand.device for label, stand in stands.items() if stand is not None and stand.device is not None}


async def cli(site: Running, *arguments: str) -> str:
    code, out, err = await run_program(sys.executable, "-m", "gateway", *arguments, "-c", str(site.files.config))
    assert code == 0, err
    return out


@pytest.mark.parametrize("dialect", ["desc", "nested"])
async def test_each_resource_is_a_device_that_a_client_finds_reads_and_writes(dialect: str, tmp_path: Path) -> None:
    async with running_site(tmp_path, dialect, change=divided, **SITE) as site:
        await site.complete()
        mine = homes(site)
        outer = {label: device for label, device in mine.items() if "#" not in label}
        assert sorted(outer.values()) == list(range(FIRST, FIRST + len(outer)))
        assert {label.split("/")[1] for label in outer} == {"zone", "station", "meter", "charger"}
        plug = next(label for label in mine if "#" in label)
        assert mine[plug] == mine[plug.split("#")[0].replace("/connector/", "/station/")]

        zone, other = mine["evce/zone/Zone B"], mine["evce/zone/Zone A"]
        limit = {"type": ANALOG_VALUE, "instance": site.placed(LIMIT).objects[0].instance}
        assert limit["instance"] == site.placed("evce/zone/Zone A/reduction").objects[0].instance, "one layout for all"
        devices_found, names, listed, applied, written, denied, told = await node(
            site,
            [
                [{"net": 65535}, "iAms", {}, 1 + len(outer)],
                [at(zone), "readProperty", {"type": DEVICE, "instance": zone}, OBJECT_NAME],
                [at(zone), "readProperty", {"type": DEVICE, "instance": 4194303}, OBJECT_LIST],
                [at(zone), "readProperty", limit, PRESENT_VALUE],
                [at(zone), "writeProperty", limit, PRESENT_VALUE, [{"type": REAL, "value": 48.5}], {"priority": 8}],
                [at(zone), "writeProperty", limit, PRESENT_VALUE, [{"type": REAL, "value": 2500}], {"priority": 8}],
                [at(other), "changes", limit, True, [31.0, 32.0]],
            ],
        )
        assert {each["device"] for each in devices_found} == {OWN, *outer.values()}
        assert {each["device"] for each in devices_found if each.get("net") == NETWORK} == set(outer.values())
        assert names["values"][0]["value"] == "evce.zone.Zone B"
        assert {"type": ANALOG_VALUE, "instance": limit["instance"]} in [each["value"] for each in listed["values"]]
        assert written is None
        assert "37" in denied["error"], denied
        assert isinstance(told, list), told
        assert [each["value"] for each in told] == [250, 31, 32]
        assert {(each["device"], *each["adr"]) for each in told} == {(other, *at(other)["adr"])}

        await site.until(lambda: site.value(f"{LIMIT}.write_status") == 4)
        assert BODIES[dialect] in [request.body for request in site.evce.received if request.method == "PUT"]
        assert applied["values"][0]["value"] == 250


async def test_the_commands_say_which_device_and_where(tmp_path: Path) -> None:
    async with running_site(tmp_path, change=divided, **SITE) as site:
        await site.complete()
        mine = homes(site)
        rows = {row["point"]: row for row in json.loads(await cli(site, "points", "--json"))}
        zone = rows[LIMIT]["bacnet"]
        assert (zone["device"], zone["object"]) == (mine["evce/zone/Zone B"], "analog-value")
        assert rows["evce/source/connected"]["bacnet"]["device"] == OWN
        text = await cli(site, "points", "evce/zone")
        assert f"{zone['device']}/analog-value,{zone['instance']}" in text
        assert f"device {mine['evce/zone/Zone B']}" in await cli(site, "addresses", "list")
        status = json.loads(await cli(site, "status", "--json"))
        assert status["bacnet"]["counters"]["devices"] == 1 + len(set(mine.values()))
        assert status["without_device"] == {}
        numbers = sorted(set(mine.values()))
        behind = {"network": NETWORK, "count": len(numbers), "first": FIRST, "last": numbers[-1]}
        assert status["bacnet"]["virtual"] == behind
        shown = " ".join((await cli(site, "status")).split())
        assert f"bacnet: {len(numbers)} virtual devices in network {NETWORK}: {FIRST}..{numbers[-1]}" in shown
        listed = json.loads(await cli(site, "addresses", "list", "--json"))
        mine_listed = {f"{row['source']}/{row['kind']}/{row['name']}": row.get("device") for row in listed}
        assert mine_listed["evce/zone/Zone B"] == mine["evce/zone/Zone B"] - FIRST


async def test_devices_stay_over_a_restart_whatever_is_new(tmp_path: Path) -> None:
    """The second run lists one station more, before the others; the point list of a stopped gateway is the same."""
    async with running_site(tmp_path, change=divided, **SITE) as site:
        await site.complete()
        before = {point.name: (point.device, point.objects) for point in site.daemon.placed.values() if point.objects}
        names = homes(site)
        revision = await node(site, [[at(FIRST), "readProperty", {"type": DEVICE, "instance": FIRST}, 155]])
    code, out, err = await run_program(
        sys.executable, "-m", "gateway", "points", "--json", "-c", str(site.files.config)
    )
    assert code == 0, err
    offline = {row["point"]: row["bacnet"] for row in json.loads(out) if row["bacnet"]}
    assert {name: place["device"] for name, place in offline.items()} == {
        name: device.instance if device is not None else OWN for name, (device, _) in before.items()
    }
    more = SITE | {"stations": 6}
    async with running_site(tmp_path, change=divided, **more) as again:
        await again.complete()
        after = {point.name: (point.device, point.objects) for point in again.daemon.placed.values() if point.objects}
        assert {name: after[name] for name in before} == before
        assert set(homes(again).values()) > set(names.values())
        same = await node(again, [[at(FIRST), "readProperty", {"type": DEVICE, "instance": FIRST}, 155]])
        assert same[0]["values"] == revision[0]["values"]


async def test_an_alarm_is_told_by_the_device_it_is_in_and_acknowledged_there(tmp_path: Path) -> None:
    """The Recipient_List that is written in one device is that of all of them."""
    client = Router(RawClient(1))

    def change(data: dict[str, Any]) -> None:
        quick(tmp_path)(data)
        divided(data)

    async with running_site(tmp_path, change=change, **SITE) as site:
        await site.complete()
        client.raw.target = ("127.0.0.1", site.bacnet_port)
        name = next(iter(site.evce.site.stations.values())).name
        mine = homes(site)
        station, zone = mine[f"evce/station/{name}"], mine["evce/zone/Zone A"]
        state = site.placed(f"evce/station/{name}/status").objects[0].instance
        port = client.raw.sock.getsockname()[1]
        entry = f"82 01fe b400000000 b4173b3b63 1e 2100 6506 7f000001{port:04x} 1f 2105 10 8205e0"
        write = bytes.fromhex(f"0005 02 0f 0c{key(15, 1)} 1966 3e {entry} 3f")
        client.send(destined(write, NETWORK, zone.to_bytes(3, "big")))
        heard = await client.hear(3.0)
        assert heard is not None
        assert heard.body.hex() == "20020f"
        await site.evce.do("station_fault", name=name, faulted=True)
        about = bytes.fromhex(f"1c{key(DEVICE, station)}2c{key(13, state)}")
        for _ in range(50):
            heard = await client.hear(10.0)
            assert heard is not None, "nobody was told"
            if heard.body[:4].hex() == "10030905" and about in heard.body:
                break
        assert (heard.device, about in heard.body) == (station, True)
        at = heard.body.index(about) + len(about)
        stamp = heard.body[at : at + heard.body[at:].index(b"\x3f") + 1]
        assert stamp[:1] == b"\x3e"
        who, when = "4d04 00 424d53", "5e 1901 5f"
        body = bytes.fromhex(f"0005 03 00 0905 1c{key(13, state)} 2902") + stamp + bytes.fromhex(who + when)
        client.send(destined(body, NETWORK, station.to_bytes(3, "big")))
        answers = [await client.hear(3.0) for _ in range(3)]
        assert "200300" in [each.body.hex() for each in answers if each is not None and each.device == station]
    client.raw.sock.close()


async def test_B08_who_finds_no_device_left_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "MOST_DEVICES", 5)
    async with running_site(tmp_path, change=divided, **SITE) as site:
        await site.complete()
        status = json.loads(await cli(site, "status", "--json"))
        lost = sum(count for label, count in status["without_device"].items() if "connector" not in label)
        outer = [r for r in site.daemon.inventory.resources.values() if r.parent is None and r.kind.bacnet is not None]
        served = {r.stand.device for r in outer if r.stand is not None and r.stand.device is not None}
        assert served == set(range(FIRST, FIRST + 5))
        assert lost == len([r for r in outer if r.stand is None]) > 0
        assert status["alarms"] > 0
        shown = await cli(site, "status")
        assert "no BACnet device left" in " ".join(shown.split())


async def test_from_one_device_to_many_and_back(tmp_path: Path) -> None:
    """The configuration is the operator's: objects go to the devices and come back where they were."""

    def objects(site: Running) -> dict[str, Any]:
        return {p.name: [(p.device, o.object, o.instance) for o in p.objects] for p in site.daemon.placed.values()}

    changes: list[Callable[[dict[str, Any]], None] | None] = [None, divided, None, divided]
    seen = []
    for change in changes:
        async with running_site(tmp_path, change=change, **SITE) as site:
            await site.complete()
            seen.append(objects(site))
    assert seen[0] == seen[2]
    assert seen[1] == seen[3] != seen[0]
    rows = yaml.safe_load((tmp_path / "state" / "addresses.yaml").read_text())["blocks"]
    assert all(("device" in row) == (row["kind"] not in ("source", "header")) for row in rows)
    await asyncio.sleep(0)
