"""`evce-gateway discover` and `check --openapi` as commands: what they print, store and exit with."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.mapping import load_mapping
from gateway.simulator import BenderSimulator, EvceSimulator
from tests.site import MAPPINGS, PASSWORD, SiteFiles, run_program, site_files

OPENAPI = Path(__file__).parents[1] / "mapping" / "openapi" / "files"


async def cli(*arguments: str | Path) -> tuple[int, str, str]:
    return await run_program(sys.executable, "-m", "gateway", *map(str, arguments))


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[tuple[EvceSimulator, SiteFiles]]:
    async with EvceSimulator() as evce, BenderSimulator() as bender:
        files = site_files(tmp_path, evce, [bender], "desc")
        files.write()
        yield evce, files


async def test_answers_are_shown_as_paths_and_stored(site: Any, tmp_path: Path) -> None:
    _, files = site
    code, out, err = await cli("discover", "-c", files.config, "--save", tmp_path / "answers.json")
    assert (code, err) == (0, "")
    assert "GET /em/zones/{id}/status   (asked: /em/zones/1/status)\n" in out
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert any(line.startswith("current.l1 number ") for line in lines)
    assert any(line.startswith("values[?name=='power'].value | [0] number ") for line in lines)
    assert "zone 2 Zone B" in lines
    stored = json.loads((tmp_path / "answers.json").read_text())
    zones = next(a for a in stored["sources"][0]["answers"] if a["asked"] == "/em/zones")
    assert zones["document"][0]["desc"]["name"] == "Zone A"
    assert PASSWORD not in out + json.dumps(stored)


async def test_one_source_as_json(site: Any) -> None:
    _, files = site
    code, out, _ = await cli("discover", "-c", files.config, "--source", "garage-7", "--json")
    assert code == 0
    (source,) = json.loads(out)["sources"]
    rows = {row["path"]: row["kind"] for row in source["endpoints"][0]["rows"]}
    assert source["name"] == "garage-7"
    assert rows["ambientTemp"] == "number"


async def test_exit_codes_say_what_was_reached(site: Any) -> None:
    evce, files = site
    await evce.stop()
    code, out, err = await cli("discover", "-c", files.config)
    assert code == 1
    assert "evce: cannot connect" in err
    assert "GET /system_state" in out
    assert (await cli("discover", "-c", files.config, "--source", "evce"))[0] == 3
    code, _, err = await cli("discover", "-c", files.config, "--source", "evse")
    assert code == 2
    assert "there is no source 'evse'; there are: evce, garage-7" in err


async def test_a_running_gateway_is_not_thrown_out(site: Any) -> None:
    evce, files = site
    from gateway.app.daemon import Daemon
    from gateway.app.load import load_site
    from tests.site import until

    daemon = Daemon(load_site(files.config))
    import asyncio

    async with asyncio.TaskGroup() as group:
        task = group.create_task(daemon.run(signals=False))
        try:
            await until(lambda: daemon.ready.is_set() or task.done())
            code, out, err = await cli("discover", "-c", files.config)
        finally:
            daemon.stop()
    assert (code, out) == (4, "")
    assert "the gateway is running" in err
    assert [item.path for item in evce.received if item.path.endswith("/login")] == ["/api/v2/login/login"]


@pytest.mark.parametrize("file", ["evce-desc.json", "evce-desc.spec.js", "evce-nested.yaml"])
async def test_the_output_for_an_openapi_file_is_a_mapping(tmp_path: Path, file: str) -> None:
    shutil.copy(MAPPINGS / "evce.yaml", tmp_path)
    code, out, err = await cli("discover", "--openapi", OPENAPI / file)
    assert code == 0
    assert err == "30 points recognised\n"
    assert "# GET /em/zones/{zone_id}/status\n" in out
    assert "# PUT /em/zones/{zone_id}/reduction takes\n" in out
    (tmp_path / "ours.yaml").write_text(out, encoding="utf-8")
    mapping, faults = load_mapping(tmp_path / "ours.yaml")
    assert faults == []
    assert mapping is not None


async def test_the_proposal_is_written_to_a_new_file_only(tmp_path: Path) -> None:
    target = tmp_path / "ours.yaml"
    code, out, _ = await cli("discover", "--openapi", OPENAPI / "evce-desc.json", "--mapping", target)
    assert code == 0
    assert "extends" not in out
    assert yaml.safe_load(target.read_text())["extends"] == "evce.yaml"
    code, _, err = await cli("discover", "--openapi", OPENAPI / "evce-desc.json", "--mapping", target)
    assert code == 2
    assert "exists already" in err


async def test_enumerations_and_units_are_shown() -> None:
    _, out, _ = await cli("discover", "--openapi", OPENAPI / "evce-desc.json", "--json")
    rows = json.loads(out)["endpoints"]["GET /stations/{id}/status"]
    notes = {row["path"]: row["note"] for row in rows}
    assert notes["status"].startswith("one of Available, Preparing, Charging, SuspendedEVSE")
    assert notes["energy"] == "unit Wh; Energy delivered, Wh"


async def test_check_holds_the_mappings_against_the_file(site: Any) -> None:
    _, files = site
    code, out, err = await cli("check", "-c", files.config, "--openapi", OPENAPI / "evce-desc.json")
    assert (code, err) == (0, "")
    assert "good" in out
    code, _, err = await cli("check", "-c", files.config, "--openapi", OPENAPI / "evce-nested.yaml")
    assert code == 1
    assert "evce.yaml:" in err
    lines = [line for line in err.splitlines() if "zone.points.current_l1.path" in line]
    assert len(lines) == 1
    assert lines[0].endswith('the schema of GET /em/zones/{id}/status has no "current"; it has: zone_status')


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "is not YAML"), ('{"openapi": "3", "paths": {"/pets": {}}}', "has no path of EVCE or Bender")],
)
async def test_a_file_that_is_no_help_is_a_fault(site: Any, tmp_path: Path, text: str, words: str) -> None:
    _, files = site
    (tmp_path / "api.json").write_text(text, encoding="utf-8")
    for command in (("discover",), ("check", "-c", files.config)):
        code, _, err = await cli(*command, "--openapi", tmp_path / "api.json")
        assert code == 1
        assert words in err
        assert os.linesep not in err.rstrip("\n")
