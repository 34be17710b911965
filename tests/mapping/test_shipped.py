"""The shipped mappings: valid, the same addresses in the family, and what they read out of the simulated products."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.addressing import expand, overlaps, region_faults
from gateway.core.point import KindSpec
from gateway.mapping import LoadedMapping, load_mapping

FOLDER = Path(__file__).parents[2] / "mappings"
FILES = sorted(FOLDER.glob("*.yaml"))


def shipped(name: str) -> LoadedMapping:
    mapping, faults = load_mapping(FOLDER / name)
    assert faults == []
    assert mapping is not None
    return mapping


@pytest.mark.parametrize("file", FILES, ids=[file.name for file in FILES])
def test_it_is_without_fault_warning_or_overlap(file: Path) -> None:
    mapping = shipped(file.name)
    assert mapping.warnings == []
    for kind in mapping.product.kinds.values():
        assert overlaps(expand(kind, "big", "big"), kind.modbus, kind.bacnet, kind.actions_at) == []


def test_all_of_them_fit_into_one_map() -> None:
    kinds = [
        (f"{file.name} {kind.name}", mapping.product.pool, kind)
        for file in FILES
        for mapping in [shipped(file.name)]
        for kind in mapping.product.kinds.values()
    ]
    assert len(kinds) == 9
    assert region_faults(kinds) == []


def test_every_point_says_what_it_is_in_words() -> None:
    assert [
        f"{file.name} {kind.name}.{point.name}"
        for file in FILES
        for kind in shipped(file.name).product.kinds.values()
        for point in kind.points.values()
        if not point.description
    ] == []


def test_the_family_has_one_pool_and_one_layout() -> None:
    desc, nested, bender = shipped("evce.yaml"), shipped("evce-nested.yaml"), shipped("bender.yaml")
    assert desc.product.pool == nested.product.pool != bender.product.pool

    def layout(kind: KindSpec) -> object:
        cells = [(p.name, p.kind, p.unit, p.registers, p.objects, p.receipt_at) for p in kind.points.values()]
        return kind.modbus, kind.bacnet, cells

    for name, kind in desc.product.kinds.items():
        assert layout(kind) == layout(nested.product.kinds[name]), name


def test_evce_is_read_in_bulk_and_by_id() -> None:
    kinds = shipped("evce.yaml").product.kinds
    bulk = kinds["station"].reads["status"]
    assert (bulk.path, bulk.is_bulk, bulk.by_key, bulk.every_s) == ("/stations/statuses", True, False, 5.0)
    assert not kinds["zone"].reads["status"].is_bulk
    assert kinds["connector"].within is not None
    assert kinds["connector"].within.items({"evses": [{"connectors": [{"id": 1}]}, {"connectors": [{"id": 2}]}]}) == [
        {"id": 1},
        {"id": 2},
    ]


def test_the_nested_dialect_is_keyed_by_id() -> None:
    mapping = shipped("evce-nested.yaml")
    station = mapping.product.kinds["station"]
    assert station.list is not None
    assert (station.list.by_key, station.list.items({"stations": {"7": {}}})) == (True, {"7": {}})
    assert (station.reads["status"].by_key, station.reads["status"].is_bulk) == (True, True)
    power = station.points["power"]
    assert power.path is not None
    assert power.convert is not None
    assert power.convert(power.path({"measure": {"active_power_w": 13800}}), 0.0).value == pytest.approx(13.8)
    command = mapping.product.kinds["zone"].points["reduction"].command
    assert command is not None
    assert command.body == {"kind": "absolute", "limit_da": "{value}", "validity": {"mode": "unlimited"}}
    assert command.json_type == "int"


def test_bender_transaction_fields_are_absent_while_nobody_charges() -> None:
    charger = shipped("bender.yaml").product.kinds["charger"]
    assert charger.is_single
    absent = {name: point.absent for name, point in charger.points.items() if point.absent is not None}
    assert absent == {
        "transaction_energy": 0,
        "transaction_duration": 0,
        "transaction_power": 0,
        "transaction_current_l1": 0,
        "transaction_current_l2": 0,
        "transaction_current_l3": 0,
        "transaction_start": "",
    }
    active = charger.points["transaction_active"].path
    assert active is not None
    assert [active({"transaction": None}), active({}), active({"transaction": {"power_w": 0}})] == [False, False, True]
    assert charger.points["ocpp_state"].codes["suspendedev"] == charger.points["ocpp_state"].codes["suspended_ev"] == 5
