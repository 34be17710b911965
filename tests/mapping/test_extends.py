"""`extends`: merged by key, null removes, faults name the file that holds them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.mapping import LoadedMapping, load_mapping

BASE = """\
product: evce
base: /api/v2
resources:
  zone:
    list: {get: "/zones", id: "id", name: "name"}
    reads: {status: {get: "/zones/{id}", every: 5s}}
    modbus: {first: 1000, stride: 60, capacity: 10}
    points:
      power: {from: status, path: "power", unit: kW, modbus: [{at: 0, type: float32}, {at: 2, type: uint16}]}
      state: {from: status, path: "state", enum: {Idle: 1, Busy: 2}, modbus: {at: 4, type: enum}}
"""


@pytest.fixture
def files(tmp_path: Path) -> Any:
    def write(**texts: str) -> tuple[LoadedMapping | None, list[str]]:
        for name, text in {"base": BASE, **texts}.items():
            (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
        mapping, faults = load_mapping(tmp_path / "site.yaml")
        return mapping, [f"{Path(f.file).name}:{f.line}:{f.col} {f.path}: {f.text}" for f in faults]

    return write


def good(result: tuple[LoadedMapping | None, list[str]]) -> LoadedMapping:
    mapping, faults = result
    assert faults == []
    assert mapping is not None
    return mapping


def test_members_merge_and_lists_replace(files: Any) -> None:
    site = """\
extends: base.yaml
base: ""
resources:
  zone:
    modbus: {first: 2000}
    points:
      power: {path: "kw", modbus: [{at: 10, type: uint32}]}
      state: {enum: {Idle: null, Ready: 1}}
"""
    product = good(files(site=site)).product
    zone = product.kinds["zone"]
    assert product.base == ""
    assert zone.modbus is not None
    assert (zone.modbus.first, zone.modbus.stride, zone.modbus.capacity) == (2000, 60, 10)
    power = zone.points["power"]
    assert power.path is not None
    assert (power.path.text, power.unit, power.read) == ("kw", "kW", "status")
    assert [(r.at, r.type.name) for r in power.registers] == [(10, "uint32")]
    assert dict(zone.points["state"].codes) == {"Busy": 2, "Ready": 1}


def test_null_removes_and_order_stays(files: Any) -> None:
    site = "extends: base.yaml\nresources:\n  zone: {points: {power: null, extra: {from: status, path: x}}}\n"
    assert list(good(files(site=site)).product.kinds["zone"].points) == ["state", "extra"]


def test_a_chain_is_one_family(files: Any) -> None:
    middle = "extends: base.yaml\nresources: {zone: {modbus: {capacity: 20}}}\n"
    site = "extends: middle.yaml\nresources: {zone: {modbus: {stride: 30}}}\n"
    mapping = good(files(middle=middle, site=site))
    region = mapping.product.kinds["zone"].modbus
    assert region is not None
    assert (region.first, region.stride, region.capacity) == (1000, 30, 20)
    base, _ = load_mapping(mapping.file.with_name("base.yaml"))
    assert base is not None
    assert base.product.pool == mapping.product.pool


@pytest.mark.parametrize(
    ("site", "fault"),
    [
        (
            "extends: base.yaml\nresources:\n  zone:\n    points:\n      power: {unit: Watt}\n",
            "site.yaml:5:21 resources.zone.points.power.unit: unit 'Watt' is not known",
        ),
        (
            "extends: base.yaml\nresources:\n  zone:\n    points:\n      power: {path: null}\n",
            "base.yaml:9:14 resources.zone.points.power: from and path go together",
        ),
        (
            "extends: base.yaml\nresources:\n  zone:\n    reads: {status: null}\n",
            "base.yaml:9:21 resources.zone.points.power.from: there is no read 'status'; there is: none",
        ),
        (
            "extends: base.yaml\nresources:\n  zone:\n    points:\n      power: {modbus: {at: 1, type: enum, tp: x}}\n",
            "site.yaml:5:43 resources.zone.points.power.modbus.tp: unknown key; allowed: at, bit",
        ),
        ("extends: [base.yaml]\n", "site.yaml:1:10 extends: must be a file name"),
        ("extends: none.yaml\n", "site.yaml:1:10 extends: there is no file "),
        ("extends: ../\n", "site.yaml:1:10 extends: there is no file "),
        ("extends: site.yaml\n", "site.yaml:1:10 extends: site.yaml leads back to this file"),
        ("extends: base.yaml\nbase: 1\nbase: 2\n", "site.yaml:3:1 base: duplicate key"),
        (
            "extends: base.yaml\nresources:\n  zon: null\n",
            "site.yaml:3:3 resources.zon: null removes, and there is no 'zon' in",
        ),
    ],
)
def test_a_fault_names_the_file_that_holds_it(files: Any, site: str, fault: str) -> None:
    _, faults = files(site=site)
    assert faults[0].startswith(fault)


def test_faults_of_both_files_come_together(files: Any) -> None:
    base = BASE.replace('"power", unit: kW', '"power[", unit: kilo')
    site = 'extends: base.yaml\nresources: {zone: {points: {state: {path: "a.."}, new: {from: x, path: "y"}}}}\n'
    _, faults = files(base=base, site=site)
    assert [fault.partition(" ")[0].partition(":")[0] for fault in faults] == ["base.yaml"] * 2 + ["site.yaml"] * 2


def test_broken_yaml_of_both_files_comes_together(files: Any) -> None:
    _, faults = files(base=BASE + "base: x\n", site="extends: base.yaml\nbase: a\nbase: b\n")
    assert faults == ["base.yaml:11:1 base: duplicate key", "site.yaml:3:1 base: duplicate key"]


def test_a_chain_has_an_end(files: Any) -> None:
    chain = {f"f{i}": f"extends: f{i + 1}.yaml\n" for i in range(12)}
    _, faults = files(site="extends: f0.yaml\n", **chain)
    assert faults == ["f7.yaml:1:10 extends: more than 8 files extend each other"]


def test_null_stays_null_in_what_is_sent(files: Any) -> None:
    base = BASE + (
        '      limit: {from: status, path: "x", range: [0, 9],'
        ' command: {put: "/x", body: {a: 1, v: "{value}"}, release: {}}}\n'
    )
    site = "extends: base.yaml\nresources: {zone: {points: {limit: {command: {body: {a: null, b: null}}}}}}\n"
    command = good(files(base=base, site=site)).product.kinds["zone"].points["limit"].command
    assert command is not None
    assert command.body == {"v": "{value}", "b": None}
