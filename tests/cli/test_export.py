"""`export` as a user calls it: what is written where, and the exit codes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

Call = Callable[..., Any]


@pytest.mark.usefixtures("site")
def test_to_standard_output(call: Call) -> None:
    said = call("export", "registers")
    assert (said.code, said.err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(said.out, newline="")))
    power = next(row for row in rows if row["point"] == "evce/zone/Zone A/power")
    assert (power["address"], power["holding"], power["object_name"]) == ("1008", "41009", "evce.Zone A.power")
    points = json.loads(call("export", "points").out)
    assert points["map_hash"] == power["map_hash"] == json.loads(call("plan", "--json").out)["map_hash"]["after"]
    listed = json.loads(call("points", "--json").out)
    assert [row["point"] for row in points["points"]] == [row["point"] for row in listed]
    assert call("export", "pics").out.startswith("# BACnet Protocol Implementation Conformance Statement\n")


def test_the_name_of_the_file_says_the_format(call: Call, site: Path) -> None:
    for name, begin in (
        ("list.csv", b"point,description,unit_id,"),
        ("list.md", b"# Register list: "),
        ("list.html", b"<!doctype html>"),
        ("list.json", b"{"),
        ("list.xlsx", b"PK"),
    ):
        said = call("export", "registers", "-o", name, "-c", "config.yaml")
        assert (said.code, said.out, said.err) == (0, f"wrote {name}\n", "")
        assert (site / name).read_bytes().startswith(begin)
        assert (site / name).stat().st_mode & 0o777 == 0o644
    assert "Registers" in load_workbook(site / "list.xlsx").sheetnames
    assert call("export", "registers", "-o", "list", "--format", "md").code == 0
    assert (site / "list").read_text().startswith("# Register list: ")
    (site / "folder").mkdir()
    assert call("export", "pics", "-o", "folder", "-f", "html").out == "wrote folder/pics.html\n"


def test_ede_is_four_files_in_a_folder(call: Call, site: Path) -> None:
    said = call("export", "ede", "-o", "handover/ede")
    assert (said.code, said.err) == (0, "")
    names = [f"EVCE-gateway_{part}.csv" for part in ("EDE", "StateTexts", "Units", "ObjTypes")]
    assert said.out.splitlines() == [f"wrote handover/ede/{name}" for name in names]
    assert sorted(path.name for path in (site / "handover" / "ede").iterdir()) == sorted(names)


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("registers", "-f", "pdf"), 2, "registers has no format 'pdf'; it has csv, xlsx, md, html, json"),
        (("registers", "-o", "list.pdf"), 2, "registers has no format 'pdf'; it has csv, xlsx, md, html, json"),
        (("registers", "-f", "xlsx"), 2, "xlsx is not for a terminal: say -o FILE"),
        (("ede",), 2, "ede is four files: say -o FOLDER"),
        (("ede", "-o", "config.yaml"), 2, "config.yaml is a file: ede is four files, say -o FOLDER"),
        (
            ("points", "-o", "missing/list.json"),
            1,
            "missing/list.json.new cannot be written: No such file or directory",
        ),
        (("registers", "-c", "none.yaml"), 1, "none.yaml: cannot be read: No such file or directory"),
    ],
)
@pytest.mark.usefixtures("site")
def test_what_is_refused(call: Call, arguments: tuple[str, ...], code: int, text: str) -> None:
    said = call("export", *arguments)
    assert (said.code, said.out, said.err) == (code, "", f"{text}\n")


def test_without_bacnet_there_is_no_ede(call: Call, site: Path) -> None:
    lines = (site / "config.yaml").read_text().splitlines(keepends=True)
    (site / "config.yaml").write_text("".join(line for line in lines if not line.startswith("bacnet")))
    for arguments in (("ede", "-o", "ede"), ("pics",)):
        said = call("export", *arguments)
        assert (said.code, said.err) == (1, "there is no BACnet server: say `bacnet` in the configuration\n")
    assert not (site / "ede").exists()
    assert call("export", "registers").code == 0


@pytest.mark.parametrize("arguments", [[], ["registers"], ["ede"], ["pics"], ["points"]], ids=" ".join)
def test_help(call: Call, arguments: list[str]) -> None:
    said = call("export", *arguments, "--help")
    assert (said.code, said.err) == (0, "")
    assert "Usage" in said.out


def test_no_secret_is_in_an_export(call: Call, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVCE_PASSWORD", "Geheim-4711")
    monkeypatch.setenv("DCC", "Dcc-4711")
    config = (site / "config.yaml").read_text()
    (site / "config.yaml").write_text(config.replace("260001}", "260001}, dcc_password: {env: DCC}, write: [10.0.0.1]"))
    for what, form in (("registers", "csv"), ("registers", "html"), ("points", ""), ("pics", "html")):
        said = call("export", what, *(["-f", form] if form else []))
        assert said.code == 0
        assert "4711" not in said.out


def test_nothing_but_the_file_is_written(call: Call, site: Path) -> None:
    assert call("export", "registers", "-o", "list.csv").code == 0
    assert sorted(path.name for path in site.iterdir()) == ["config.yaml", "list.csv"]
