"""`plan` and `addresses publish` before a site exists: what differs is told, and a published address does not move."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.app.kept import site_to_run
from gateway.core.errors import ConfigError
from gateway.store import Store
from gateway.store.published import load_published
from tests.cli.conftest import MAPPINGS

Call = Callable[..., Any]
POWER = "evce/zone/Zone A/power"
SERVED = "register 1/1008 float32, analog-input 1008 of device 260001, trend-log 1008 of device 260001 [kW]"


@pytest.fixture
def mapped(site: Path) -> Callable[[str], None]:
    """Lets the site use a mapping of its own that extends the shipped one; called again to change it."""
    config = site / "config.yaml"
    config.write_text(config.read_text().replace(f"{MAPPINGS}/evce.yaml", "our.yaml"))

    def write(points: str = "{}") -> None:
        text = f"extends: {MAPPINGS}/evce.yaml\nresources:\n  zone:\n    points: {points}\n"
        (site / "our.yaml").write_text(text)

    write()
    return write


def power_at(at: int) -> str:
    return f"{{power: {{modbus: {{at: {at}, type: float32}}}}}}"


def test_plan_before_anything_ever_ran(mapped: Any, call: Call, site: Path) -> None:
    said = call("plan")
    assert (said.code, said.err) == (0, "")
    first, second, third = said.out.splitlines()[:3]
    assert first == "compared with nothing: no gateway ever ran on this state directory, and nothing was published"
    assert second.startswith("map ")
    assert third.endswith(" added")
    plan = json.loads(call("plan", "--json").out)
    assert plan["refused"] == []
    added = {one["name"]: one["text"] for one in plan["differences"] if one["what"] == "added"}
    assert added[POWER] == SERVED
    assert sorted(path.name for path in site.iterdir()) == ["config.yaml", "our.yaml"], "plan writes nothing"
    assert call("plan", "--help").code == 0


def test_H06_a_published_address_does_not_move(mapped: Any, call: Call, site: Path) -> None:
    said = call("addresses", "publish")
    assert (said.code, said.err) == (0, "")
    plan = json.loads(call("plan", "--json").out)
    assert said.out.startswith(f"published: map {plan['map_hash']['after']} with ")
    assert plan["map_hash"]["before"] == plan["map_hash"]["after"]
    assert plan["differences"] == plan["refused"] == []
    assert "no difference: every register and object stays as it is" in call("plan").out

    mapped(power_at(20))
    text = "register 1/1008 float32 becomes register 1/1020 float32"
    said = call("plan")
    assert said.code == 4
    assert text in said.out
    assert said.err.splitlines()[0] == "2 published addresses would not hold: check, run and reload refuse this"
    assert f"moved: {POWER}: {text}" in said.err
    plan = json.loads(call("plan", "--json").out)
    assert plan["refused"] == plan["differences"]
    assert {one["what"] for one in plan["refused"]} == {"moved"}

    said = call("check")
    assert said.code == 1
    where = "resources.zone.points.power.modbus.at"
    assert f": {where}: {POWER}: a published address is moved: {text}" in said.err
    assert "published addresses must not move: say --accept-moves if it is meant" in said.err
    faults = json.loads(call("check", "--json").out)["faults"]
    assert [fault["path"] for fault in faults] == ["", where, where]
    line = (site / "our.yaml").read_text().splitlines()[faults[1]["line"] - 1]
    assert line[faults[1]["col"] - 1 :].startswith("20,")

    said = call("addresses", "publish")
    assert (said.code, said.out) == (4, "")
    assert "2 published addresses would not hold: moved:" in said.err
    said = call("addresses", "publish", "--accept-moves")
    assert (said.code, said.err) == (0, "")
    assert f"accepted: moved: {POWER}: {text}" in said.out
    assert call("check").code == call("plan").code == 0


@pytest.mark.parametrize(
    ("points", "what", "text"),
    [
        ("{power: null}", "removed", SERVED),
        ("{power: {unit: W}}", "retyped", "its unit was kW and is W"),
        (
            "{power: {modbus: {at: 8, type: int32}}}",
            "retyped",
            "register 1/1008 float32 becomes register 1/1008 int32",
        ),
        (
            "{power: {bacnet: {object: analog-input, at: 20}}}",
            "moved",
            "analog-input 1008 of device 260001 becomes analog-input 1020 of device 260001",
        ),
    ],
    ids=["removed", "unit", "type", "object"],
)
def test_H06_neither_is_it_removed_or_retyped(mapped: Any, call: Call, points: str, what: str, text: str) -> None:
    assert call("addresses", "publish").code == 0
    mapped(points)
    plan = json.loads(call("plan", "--json").out)
    assert {"what": what, "name": POWER, "text": text} in plan["refused"]
    assert call("check").code == 1


def test_H06_the_same_for_what_config_yaml_moves(mapped: Any, call: Call, site: Path) -> None:
    assert call("addresses", "publish").code == 0
    config = site / "config.yaml"
    before = config.read_text()
    for old, new in (
        ('"127.0.0.1:5020"', '"127.0.0.1:5020", units: per_resource'),
        ('"127.0.0.1:5020"', '"127.0.0.1:5020", word_order: little'),
        ("260001", "260002"),
        ("name: evce", "name: other"),
    ):
        assert old in before
        config.write_text(before.replace(old, new))
        assert call("plan").code == 4, new
    config.write_text(before.replace("[Zone A,", "[Zone N, Zone A,").replace("modbus:", "site: Other\nmodbus:"))
    said = call("plan", "--json")
    assert said.code == 0, "blocks of expected names were given by the publication"
    assert {one["what"] for one in json.loads(said.out)["differences"]} == {"added"}


def test_what_is_new_is_free_and_can_be_published_too(mapped: Any, call: Call) -> None:
    assert call("addresses", "publish").code == 0
    mapped('{more: {from: status, path: "more", unit: A, modbus: {at: 34, type: float32}}}')
    assert call("check").code == 0
    plan = json.loads(call("plan", "--json").out)
    assert {one["text"] for one in plan["differences"]} == {
        "register 1/1034 float32 [A]",
        "register 1/1094 float32 [A]",
    }
    assert call("addresses", "publish").code == 0
    mapped()
    assert call("plan").code == 4


def test_who_published_when_is_kept(mapped: Any, call: Call, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "anna")
    assert call("addresses", "publish").code == 0
    published = load_published(site / "state")
    assert published is not None
    assert (published.user, len(published.map_hash)) == ("anna", 16)
    assert published.published.endswith("Z")
    assert call("plan").out.splitlines()[0] == f"compared with the map published {published.published}"
    assert len(Store(site / "state").load_addresses().entries) >= 3, "the blocks are given for good"


def test_a_published_map_that_cannot_be_read_stops_everything(mapped: Any, call: Call, site: Path) -> None:
    assert call("addresses", "publish").code == 0
    for name in ("published.json", "published.json.1"):
        (site / "state" / name).write_text("{")
    with pytest.raises(ConfigError, match="neither can its copy"):
        site_to_run(site / "config.yaml")
    for command in (["check"], ["plan"], ["addresses", "publish"]):
        said = call(*command)
        assert said.code == 1, command
        assert "published.json: cannot be read, and neither can its copy" in said.err
    assert call("addresses", "publish", "--accept-moves").code == 0
    assert call("check").code == 0


def test_a_forgotten_resource_is_no_loss(mapped: Any, call: Call, site: Path) -> None:
    assert call("addresses", "publish").code == 0
    config = site / "config.yaml"
    config.write_text(config.read_text().replace("[Zone A, ", "["))
    assert call("plan").code == 0, "its block is in the address book"
    assert call("addresses", "forget", "evce/zone/Zone A").code == 0
    assert json.loads(call("plan", "--json").out)["differences"] == []
    assert call("check").code == 0


def test_H14_nothing_is_published_under_a_running_gateway_that_cannot_be_asked(call: Call, site: Path) -> None:
    store = Store(site / "state")
    store.open()
    said = call("addresses", "publish")
    store.close()
    assert (said.code, said.out) == (4, "")
    assert "a gateway runs on" in said.err


def test_the_backup_holds_what_was_published_and_a_restore_brings_it_back(
    mapped: Any, call: Call, site: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    archive = tmp_path_factory.mktemp("backup") / "site.tar.gz"
    without = archive.with_name("without.tar.gz")
    assert call("addresses", "list").code == 0
    (site / "state").mkdir()
    assert call("backup", str(without)).code == 0
    assert call("addresses", "publish").code == 0
    assert call("backup", str(archive)).code == 0
    published = load_published(site / "state")
    assert call("restore", str(without), "--force").code == 0
    assert load_published(site / "state") is None, "what the archive did not publish is not published"
    for kept in site.glob("state.before-restore-*"):  # another within this second would have its name
        shutil.rmtree(kept)
    assert call("restore", str(archive), "--force").code == 0
    assert load_published(site / "state") == published
