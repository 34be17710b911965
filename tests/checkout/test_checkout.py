"""`checkout` against a whole running site: what passes, what it finds, and that it changes nothing."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.app.export import planned_spec
from gateway.checkout import Wanted, check_out, read_sheet
from gateway.cli.checkout import _servers, checkout
from gateway.core.priority import Origin
from gateway.export import documents
from gateway.mapping import load_mapping
from gateway.web import ask_daemon
from tests.site import DIALECTS, MAPPINGS, Running, StillClock, running_site

SMALL: dict[str, Any] = {"stations": 3, "zones": 2, "meters": 1}
Change = Callable[[dict[str, Any]], None]


async def settled(site: Running) -> None:
    await site.complete()
    await site.until(lambda: site.value("gateway/header/map_hash") == site.daemon.map_hash())  # once a second


async def run(site: Running, folder: Path, **options: Any) -> tuple[int, dict[str, Any]]:
    """Exit code and report of the command, called beside the gateway's loop."""
    target = folder / "report"
    code = await asyncio.to_thread(lambda: checkout(config=site.files.config, output=target, **options))
    file = max(target.glob("*.json"))
    report: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    report["html"] = file.with_suffix(".html").read_text(encoding="utf-8")
    return code, report


def failed(report: dict[str, Any]) -> dict[str, str]:
    return {one["point"]: one["text"] for one in report["points"] if one["verdict"] == "fail"}


def per_resource(data: dict[str, Any]) -> None:
    data["modbus"] |= {"units": "per_resource", "word_order": "little"}
    data["bacnet"] |= {"devices": "per_resource", "network": 200, "first_instance": 270000}


def per_source(data: dict[str, Any]) -> None:
    data["modbus"] |= {"units": "per_source", "byte_order": "little"}


@pytest.mark.parametrize(("dialect", "change"), [("desc", None), ("nested", per_source), ("desc", per_resource)])
async def test_every_point_is_read_over_both_protocols_and_agrees(
    tmp_path: Path, dialect: str, change: Change | None
) -> None:
    async with running_site(tmp_path, dialect, change=change, **SMALL) as site:  # values move on
        await settled(site)
        before = [item.path for item in site.evce.received if item.method != "GET"]
        code, report = await run(site, tmp_path)
        assert (code, failed(report)) == (0, {})
        names = {row["point"] for row in await ask_daemon(site.daemon.site.daemon_path, "GET", "/points")}
        assert {one["point"] for one in report["points"]} == names | {"map/hash"}
        not_proven = {one["point"].rpartition("/")[2] for one in report["points"] if one["verdict"] == "skipped"}
        assert not_proven <= {"reboot_required"}, "a Bender controller sends it only when it is so"
        with_json = [one for one in report["points"] if one["compared"].startswith("JSON")]
        assert len(with_json) > 100
        assert all(one["modbus"] and one["bacnet"] for one in with_json)
        assert report["references"]["evce"] == f"{DIALECTS[dialect]} as shipped"
        assert [item.path for item in site.evce.received if item.method != "GET"] == before, "nothing is written"


async def test_the_report_can_be_printed_and_says_of_what_it_is(tmp_path: Path) -> None:
    def change(data: dict[str, Any]) -> None:
        data["site"] = "<b>Zone & B</b>"

    async with running_site(tmp_path, change=change, clock=StillClock(), **SMALL) as site:
        await settled(site)
        code, report = await run(site, tmp_path)
    assert code == 0
    html = report["html"]
    assert "&lt;b&gt;Zone &amp; B" in html
    assert "<b>Zone" not in html
    assert "<script" not in html
    assert "http" not in html, "it needs nothing beside it"
    for said in (report["made"], report["map_hash"], report["version"]):
        assert said
        assert said in html
    assert report["summary"]["points"] == len(report["points"])
    assert report["map_hash"] == f"{site.daemon.map_hash():016x}"


SEEDS: dict[str, dict[str, Any]] = {
    "current_l1": {"path": "current.l2"},  # another phase
    "current": {"path": "min([current.l1, current.l2, current.l3])"},
    "power": {"scale": 0.1},
    "setpoint": {"scale": 1000},
    "stations_total": {"path": "power"},
}


async def test_wrong_paths_and_scales_are_found_in_every_zone_and_nothing_else(tmp_path: Path) -> None:
    shutil.copy(MAPPINGS / "evce.yaml", tmp_path)
    points = {**SEEDS, "reduction": {"path": "priority || value", "scale": 10}}
    ours = {"extends": "evce.yaml", "resources": {"zone": {"points": points}}}
    ours["resources"]["station"] = {"points": {"energy": {"scale": 1}}}  # type: ignore[index]
    (tmp_path / "ours.yaml").write_text(yaml.safe_dump(ours), encoding="utf-8")

    def change(data: dict[str, Any]) -> None:
        data["sources"][0]["mapping"] = "ours.yaml"

    async with running_site(tmp_path, change=change, **SMALL) as site:
        seeded = {f"evce/zone/{zone}/{point}" for zone in ("Zone A", "Zone B") for point in SEEDS}
        seeded |= {f"evce/zone/{zone}/reduction.applied" for zone in ("Zone A", "Zone B")}
        seeded |= {f"evce/station/Bay 00{number}/energy" for number in (1, 2, 3)}
        await site.until(lambda: all(site.value(point) is not None for point in seeded))
        await site.until(lambda: site.value("gateway/header/map_hash") == site.daemon.map_hash())
        code, report = await run(site, tmp_path)
        assert code == 1
        assert failed(report).keys() == seeded
        text = failed(report)["evce/zone/Zone A/power"]
        assert "GET /em/zones/1/status `power`" in text
        assert "--reference" in text, "it says how to prove that it is right"
        code, report = await run(site, tmp_path, reference=[tmp_path / "ours.yaml"])
        assert (code, failed(report)) == (0, {}), "a mapping that somebody names as right is right"


async def the_list(site: Running) -> list[dict[str, str]]:
    spec = await asyncio.to_thread(planned_spec, site.daemon.site)
    text = documents(spec, "registers", "csv")[0].content.decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def as_csv(rows: list[dict[str, str]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), delimiter=";")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def swapped(row: dict[str, str]) -> bool:
    if row["count"] in ("2", "4") and not row["type"].startswith("string"):
        row["word_order"] = "little"
        return True
    return False


def shifted(row: dict[str, str]) -> bool:
    if row["point"].startswith("evce/zone/Zone A/"):
        row["address"] = str(int(row["address"]) + 60)
        return True
    return False


def by_one(row: dict[str, str]) -> bool:
    if row["point"].startswith("evce/") and row["address"]:
        row["address"] = str(int(row["address"]) + 1)
        return True
    return False


@pytest.mark.parametrize("fault", [swapped, shifted, by_one])
async def test_a_list_with_swapped_words_or_a_shifted_block_is_found(
    tmp_path: Path, fault: Callable[[dict[str, str]], bool]
) -> None:
    async with running_site(tmp_path, clock=StillClock(), **SMALL) as site:
        await settled(site)
        rows = await the_list(site)
        good = as_csv(rows)
        wrong = {row["point"] for row in rows if row["address"] and fault(row)}
        (tmp_path / "bms.csv").write_text(as_csv(rows), encoding="utf-8-sig")
        code, report = await run(site, tmp_path, map_=tmp_path / "bms.csv")
        assert code == 1
        assert failed(report).keys() == wrong
        if fault is swapped:
            (tmp_path / "bms.csv").write_text(good, encoding="utf-8")
            assert (await run(site, tmp_path, map_=tmp_path / "bms.csv"))[0] == 0


async def test_what_is_read_shows_it_too_where_no_list_says_it(tmp_path: Path) -> None:
    """The same faults in the gateway itself: its list says one thing and its registers hold another."""
    async with running_site(tmp_path, clock=StillClock(), **SMALL) as site:
        await settled(site)
        rows = await the_list(site)
        held = {row["point"]: site.value(row["point"]) for row in rows}
        for fault in (swapped, shifted):
            changed = [dict(row) for row in rows]
            wrong = {row["point"] for row in changed if row["address"] and fault(row)}
            lines = read_sheet(as_csv(changed), "list")
            loaded, _ = load_mapping(MAPPINGS / "evce.yaml")
            assert loaded is not None
            path = site.daemon.site.daemon_path

            async def ask(what: str, path: Path = path) -> Any:
                return await ask_daemon(path, "GET", what)

            status = await ask("/status")
            wanted = Wanted(lines, lines, [], [], {}, lambda _name: False)
            outcome = await check_out(wanted, _servers(site.daemon.site, status), ask)
            found = {one.point for one in outcome.results if one.verdict == "fail"}
            assert found <= wrong
            telling = {point for point in wrong if _number(held[point]) and not point.endswith("_s")}
            if fault is shifted:
                telling = {p for p in telling if held[p] != held[p.replace("Zone A", "Zone B")]}
            assert telling - found == set()
            assert len(telling) > 5


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value != 0


async def test_readings_of_a_person_and_a_limit_in_force(tmp_path: Path) -> None:
    async with running_site(tmp_path, clock=StillClock(), **SMALL) as site:
        await settled(site)
        await site.daemon.desk.submit([_ask(site, "evce/zone/Zone A/reduction", 20.0)], Origin("bacnet", "127.0.0.1"))
        await site.until(lambda: site.value("evce/zone/Zone A/reduction.write_status") == 4)
        power = site.value("evce/zone/Zone A/power")
        lines = ["point,value,tolerance", f"evce/zone/Zone A/power,{power * 1.01}", "evce/zone/Zone B/power,99999,1"]
        (tmp_path / "readings.csv").write_text("\n".join(lines), encoding="utf-8")
        code, report = await run(site, tmp_path, readings=tmp_path / "readings.csv")
        assert code == 1
        assert failed(report).keys() == {"evce/zone/Zone B/power"}
        assert "a person read 99999" in failed(report)["evce/zone/Zone B/power"]
        (applied,) = [one for one in report["points"] if one["point"] == "evce/zone/Zone A/reduction.applied"]
        assert (applied["source"], applied["modbus"], applied["bacnet"]) == ("20", "20", "20")
        assert applied["compared"] == "JSON: GET /em/zones/1/reduction `value`"


def _ask(site: Running, point: str, value: float) -> Any:
    from gateway.engine.ports import Ask

    index = site.daemon.table.find(point)
    assert index is not None
    return Ask(index, value, 10)


async def test_what_cannot_be_proven_now_is_not_passed(tmp_path: Path) -> None:
    async with running_site(tmp_path, clock=StillClock(), **SMALL) as site:
        await settled(site)
        index = site.daemon.table.find("evce/zone/Zone A/power")
        assert index is not None
        site.daemon.forcing.force(index, 5.0, 600, Origin("page", "127.0.0.1", "anna"))
        code, report = await run(site, tmp_path)
        (forced,) = [one for one in report["points"] if one["point"] == "evce/zone/Zone A/power"]
        assert (code, forced["verdict"]) == (0, "skipped")
        assert forced["text"].startswith("out of service")
        assert forced["modbus"] == forced["bacnet"] == "5"


async def test_who_charges_is_in_no_report(tmp_path: Path) -> None:
    shutil.copy(MAPPINGS / "evce.yaml", tmp_path)
    points = {"session_tag": {"path": "to_string(session.id_tag)"}}  # another way to say it, and one that differs
    ours = {"extends": "evce.yaml", "resources": {"station": {"points": points}}}
    (tmp_path / "ours.yaml").write_text(yaml.safe_dump(ours), encoding="utf-8")

    def change(data: dict[str, Any]) -> None:
        data["sources"][0]["mapping"] = "ours.yaml"

    async with running_site(tmp_path, change=change, **SMALL) as site:
        await site.complete()
        await site.until(lambda: bool(tags(site)))
        await site.until(lambda: site.value("gateway/header/map_hash") == site.daemon.map_hash())
        tag = tags(site)[0]
        point = next(name for name in site.daemon.table.names if site.value(name) == tag)
        (tmp_path / "readings.csv").write_text(f"{point},somebody else\n", encoding="utf-8")
        code, report = await run(site, tmp_path, readings=tmp_path / "readings.csv")
        assert code == 1
        assert "a person read somebody else" in failed(report)[point]
        said = json.dumps(report)
        assert [one for one in tags(site) if one in said and one != "null"] == []
        assert "<hidden>" in said


def tags(site: Running) -> list[str]:
    names = [name for name in site.daemon.table.names if name.endswith("/session_tag")]
    return [str(value) for name in names if (value := site.value(name)) and value != "null"]
