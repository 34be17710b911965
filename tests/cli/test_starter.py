"""`discover --write` and `check --against`: a site's first files, made from nothing but what a product answers."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.app import discover as ask
from gateway.app.daemon import Daemon
from gateway.app.load import load_site
from gateway.app.openapi import saved_findings
from gateway.cli.discover import discover
from gateway.cli.starter import starter_mapping
from gateway.config.strict_yaml import read_yaml
from gateway.mapping import load_mapping
from gateway.mapping.openapi import check_mapping, propose
from gateway.mapping.openapi.answered import read_saved
from gateway.simulator import BenderSimulator, EvceSimulator
from tests.site import MAPPINGS, PASSWORD, free_port, until

SMALL: dict[str, Any] = {"stations": 4, "zones": 2, "meters": 1}


async def begin(folder: Path, url: str, **options: Any) -> int:
    """The command, in a thread of its own beside the simulator."""
    (folder / "password").write_text(PASSWORD + "\n", encoding="ascii")
    login = {"username": "bms", "password_file": folder / "password", "write": folder / "site", **options}
    return await asyncio.to_thread(lambda: discover(url=url, **login))


def moved(folder: Path) -> Path:
    """The written config.yaml on ports that are free here."""
    file = folder / "site" / "config.yaml"
    text = file.read_text(encoding="utf-8")
    text = (
        text.replace(":5020", ":0").replace(":47808", f":{free_port()}").replace("web: {listen: 127.0.0.1:8080}\n", "")
    )
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize(("dialect", "base"), [("desc", "evce.yaml"), ("nested", "evce-nested.yaml")])
async def test_what_discover_writes_passes_check_and_runs(tmp_path: Path, dialect: str, base: str) -> None:
    async with EvceSimulator(dialect=dialect, **SMALL) as evce:
        (tmp_path / "evce.pem").write_text(evce.certificate_pem, encoding="ascii")
        assert await begin(tmp_path, evce.url, ca_file=tmp_path / "evce.pem") == 0
        assert [item.path for item in evce.received] == [  # of everything but GETs
            "/api/v2/login/login",
            "/api/v2/login/logout",
        ]
        written = yaml.safe_load((tmp_path / "site" / "mappings" / "evce-site.yaml").read_text(encoding="utf-8"))
        assert written["extends"] == base
        config = yaml.safe_load((tmp_path / "site" / "config.yaml").read_text(encoding="utf-8"))
        assert config["sources"][0]["expect"]["zone"] == ["Zone A", "Zone B"]
        assert PASSWORD not in "".join(
            file.read_text(encoding="utf-8") for file in (tmp_path / "site").rglob("*") if file.is_file()
        )
        site = load_site(moved(tmp_path))
        assert saved_findings(site, tmp_path / "site" / "answers.json")[0] == []
        daemon = Daemon(site)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(daemon.run(signals=False))
            try:
                names = ("evce/zone/Zone B/current", "evce/zone/Zone A/reduction.applied", "evce/meter/Meter 1/power")
                await until(lambda: task.done() or all(_good(daemon, name) for name in names))
                assert not task.done()
            finally:
                daemon.stop()


def _good(daemon: Daemon, name: str) -> bool:
    index = daemon.table.find(name)
    return index is not None and daemon.table.good_value(index) is not None


async def test_a_bender_controller_gets_its_files_too(tmp_path: Path) -> None:
    async with BenderSimulator() as bender:
        options = {"product": "bender", "name": "garage-7", "username": "operator"}
        assert await begin(tmp_path, bender.url, **options) == 0
        site = load_site(moved(tmp_path))
        assert saved_findings(site, tmp_path / "site" / "answers.json")[0] == []
        assert site.products["garage-7"].name == "bender"


async def test_nothing_is_overwritten_and_nobody_logs_in_for_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with EvceSimulator(**SMALL) as evce:
        (tmp_path / "site").mkdir()
        (tmp_path / "site" / "config.yaml").write_text("mine", encoding="utf-8")
        assert await begin(tmp_path, evce.url, fingerprint=evce.fingerprint) == 2
        assert evce.received == []
    assert (tmp_path / "site" / "config.yaml").read_text(encoding="utf-8") == "mine"
    assert "exists already" in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "site").iterdir()) == ["config.yaml"]


async def test_what_cannot_be_reached_or_is_left_out_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await begin(tmp_path, "http://127.0.0.1:1") == 3
    assert "cannot connect" in capsys.readouterr().err
    assert not (tmp_path / "site").exists()
    async with EvceSimulator(**SMALL) as evce:
        assert await begin(tmp_path, evce.url) == 2
        assert f"--fingerprint {evce.fingerprint}" in capsys.readouterr().err
        assert evce.received == []
    assert discover(url="https://127.0.0.1:1") == 2


@pytest.fixture
async def saved(tmp_path: Path) -> Path:
    """The answers of the desc dialect, and a site that was written from them."""
    async with EvceSimulator(**SMALL) as evce:
        assert await begin(tmp_path, evce.url, fingerprint=evce.fingerprint) == 0
    return tmp_path / "site" / "answers.json"


async def test_check_against_answers_names_what_finds_nothing(saved: Path, call: Callable[..., Any]) -> None:
    folder = saved.parent
    good = await asyncio.to_thread(call, "check", "-c", str(folder / "config.yaml"), "--against", str(saved))
    assert good.code == 0, good.err
    text = "extends: evce.yaml\nresources:\n  zone:\n    points:\n      power: {path: consumption.active_w}\n"
    (folder / "mappings" / "evce-site.yaml").write_text(text, encoding="utf-8")
    said = await asyncio.to_thread(call, "check", "-c", str(folder / "config.yaml"), "--against", str(saved), "--json")
    assert said.code == 1
    (fault,) = json.loads(said.out)["faults"]
    assert (fault["line"], fault["path"]) == (5, "resources.zone.points.power.path")
    assert 'the saved answer to GET /em/zones/{id}/status has no "consumption"' in fault["text"]
    (folder / "none.json").write_text("[]", encoding="utf-8")
    said = await asyncio.to_thread(
        call, "check", "-c", str(folder / "config.yaml"), "--against", str(folder / "none.json")
    )
    assert said.code == 1
    assert "is no file of `discover --save`" in said.err


async def test_json_that_no_shipped_mapping_fits_gets_a_proposal(saved: Path) -> None:
    (answered,) = read_saved(saved).values()
    proposal = propose(answered, read_yaml(MAPPINGS / "evce.yaml").data, "evce.yaml")
    folder = saved.parent / "mappings"
    (folder / "ours.yaml").write_text(proposal.text, encoding="utf-8")
    mapping, faults = load_mapping(folder / "ours.yaml")
    assert faults == []
    assert mapping is not None
    assert check_mapping(mapping, answered)[0] == []
    assert proposal.found > 20
    assert "zone.reduction" in proposal.unknown, "what would be written is never guessed from answers"
    (source,) = json.loads(saved.read_text(encoding="utf-8"))["sources"]
    strange = ask.SourceAnswers("evce", "evce", "/api/v2")
    made = starter_mapping(strange, MAPPINGS)
    assert made.extends.name == "evce.yaml"
    assert "0 points recognised" in made.said
    assert source["product"] == "evce"


async def test_mapping_is_written_for_one_source_of_a_configuration(saved: Path, tmp_path: Path) -> None:
    async with EvceSimulator(**SMALL) as evce:
        config = saved.parent / "config.yaml"
        data = yaml.safe_load(config.read_text(encoding="utf-8"))
        data["sources"][0] |= {"url": evce.url, "tls": {"fingerprint": evce.fingerprint}}
        config.write_text(yaml.safe_dump(data), encoding="utf-8")
        target = saved.parent / "mappings" / "new.yaml"
        assert await asyncio.to_thread(lambda: discover(config=config, mapping=target)) == 0
        assert yaml.safe_load(target.read_text(encoding="utf-8"))["extends"] == "evce.yaml"
        assert await asyncio.to_thread(lambda: discover(config=config, mapping=target)) == 2
    shutil.rmtree(tmp_path / "site")
