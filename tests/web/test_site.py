"""The page of a whole site: what it shows, in both dialects, and the contract of its answers."""

from __future__ import annotations

import asyncio
import hashlib
import io
import ssl
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyModbusTCP.client import ModbusClient

from gateway.app.control import Control
from gateway.cli.show import show_status
from tests.site import running_site, until
from tests.web.site import CURRENT, LIMIT, Browser, PageSite, becomes

CONTRACT = Path(__file__).parents[2] / "gateway" / "web" / "openapi.yaml"


async def test_a_card_shows_what_the_mapping_marks_in_both_dialects(site: PageSite) -> None:
    browser = await site.log_in("vera")
    cards = {card["label"]: card for card in (await browser.get("zones"))["zones"]}
    zone = cards["evce/zone/Zone A"]
    assert set(zone["shows"]) == {"current", "power"}
    assert zone["shows"]["current"]["value"] == pytest.approx(site.site.value(CURRENT))
    assert (zone["shows"]["current"]["unit"], zone["shows"]["power"]["unit"]) == ("A", "kW")
    commands = {row["id"]: row["point"] for row in (await browser.get("commands"))["commands"]}
    assert [commands[i] for i in zone["limits"]] == [LIMIT]
    names = {m["name"] for m in zone["members"]}
    model = next(z for z in site.site.evce.site.zones.values() if z.name == "Zone A")
    assert len(names) == len(model.stations) > 0
    assert sum(zone["states"].values()) == len(names)
    assert all(m["shows"]["state"]["text"] for m in zone["members"])
    charger = cards["garage-7/charger"]
    assert set(charger["shows"]) == {"current", "power", "energy", "state"}
    assert [commands[i] for i in charger["limits"]] == ["garage-7/charger/operator_limit"]


def rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [dict(zip(found["columns"], row, strict=True)) for row in found["rows"]]


async def test_points_are_searched_filtered_and_paged(one: PageSite) -> None:
    browser = await one.log_in("vera")
    everything = await browser.get("points", limit=1000)
    names = [row["point"] for row in rows(everything)]
    assert everything["total"] == len(names) == len(set(names)) > 300
    assert CURRENT in names
    found = rows(await browser.get("points", search="zone a CURRENT phase"))
    assert [row["point"] for row in found] == [f"evce/zone/Zone A/current{part}" for part in ("_l1", "_l2", "_l3", "")]
    assert found[0]["modbus"] == {
        "unit": 1,
        "register": 1000,
        "count": 2,
        "type": "float32",
        "one_based": 1001,
        "holding": "41001",
        "input": "31001",
    }
    assert found[0]["bacnet"] == {"object": "analog-input", "instance": 1000}
    stations = rows(await browser.get("points", source="evce", kind="station", limit=1000))
    assert stations
    assert {(row["source"], row["kind"]) for row in stations} == {("evce", "station")}
    paged = [await browser.get("points", limit=100, offset=at) for at in range(0, everything["total"], 100)]
    assert [row["point"] for page in paged for row in rows(page)] == names
    some = rows(await browser.get("points", ids=f"{found[0]['id']},{found[3]['id']},99999"))
    assert [row["point"] for row in some] == [found[0]["point"], found[3]["point"]]


async def test_a_whole_number_that_a_browser_would_round_goes_as_a_text(one: PageSite) -> None:
    browser = await one.log_in("vera")
    right = str(one.site.daemon.map_hash())
    assert int(right) > 2**53
    await becomes(lambda: browser.get("point", point="gateway/header/map_hash"), lambda p: p["value"] == right)


async def test_what_is_bad_says_why_and_where_the_value_would_come_from(one: PageSite) -> None:
    browser = await one.log_in("vera")
    good = await browser.get("point", point=CURRENT)
    origin = good["origin"]
    url = one.site.files.data["sources"][0]["url"]
    zone = next(z for z in one.site.evce.site.zones.values() if z.name == "Zone A")
    assert origin["request"] == f"GET {url}/api/v2/em/zones/{zone.id}/status"
    assert (origin["path"], origin["every_s"]) == ("max([current.l1, current.l2, current.l3])", 5.0)
    assert '"l1"' in origin["document"]
    assert float(origin["raw"]) == good["value"]
    assert (await browser.get("point", point="evce/zone/Zone A/stations_charging"))["origin"]["how"].startswith(
        "count of status"
    )
    assert (await browser.get("point", point="gateway/header/uptime_s"))["origin"][
        "how"
    ] == "the gateway makes this point itself"
    async with browser.client.get("/api/v1/point", params={"point": "x"}) as response:
        assert response.status == 404


async def test_who_charges_is_not_in_the_json_that_is_shown(one: PageSite) -> None:
    browser = await one.log_in("vera")
    station = next(s for s in one.site.evce.site.stations.values() if s.status == "Charging")
    found = await browser.get("point", point=f"evce/station/{station.name}/session_energy")
    assert "<hidden>" in found["origin"]["document"]
    assert "id_tag" in found["origin"]["document"]


async def test_the_overview_is_in_order_and_then_names_the_source_that_is_down(one: PageSite) -> None:
    browser = await one.log_in("vera")
    first = await browser.get("overview")
    assert {source["name"]: source["connected"] for source in first["sources"]} == {
        "evce": True,
        "garage-7": True,
        "garage-8": True,
    }
    assert [server["name"] for server in first["servers"]] == ["Modbus TCP", "BACnet/IP"]
    await one.site.benders[0].do("drop_connections")
    await one.site.benders[0].do("down", seconds=60.0)
    one.site.daemon.pollers["garage-7"].replan()
    found = await becomes(
        lambda: browser.get("overview"), lambda o: any(n["about"] == "garage-7" for n in o["needs"]), 20.0
    )
    assert found["in_order"] is False
    need = next(n for n in found["needs"] if n["about"] == "garage-7")
    assert need["severity"] == "alarm"
    assert need["text"]


async def test_everything_on_the_list_of_downloads_can_be_had(one: PageSite) -> None:
    browser = await one.log_in("vera")
    reports = one.site.daemon.site.state_dir / "checkout"
    reports.mkdir()
    for name in ("checkout-2026-01-01T000000Z", "checkout-2026-02-01T000000Z"):
        (reports / f"{name}.html").write_text(f"<!doctype html><title>{name}</title>" + 100 * " ", encoding="utf-8")
    listed = (await browser.get("downloads"))["downloads"]
    assert [file["name"] for file in listed if "checkout" in file["name"]] == ["checkout-2026-02-01T000000Z.html"]
    assert {file["name"] for file in listed} >= {
        "registers.csv",
        "registers.xlsx",
        "ede.zip",
        "pics.html",
        "points.json",
    }
    for file in listed:
        async with browser.client.get(f"/api/v1/downloads/{file['name']}") as response:
            assert response.status == 200, file
            content = await response.read()
            assert response.headers["Content-Disposition"] == f'attachment; filename="{file["name"]}"'
            assert len(content) > 100
            if file["name"].endswith(".zip"):
                assert zipfile.ZipFile(io.BytesIO(content)).testzip() is None
    async with browser.client.get("/api/v1/downloads/users.json") as response:
        assert response.status == 404


async def test_the_log_has_the_state_changes_and_the_observatory_the_clients(one: PageSite) -> None:
    browser = await one.log_in("vera")
    log = await browser.get("log")
    events = [entry["event"] for entry in log["entries"]]
    assert "source.up" in events
    assert "page.login" in events
    assert (await browser.get("log", after=log["last"] - 1))["entries"][0]["seq"] == log["last"]
    client = ModbusClient("127.0.0.1", one.site.modbus_port, unit_id=1, timeout=5)
    assert await asyncio.to_thread(client.read_holding_registers, 0, 2)
    found = await becomes(lambda: browser.get("clients"), lambda f: f["clients"] != [])
    assert found["clients"][0]["address"] == "127.0.0.1"
    await asyncio.to_thread(client.close)


async def test_the_last_hour_of_a_zone_comes_from_the_store(one: PageSite) -> None:
    browser = await one.log_in("oskar")
    await browser.post("write", point=LIMIT, value=40)
    found = await becomes(lambda: browser.get("history", point=LIMIT), lambda h: any(r[1] == 40.0 for r in h["rows"]))
    assert (found["kept"], found["unit"]) == (True, "A")
    assert abs(found["rows"][-1][0] - time.time()) < 60
    assert (await browser.get("history", point="gateway/header/uptime_s"))["kept"] is False


async def test_live_events_tell_of_a_write_and_of_its_end(one: PageSite) -> None:
    browser = await one.log_in("oskar")
    seen: list[tuple[str, Any]] = []

    async def listen(reader: Browser) -> None:
        async with reader.client.get("/api/v1/events?points=cards") as response:
            assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
            name = ""
            async for line in response.content:
                if line.startswith(b"event: "):
                    name = line[7:].strip().decode()
                elif line.startswith(b"data: "):
                    seen.append((name, line[6:].decode()))

    async with asyncio.TaskGroup() as group:
        task = group.create_task(listen(browser))
        await until(lambda: any(name == "hello" for name, _ in seen))
        await browser.post("write", point=LIMIT, value=40)
        await until(lambda: any(n == "commands" and '"in force"' in data and LIMIT in data for n, data in seen))
        await until(lambda: {"points", "tick", "overview", "log"} <= {name for name, _ in seen})
        task.cancel()


async def test_status_tells_of_the_page_and_its_certificate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def change(data: dict[str, Any]) -> None:
        data["web"] = {"listen": "127.0.0.1:0", "tls": "self_made"}

    async with running_site(tmp_path, change=change) as site:
        status_ = Control(site.daemon).status()
        page = status_["web"]
        assert (page["port"], page["pages"]) == (site.daemon.listeners.web.port, 0)
        der = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", page["port"]))
        digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(der)).hexdigest()
        assert page["fingerprint"] == f"sha256:{digest}"
        show_status(status_)
        shown = " ".join(capsys.readouterr().out.split())
        assert f"page: port {page['port']}, 0 open, certificate sha256:" in shown


def members(contract: dict[str, Any], name: str) -> set[str]:
    return set(contract["components"]["schemas"][name]["properties"])


async def test_answers_have_exactly_the_members_that_the_contract_names(site: PageSite) -> None:
    contract = yaml.safe_load(CONTRACT.read_text(encoding="utf-8"))
    browser = await site.log_in("oskar")
    await browser.post("write", point=LIMIT, value=40)
    commands = await browser.get("commands")
    zone = next(card for card in (await browser.get("zones"))["zones"] if card["kind"] == "zone")
    overview = await browser.get("overview")
    found = {
        "Session": await browser.get("session"),
        "Overview": overview,
        "Card": zone,
        "Shown": zone["shows"]["current"],
        "Command": await browser.command(LIMIT),
        "Action": commands["actions"][0],
        "Points": await browser.get("points", limit=1),
        "History": await browser.get("history", point=LIMIT),
        "Evidence": await browser.get("evidence"),
        "Verdict": await browser.get("evidence/verify"),
        "Log": await browser.get("log"),
    }
    for name, answer in found.items():
        assert set(answer) == members(contract, name), name
        assert set(contract["components"]["schemas"][name].get("required", ())) <= set(answer)
    inner = contract["components"]["schemas"]["Overview"]["properties"]
    for name in ("sources", "servers"):
        assert set(overview[name][0]) == set(inner[name]["items"]["properties"]), name
    slot = next(slot for slot in found["Command"]["slots"] if slot is not None)
    assert set(slot) == set(contract["components"]["schemas"]["Command"]["properties"]["slots"]["items"]["properties"])
    detail = await browser.get("point", point=CURRENT)
    assert members(contract, "Detail") <= set(detail)
    assert set(detail["origin"]) <= set(
        contract["components"]["schemas"]["Detail"]["properties"]["origin"]["properties"]
    )
    columns = found["Points"]["columns"]
    said = contract["components"]["schemas"]["Points"]["properties"]["columns"]["description"]
    assert all(column in said for column in columns)
    record = found["Evidence"]["records"][0]
    assert set(record) == set(
        contract["components"]["schemas"]["Evidence"]["properties"]["records"]["items"]["properties"]
    )
