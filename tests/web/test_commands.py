"""What the page commands: limits, actions and points out of service, seen at the other side."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from pyModbusTCP.client import ModbusClient

from tests.site import AheadClock, until
from tests.web.site import CURRENT, LIMIT, PageSite, becomes, page_site, status


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
    for end in (1.0, 1e300, 10**400):
        refused = await browser.post("write", 409, point=LIMIT, value=16, until=end)
        assert refused["error"] == "its end must lie in the future, ten years ahead at most"
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
        clock.ahead_s += 595.0
        assert (await browser.get("point", point=state))["forced"] is True
        clock.ahead_s += 6.0
        await becomes(lambda: browser.get("point", point=state), lambda p: p["forced"] is False)
        events = [(e["event"], e["protocol"], e["answer"]) for e in await one.evidence(browser, point=state)]
        assert events[-1] == ("unforced", "gateway", "its time is over")
