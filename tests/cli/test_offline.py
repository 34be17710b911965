"""Commands that need no running gateway: exit codes and what they print."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from gateway.addressing import Entry
from gateway.store import Store
from tests.cli.conftest import MAPPINGS

Call = Callable[..., Any]
TEN = ["point", "type", "unit", "access", "modbus", "bacnet", "value", "quality", "reason", "age_s"]
SOURCE_KEYS = "exclude, expect, kind, mapping, name, parallel, password, tls, url, username"
EXTRA = {"scale", "word_order", "byte_order", "modbus_also", "bacnet_also", "trend_log"}


@pytest.mark.usefixtures("site")
def test_check_of_a_good_site(call: Call) -> None:
    said = call("check", "-c", "config.yaml")
    assert (said.code, said.err) == (0, "")
    assert said.out == "config.yaml: good, 75 points are placed before anything was discovered\n"


def test_check_of_a_bad_site_names_everything(site: Path, call: Call) -> None:
    config = (site / "config.yaml").read_text().replace("username: bms", "user: bms").replace("bacnet:", "bacent:")
    (site / "config.yaml").write_text(config)
    said = call("check", "-c", "config.yaml")
    assert (said.code, said.out) == (1, "")
    assert said.err.splitlines() == [
        "config.yaml:3:5: sources[0].username: is missing",
        f"config.yaml:6:5: sources[0].user: unknown key; allowed: {SOURCE_KEYS}",
        "config.yaml:11:1: bacent: unknown key; allowed: bacnet, control, modbus, site, sources, state_dir, web",
    ]


def test_check_as_json(site: Path, call: Call) -> None:
    (site / "config.yaml").write_text("sources: []\nmodbus: {}\n")
    said = call("check", "--json")
    assert said.code == 1
    assert json.loads(said.out) == {
        "faults": [
            {
                "file": "config.yaml",
                "line": 1,
                "col": 10,
                "path": "sources",
                "text": "must have at least 1 item(s) (found a list)",
            }
        ],
        "warnings": [],
    }


def test_H03_check_finds_a_broken_address_book(site: Path, call: Call) -> None:
    (site / "state").mkdir()
    (site / "state" / "addresses.yaml").write_text("{")
    said = call("check")
    assert said.code == 1
    assert "state/addresses.yaml: restore it from a backup; addresses must not move" in said.err


@pytest.mark.usefixtures("site")
def test_a_config_that_is_not_there(call: Call) -> None:
    said = call("check", "-c", "none.yaml")
    assert (said.code, said.out, said.err) == (1, "", "none.yaml: cannot be read: No such file or directory\n")


@pytest.mark.usefixtures("site")
def test_points_for_pipes(call: Call) -> None:
    said = call("points", "power")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines() == [
        "evce/zone/Zone A/power\t-\t-\t1/1008 float32\tanalog-input,1008",
        "evce/zone/P1%2FP2 [red] :car:/power\t-\t-\t1/1068 float32\tanalog-input,1068",
    ]


@pytest.mark.usefixtures("site")
def test_points_as_json_is_the_shape_of_design_6_2(call: Call) -> None:
    said = call("points", "--json", "-c", "config.yaml")
    assert (said.code, said.err) == (0, "")
    rows = json.loads(said.out)
    by_name = {row["point"]: row for row in rows}
    assert len(by_name) == len(rows) == 75
    for row in rows:
        assert list(row)[:10] == TEN
        assert set(row) - set(TEN) <= EXTRA
        assert [row[key] for key in ("value", "quality", "reason", "age_s")] == [None] * 4
        assert row["modbus"] is None or list(row["modbus"]) == ["unit", "register", "count"]
        assert row["bacnet"] is None or list(row["bacnet"]) == ["device", "object", "instance"]
    assert by_name["evce/zone/Zone A/reduction"] == {
        "point": "evce/zone/Zone A/reduction",
        "type": "float32",
        "unit": "A",
        "access": "rw",
        "modbus": {"unit": 1, "register": 1040, "count": 2},
        "bacnet": {"device": 260001, "object": "analog-value", "instance": 1040},
        "value": None,
        "quality": None,
        "reason": None,
        "age_s": None,
        "trend_log": {"device": 260001, "object": "trend-log", "instance": 1040},
    }
    taken = sorted(
        (row["modbus"]["register"], row["modbus"]["register"] + row["modbus"]["count"]) for row in rows if row["modbus"]
    )
    assert all(end <= start for (_, end), (start, _) in pairwise(taken)), "registers overlap"


@pytest.mark.parametrize(("server", "column"), [("modbus", "bacnet"), ("bacnet", "modbus")])
def test_what_no_server_serves_has_no_address(site: Path, call: Call, server: str, column: str) -> None:
    lines = (site / "config.yaml").read_text().splitlines(keepends=True)
    (site / "config.yaml").write_text("".join(line for line in lines if not line.startswith(column)))
    rows = json.loads(call("points", "--json").out)
    assert {row[column] for row in rows} == {None}
    assert any(row[server] for row in rows)


def test_nothing_offline_writes_anything(site: Path, call: Call) -> None:
    for command in (["check"], ["points"], ["addresses", "list"]):
        assert call(*command).code == 0
    assert sorted(path.name for path in site.iterdir()) == ["config.yaml"]


@pytest.mark.usefixtures("site")
def test_a_socket_of_somebody_elses_says_so(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(*_: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("asyncio.unix_events._UnixSelectorEventLoop.create_unix_connection", refused)
    said = call("status")
    assert said.code == 3
    assert said.err.endswith(": this user may not open it: be the user the gateway runs as, or a member of its group\n")


@pytest.mark.usefixtures("site")
def test_points_that_match_nothing_say_so(call: Call) -> None:
    said = call("points", "Zone Q")
    assert (said.code, said.out, said.err) == (0, "", "no point's name contains 'Zone Q'\n")
    config = Path("config.yaml")
    config.write_text("".join(line for line in config.read_text().splitlines(keepends=True) if "expect" not in line))
    said = call("points", "Zone A")
    assert said.err.splitlines() == [
        "no point's name contains 'Zone A'",
        "nothing was discovered yet: start the gateway once, or say `expect`",
    ]


def test_check_doubts_a_password_that_is_not_in_the_environment(call: Call, site: Path, monkeypatch: Any) -> None:
    monkeypatch.delenv("EVCE_PASSWORD")
    said = call("check")
    assert said.code == 0
    assert said.err == "warning: config.yaml:7:21: sources[0].password.env: EVCE_PASSWORD is not set here\n"
    (site / "config.yaml").write_text(
        (site / "config.yaml").read_text().replace("260001}", "260001}, dcc_password: {env: DCC}, write: [10.0.0.1]")
    )
    assert "bacnet.dcc_password.env: DCC is not set here" in call("check").err


def test_run_names_the_key_of_a_password_that_is_not_there(site: Path) -> None:
    text = (site / "config.yaml").read_text().replace("EVCE_PASSWORD", "NOT_SET")
    for key, told in (
        ("{env: NOT_SET}", "sources[0].password.env: environment variable NOT_SET is not set"),
        ("{credential: pw}", "sources[0].password.credential: credential pw is not there: systemd gives"),
        ("{file: pw}", f"sources[0].password.file: {site}/pw cannot be read: No such file or directory"),
    ):
        (site / "config.yaml").write_text(text.replace("{env: NOT_SET}", key))
        said = python(site, "run", capture_output=True)
        assert said.returncode == 1
        last = said.stderr.splitlines()[-1]
        assert last.startswith("config.yaml:7:")
        assert told in last


def test_check_doubts_an_override_of_a_name_that_nobody_has(site: Path, call: Call) -> None:
    config = site / "config.yaml"
    config.write_text(config.read_text() + 'control: {overrides: {"evce/zone/Zone Q": {floor: 10}}}\n')
    known = "evce/zone/P1%2FP2 [red] :car:, evce/zone/Zone A"
    text = f"nothing of this name is known, so this holds for nothing; known: {known}\n"
    assert call("check").err == f"warning: config.yaml:12:23: control.overrides.evce/zone/Zone Q: {text}"
    (site / "state").mkdir()
    Store(site / "state").save_addresses([Entry("evce", "zone", "Zone Q", "1", 0)])
    said = call("check")
    assert (said.code, said.err) == (0, "")


def test_an_override_is_not_doubted_before_anything_is_known(site: Path, call: Call) -> None:
    config = site / "config.yaml"
    text = "".join(line for line in config.read_text().splitlines(keepends=True) if "expect" not in line)
    config.write_text(text + 'control: {overrides: {"evce/zone/Zone Q": {floor: 10}}}\n')
    assert call("check").err == ""


def test_addresses_list_shows_what_points_of_a_single_resource_begin_with(site: Path, call: Call) -> None:
    config = site / "config.yaml"
    other = '  - {name: g-7, kind: bender, url: "http://127.0.0.1:2", username: u, password: {env: EVCE_PASSWORD}, '
    other += f"mapping: {MAPPINGS}/bender.yaml}}\n"
    config.write_text(config.read_text().replace("modbus:", f"{other}modbus:"))
    (site / "state").mkdir()
    Store(site / "state").save_addresses(
        [Entry("g-7", "charger", "g-7", None, 0), Entry("g-7", "source", "g-7", None, 1)]
    )
    said = call("addresses", "list")
    prefixes = [line.split()[1] for line in said.out.splitlines()]
    assert prefixes == ["g-7/charger", "g-7/source"]
    names = [line.split("\t")[0] for line in call("points").out.splitlines()]
    for prefix in prefixes:
        assert any(name.startswith(f"{prefix}/") and name.count("/") == 2 for name in names)


def test_addresses_list(site: Path, call: Call) -> None:
    assert call("addresses", "list").out == "no block was given yet\n"
    (site / "state").mkdir()
    entries = [Entry("evce", "zone", "Zone A", "1", 0), Entry("evce", "zone", "a\n[b]", None, 12)]
    Store(site / "state").save_addresses(entries)
    said = call("addresses", "list", "-c", "config.yaml")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines() == [
        "    0  evce/zone/Zone A  (id 1)",
        "   12  evce/zone/a\\n[b]  (id -)",
    ]
    assert json.loads(call("addresses", "list", "--json").out) == [
        {"source": "evce", "kind": "zone", "name": "Zone A", "id": "1", "block": 0},
        {"source": "evce", "kind": "zone", "name": "a\n[b]", "id": None, "block": 12},
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["check", "-c"],
        ["check", "--nonsense"],
        ["schema"],
        ["schema", "points"],
        ["addresses", "nonsense"],
        ["read"],
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("site")
def test_usage_is_2(call: Call, arguments: list[str]) -> None:
    said = call(*arguments)
    assert said.code == 2
    assert said.err or said.out


@pytest.mark.parametrize("arguments", [["--help"], ["check", "--help"], ["--version"], []], ids=" ".join)
def test_help_is_0(call: Call, arguments: list[str]) -> None:
    said = call(*arguments)
    assert (said.code, said.err) == (0, "")
    assert said.out


@pytest.mark.parametrize(
    "arguments",
    [["status"], ["read", "evce/zone/Zone A/power"], ["write", "evce/zone/Zone A/reduction", "20"], ["release", "x"]],
    ids=lambda arguments: arguments[0],
)
@pytest.mark.usefixtures("site")
def test_no_gateway_running_is_3(call: Call, arguments: list[str]) -> None:
    said = call(*arguments, "-c", "config.yaml")
    assert (said.code, said.out) == (3, "")
    why = "it is not running, or runs with another config.yaml (or with RUNTIME_DIRECTORY set)"
    assert said.err == f"no gateway answers at {Path('state/control.sock').absolute()}: {why}\n"


@pytest.mark.usefixtures("site")
def test_commands_on_a_broken_config_are_1(call: Call) -> None:
    Path("config.yaml").write_text("sourcs: []\n")
    for command in ("status", "points"):
        said = call(command)
        assert (said.code, said.out) == (1, "")
        assert "config.yaml:1:1: sourcs: unknown key" in said.err


def python(site: Path, *arguments: str, **keys: Any) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "EVCE_PASSWORD": "x"}
    return subprocess.run(
        [sys.executable, "-m", "gateway", *arguments], cwd=site, env=environment, text=True, check=False, **keys
    )


def test_run_on_a_broken_config_is_1(site: Path) -> None:
    (site / "config.yaml").write_text("sourcs: []\n")
    said = python(site, "run", capture_output=True)
    assert (said.returncode, said.stdout) == (1, "")
    assert "config.yaml:1:1: sourcs: unknown key" in said.stderr


def test_H14_run_on_a_state_dir_in_use_is_1(site: Path) -> None:
    store = Store(site / "state")
    store.open()
    config = site / "config.yaml"
    config.write_text(config.read_text() + "control: {lease_s: 10}\n")
    assert "warning: " in python(site, "check", capture_output=True).stderr
    said = python(site, "run", capture_output=True)
    store.close()
    assert said.returncode == 1
    assert said.stderr.endswith("state: state_dir: another gateway is already running on it\n")
    assert said.stderr.count("\n") == 1


def test_python_m_gateway(site: Path) -> None:
    said = python(site, "check", capture_output=True)
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.startswith("config.yaml: good, ")
    assert python(site, "nonsense", capture_output=True).returncode == 2


def test_a_reader_that_goes_away_leaves_no_traceback(site: Path) -> None:
    (site / "config.yaml").write_text(
        (site / "config.yaml").read_text().replace("[Zone A,", "[" + ", ".join(f"Z{i}" for i in range(90)) + ",")
    )
    reading, writing = os.pipe()
    os.close(reading)
    said = python(site, "points", stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (said.returncode, said.stderr) == (0, "")
