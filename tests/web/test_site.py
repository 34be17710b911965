"""The page of a whole site: what it shows, and what it commands, seen at the other side."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import ssl
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyModbusTCP.client import ModbusClient

from gateway.app.control import Control
from gateway.cli.show import show_status
from tests.site import AheadClock, running_site, until
from tests.web.site import Browser, PageSite, page_site

LIMIT = "evce/zone/Zone A/reduction"
CURRENT = "evce/zone/Zone A/current"


@pytest.fixture(params=["desc", "nested"])
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    async with page_site(tmp_path, request.param) as running:
        yield running


@pytest.fixture
async def one(tmp_path: Path) -> Any:
    async with page_site(tmp_path) as running:
        yield running


async def becomes(ask: Callable[[], Any], right: Callable[[Any], bool], seconds: float = 10.0) -> Any:
    """Asks until the answer is right."""
    deadline = time.monotonic() + seconds
    while not right(answer := await ask()):
        assert time.monotonic() < deadline, answer
        await asyncio.sleep(0.05)
    return answer


def status(command: dict[str, Any]) -> str:
    return str(command["receipt"]["write_status"])


async def test_a_limit_written_on_the_page_is_put_read_back_and_in_the_evidence_with_the_users_name(
    site: PageSite,
) -> None:
    browser = await site.log_in("oskar")
    answer = await browser.post("write", point=LIMIT, value=40)
    assert (answer["value"], answer["winner"]) == (40.0, 8)
    assert answer["slots"][7]["origin"] == "page 127.0.0.1 oskar"
    assert 3590 <= answer["slots"][7]["left_s"] <= 3600, "a person's write ends after an hour"
    row = await becomes(lambda: browser.command(LIMIT), lambda row: status(row) == "in force")
    assert row["receipt"]["applied"] == 40.0
    zone = next(zone for zone in site.site.evce.site.zones.values() if zone.name == "Zone A")
    assert zone.limit_a == 40.0
    events = await site.evidence(browser, point=LIMIT)
    assert {(e["event"], e["user"], e["client"], e["slot"]) for e in events} >= {
        ("accepted", "oskar", "127.0.0.1", 8),
        ("sent", "oskar", "127.0.0.1", 8),
        ("verified", "oskar", "127.0.0.1", 8),
    }
    await browser.post("release", point=LIMIT)
    released = await becomes(lambda: browser.command(LIMIT), lambda row: row["receipt"]["authority"] == "autonomous")
    assert (released["winner"], released["slots"][7]) == (None, None)
    await until(lambda: zone.limit_a == zone.max_a)


async def test_what_may_be_asked_is_shown_and_what_may_not_is_refused_in_words(one: PageSite) -> None:
    browser = await one.log_in("oskar")
    row = await browser.command(LIMIT)
    assert (row["low"], row["high"], row["floor"], row["stop_allowed"], row["unit"]) == (0.0, 250.0, 6.0, False, "A")
    assert (row["default"], row["obstacle"], row["dry_run"], len(row["slots"])) == (250.0, "", False, 16)
    low = await browser.post("write", 409, point=LIMIT, value=3)
    assert low == {"error": "3 is below the floor 6 A and stopping is not allowed", "code": 7}
    assert (await browser.post("write", 409, point=LIMIT, value=300))["code"] == 6
    assert (await browser.post("write", 409, point=LIMIT, value="much"))["code"] == 4
    assert (await browser.post("write", 409, point=CURRENT, value=16))["error"] == "this point cannot be written"
    assert (await browser.post("write", 404, point="evce/zone/None/reduction", value=16))["error"]
    assert (await browser.post("write", 409, point=LIMIT, value=16, until=1.0))["error"].endswith("in the future")
    admin = await one.log_in("adam")
    assert (await admin.post("write", 409, point=LIMIT, value=16, slot=6))["code"] == 8
    assert (await admin.post("write", 409, point=LIMIT, value=16, slot=17))["code"] == 8
    assert one.site.puts() == []
    refused = [e for e in await one.evidence(browser, event="refused") if e["point"] == LIMIT]
    assert {e["user"] for e in refused} >= {"oskar"}


async def test_an_admin_releases_what_the_bms_holds(one: PageSite) -> None:
    place = one.site.placed(LIMIT).registers[0].register
    client = ModbusClient("127.0.0.1", one.site.modbus_port, unit_id=1, timeout=5)
    assert await asyncio.to_thread(client.write_multiple_registers, place, [0x4220, 0])  # 40.0
    await asyncio.to_thread(client.close)
    operator, admin = await one.log_in("oskar"), await one.log_in("adam")
    row = await operator.command(LIMIT)
    assert row["winner"] == 10
    assert row["slots"][9]["origin"].startswith("modbus 127.0.0.1:")
    await operator.post("release", 403, point=LIMIT, slot=10)
    assert (await admin.post("release", point=LIMIT, slot=10))["winner"] is None


async def test_dry_run_is_shown_and_nothing_leaves(tmp_path: Path) -> None:
    async with page_site(tmp_path, change=lambda data: data.setdefault("control", {}).update(dry_run=True)) as one:
        browser = await one.log_in("oskar")
        row = await browser.post("write", point=LIMIT, value=40)
        assert (row["dry_run"], row["slots"][7]["dry_run"], status(row)) == (True, True, "dry run")
        assert (await browser.get("overview"))["dry_run"] is True
        assert one.site.puts() == []


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
    large = next(row for row in rows(everything) if row["point"] == "gateway/header/map_hash")
    assert isinstance(large["value"], str), "a browser would lose its last digits"
    assert int(large["value"]) == one.site.value("gateway/header/map_hash")


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


async def test_an_action_of_the_page_fires_once_and_clears_the_way_for_the_next(one: PageSite) -> None:
    browser = await one.log_in("oskar")
    actions = (await browser.get("commands"))["actions"]
    reset = next(action for action in actions if action["name"] == "reset")
    assert reset["codes"] == [{"code": 1, "text": "Soft"}, {"code": 2, "text": "Hard"}]

    def posts() -> list[Any]:
        return [r.body for r in one.site.evce.received if r.method == "POST" and r.path.endswith("/cmds/reset")]

    for count in (1, 2):
        await browser.post("action", point=reset["point"], code=1)
        await until(lambda count=count: len(posts()) == count)

        async def result() -> Any:
            found = (await browser.get("commands"))["actions"]
            return next(action for action in found if action["point"] == reset["point"])

        ended = await becomes(result, lambda action: action["receipt"]["result"] == "done")
        assert ended["standing"] == 0
    assert (await browser.post("action", 409, point=reset["point"], code=7))["code"] == 6
    assert (await browser.post("action", 409, point=LIMIT, code=1))["error"] == "this point is no action"
    used = list(await one.evidence(browser, point=reset["point"], event="sent"))
    assert [e["user"] for e in used] == ["oskar", "oskar"]


async def test_a_code_that_the_bms_left_standing_is_not_taken_away_under_it(one: PageSite) -> None:
    browser = await one.log_in("oskar")
    reset = next(a for a in (await browser.get("commands"))["actions"] if a["name"] == "reset")
    place = one.site.placed(reset["point"]).registers[0].register
    client = ModbusClient("127.0.0.1", one.site.modbus_port, unit_id=1, timeout=5)
    assert await asyncio.to_thread(client.write_single_register, place, 1)
    await until(lambda: sum(r.path.endswith("/cmds/reset") for r in one.site.evce.received) == 1)
    for code in (1, 2):
        refused = await browser.post("action", 409, point=reset["point"], code=code)
        assert "1 stands there" in refused["error"]
    assert await asyncio.to_thread(client.read_holding_registers, place) == [1]
    await asyncio.to_thread(client.close)


async def polled_again(one: PageSite) -> None:
    """Zone A has answered once more."""

    daemon = one.site.daemon
    key = next((r, read) for r, read in daemon.intake.seen if r.label == "evce/zone/Zone A" and read == "status")
    before = daemon.intake.seen[key].time
    daemon.pollers["evce"].replan()
    await until(lambda: daemon.intake.seen[key].time > before)


async def test_a_forced_point_shows_its_value_everywhere_until_it_is_released(one: PageSite) -> None:
    browser = await one.log_in("oskar")
    place = one.site.placed(CURRENT).registers[0].register
    client = ModbusClient("127.0.0.1", one.site.modbus_port, unit_id=1, timeout=5)
    try:
        found = await browser.post("force", point=CURRENT, value=12.5)
        assert (found["value"], found["forced"], found["quality"]) == (12.5, True, "good")
        assert found["forced_by"] == {"user": "oskar", "left_s": 3600}
        assert found["reason"] == "out of service: forced by oskar, for at most an hour"
        assert await asyncio.to_thread(client.read_holding_registers, place, 2) == [0x4148, 0]
        banner = (await browser.get("overview"))["forced"]
        assert [(row["point"], row["value"], row["user"]) for row in banner] == [(CURRENT, 12.5, "oskar")]
        assert one.site.value("gateway/header/flags") in (0, 16)
        await until(lambda: one.site.value("gateway/header/flags") == 16)
        await polled_again(one)
        assert one.site.value(CURRENT) == 12.5, "what the product says meanwhile stands aside"
        released = await browser.post("unforce", point=CURRENT)
        assert (released["forced"], released["forced_by"], released["reason"]) == (False, None, "")
        assert released["value"] != 12.5
        assert await asyncio.to_thread(client.read_holding_registers, place, 2) != [0x4148, 0]
    finally:
        await asyncio.to_thread(client.close)
    events = [(e["event"], e["user"], e["new"]) for e in await one.evidence(browser, point=CURRENT)]
    assert events[0] == ("forced", "oskar", "12.5")
    assert events[1][:2] == ("unforced", "oskar")
    assert (await browser.get("overview"))["forced"] == []


UNFORCED = [
    (LIMIT, 16, "a point that can be written is not forced: write it"),
    (f"{LIMIT}.applied", 16, "only what a product measures can be forced; this is made by the gateway"),
    ("evce/zone/Zone A/maximum", 400, "commands of evce/zone/Zone A depend on it"),
    ("gateway/header/layout_version", 2, "only what a product measures can be forced"),
    (CURRENT, "much", "a number is needed"),
    (CURRENT, True, "a number is needed"),
    (CURRENT, 1e308, "does not fit its registers"),
    (CURRENT, 1e39, "does not fit its registers"),
]


async def test_what_must_not_be_forced_is_refused(one: PageSite) -> None:
    browser = await one.log_in("oskar")
    for point, value, text in UNFORCED:
        before = one.site.value(point)
        assert text in (await browser.post("force", 409, point=point, value=value))["error"], point
        assert one.site.value(point) == before
    assert one.site.value("gateway/header/flags") == 0


async def test_a_force_ends_by_itself(tmp_path: Path) -> None:
    clock = AheadClock()
    async with page_site(tmp_path, gateway_clock=clock) as one:
        browser = await one.log_in("oskar")
        state = f"evce/station/{next(iter(one.site.evce.site.stations.values())).name}/status"
        found = await browser.post("force", point=state, value="Faulted", seconds=600)
        assert (found["value"], found["text"]) == (9, "Faulted")
        clock.ahead_s += 599.0
        assert (await browser.get("point", point=state))["forced"] is True
        clock.ahead_s += 2.0
        await becomes(lambda: browser.get("point", point=state), lambda p: p["forced"] is False)
        events = [(e["event"], e["protocol"], e["answer"]) for e in await one.evidence(browser, point=state)]
        assert events[-1] == ("unforced", "gateway", "its time is over")


async def test_failed_logins_are_evidence_without_what_was_typed(one: PageSite) -> None:
    browser = await one.log_in("adam")
    async with browser.client.post("/api/v1/login", json={"name": "hunter2", "password": "x"}) as response:
        assert response.status == 401
    async with browser.client.post("/api/v1/login", json={"name": "vera", "password": "hunter2"}) as response:
        assert response.status == 401
    events = [e for e in await one.evidence(browser, point="page/login") if e["event"] == "refused"]
    assert [(e["user"], e["client"], e["answer"]) for e in events][:1] == [
        ("a name that does not exist", "127.0.0.1", "wrong name or password")
    ]
    assert "hunter2" not in str(await browser.get("evidence"))
    assert "hunter2" not in str(await browser.get("log"))


async def test_the_evidence_is_filtered_paged_and_verified(one: PageSite) -> None:
    browser = await one.log_in("oskar")
    for value in (40, 41, 42):
        await browser.post("write", point=LIMIT, value=value)
    accepted = await one.evidence(browser, event="accepted")
    assert [e["new"] for e in accepted] == ["40.0", "41.0", "42.0"]
    newest = await browser.get("evidence", event="accepted", limit=2)
    assert ([e["new"] for e in newest["records"]], newest["more"]) == (["42.0", "41.0"], True)
    older = await browser.get("evidence", event="accepted", before=newest["records"][-1]["seq"])
    assert ([e["new"] for e in older["records"]], older["more"]) == (["40.0"], False)
    assert (await browser.get("evidence", since="2099-01-01"))["records"] == []
    assert len((await browser.get("evidence", until="2099-01-01T00:00:00+02:00", limit=1000))["records"]) >= 6
    verdict = await browser.get("evidence/verify")
    assert (verdict["good"], verdict["broken_at"]) == (True, None)
    assert verdict["records"] >= 6


async def test_no_cell_of_a_table_is_a_formula(tmp_path: Path) -> None:
    async with page_site(tmp_path) as one:
        browser = await one.log_in("oskar")
        await one.site.evce.do("rename", kind="zone", name="Zone A", to="=1+1")
        point = "=1+1"
        await until(lambda: one.site.daemon.table.find("evce/zone/=1+1/reduction") is not None or _relist(one), 30.0)
        await browser.post("write", point="evce/zone/=1+1/reduction", value=40)
        await one.evidence(browser)
        table = list(csv.reader(io.StringIO((await browser.text("evidence/csv")).lstrip("\ufeff"))))
        assert table[0][:3] == ["seq", "utc", "event"]
        cells = [cell for row in table for cell in row]
        assert any(point in cell for cell in cells)
        assert not [cell for cell in cells if cell.startswith(("=", "+", "@"))]


def _relist(one: PageSite) -> bool:
    zone = next(r.kind for r in one.site.daemon.inventory.resources.values() if r.kind.name == "zone")
    one.site.daemon.pollers["evce"].relist(zone)
    return False


async def test_the_report_of_a_reduction_says_asked_in_force_and_measured_and_escapes_names(one: PageSite) -> None:
    browser = await one.log_in("oskar")
    await one.site.evce.do("rename", kind="zone", name="Zone A", to="<script>alert(1)</script>")
    point = "evce/zone/<script>alert(1)<%2Fscript>/reduction"
    await until(lambda: one.site.daemon.table.find(point) is not None or _relist(one), 30.0)
    await browser.post("write", point=point, value=40)
    await becomes(lambda: browser.command(point), lambda row: status(row) == "in force")
    await one.evidence(browser)
    async with browser.client.get("/api/v1/evidence/report", params={"point": point}) as response:
        assert response.headers["Content-Security-Policy"].startswith("default-src 'self'")
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        report = await response.text()
    assert "<script" not in report
    assert "&lt;script&gt;" in report
    assert "page 127.0.0.1 oskar" in report
    assert "40 A" in report
    assert "not known" in report, "nothing was measured for a quarter of an hour yet"
    async with browser.client.get("/api/v1/evidence/report", params={"point": CURRENT}) as response:
        assert response.status == 404


async def test_everything_on_the_list_of_downloads_can_be_had(one: PageSite) -> None:
    browser = await one.log_in("vera")
    listed = (await browser.get("downloads"))["downloads"]
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


async def test_a_logout_holds_over_a_restart_and_a_login_does_too(tmp_path: Path) -> None:
    async with page_site(tmp_path) as one:
        out, stays = await one.log_in("oskar"), await one.log_in("vera")
        old = [cookie.value for cookie in out.client.cookie_jar]
        kept = [cookie.value for cookie in stays.client.cookie_jar]
        await out.post("logout", 204)
        async with out.client.get("/api/v1/session") as response:
            assert response.status == 401
    async with page_site(tmp_path) as one:
        browser = await one.log_in("adam")
        for value, status_ in ((old[0], 401), (kept[0], 200)):
            browser.client.cookie_jar.clear()
            async with browser.client.get("/api/v1/session", headers={"Cookie": f"evce_session={value}"}) as response:
                assert response.status == status_


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
