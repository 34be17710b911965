"""Evidence, report and logins of a whole site."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import aiohttp
import pytest

from gateway.app.page import port, records
from tests.site import running_site, until
from tests.web.rig import PAGE
from tests.web.site import CURRENT, LIMIT, PageSite, becomes, page_site, relist, status


async def test_failed_logins_are_evidence_without_what_was_typed(one: PageSite) -> None:
    browser = await one.log_in("adam")
    async with browser.client.post("/api/v1/login", json={"name": "hunter2", "password": "x"}) as response:
        assert response.status == 401
    async with browser.client.post("/api/v1/login", json={"name": "vera", "password": "hunter2"}) as response:
        assert response.status == 401
    events = [e for e in await one.evidence(browser, point="page/login") if e["event"] == "login_failed"]
    assert [(e["user"], e["client"], e["answer"]) for e in events] == [
        (user, "127.0.0.1", f"wrong name or password: {user} from 127.0.0.1")
        for user in ("a name that does not exist", "vera")
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


async def test_what_an_answer_holds_is_bounded_and_says_so(one: PageSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MOST_EXPORTED", 3)
    monkeypatch.setattr(port, "MOST_REDUCTIONS", 2)
    browser = await one.log_in("oskar")
    for value in (40, 41, 42):
        await browser.post("write", point=LIMIT, value=value)
    assert len(await one.evidence(browser, event="accepted")) == 3
    async with browser.client.get("/api/v1/evidence/csv", params={"event": "accepted"}) as response:
        assert response.status == 200
    await browser.post("write", point=LIMIT, value=43)
    await one.evidence(browser)
    async with browser.client.get("/api/v1/evidence/csv", params={"event": "accepted"}) as response:
        assert response.status == 400
        assert (await response.json())["error"].startswith("more than 3 records: choose a shorter time")
    report = await browser.text("evidence/report", point=LIMIT)
    assert "Only the newest are shown" in report
    assert "<td>43 A</td>" in report
    assert "<td>40 A</td>" not in report


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
    relist(one)
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


async def test_the_report_of_a_point_that_nobody_commanded_says_so(one: PageSite) -> None:
    report = await (await one.log_in("vera")).text("evidence/report", point=LIMIT)
    assert "no command in this time" in report


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


async def test_a_reload_of_the_web_section_takes_hold_and_logs_nobody_out_or_in(tmp_path: Path) -> None:
    async with page_site(tmp_path) as one:
        out, stays = await one.log_in("oskar"), await one.log_in("vera")
        left, kept = (next(cookie.value for cookie in b.client.cookie_jar) for b in (out, stays))
        await out.post("logout", 204)
        one.site.files.data["web"]["names"] = ["gateway.example.com"]
        one.site.files.write()
        done = await one.site.daemon.reload("anna")
        assert done.refused == []
        async with aiohttp.ClientSession(one.base) as client:
            for token, status_ in ((left, 401), (kept, 200)):
                headers = {"Cookie": f"evce_session={token}", "Host": "gateway.example.com"}
                async with client.get("/api/v1/session", headers=headers) as response:
                    assert response.status == status_


async def test_a_damaged_user_file_keeps_nobody_but_users_out(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "users.json").write_text("{")
    async with running_site(tmp_path, change=lambda data: data.update(web={"listen": "127.0.0.1:0"})) as site:
        await site.complete()
        base = f"http://127.0.0.1:{site.daemon.listeners.web.port}"
        async with aiohttp.ClientSession(base, headers=PAGE) as client:
            async with client.get("/healthz") as response:
                assert response.status == 200
            async with client.post("/api/v1/login", json={"name": "a", "password": "b"}) as response:
                assert response.status == 503
                assert "users.json is damaged" in (await response.json())["error"]
