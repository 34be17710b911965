"""A mapping against the OpenAPI files: the shipped ones fit, and every seeded fault is named with its place."""

from __future__ import annotations

import pytest

from gateway.core.errors import Fault
from gateway.mapping import load_mapping
from gateway.mapping.openapi import Api, check_mapping
from tests.mapping.openapi.conftest import MAPPINGS, SHIPPED, Write

WRONG = """\
extends: evce.yaml
resources:
  zone:
    list: {items: "zones", id: "id", name: "desc.title || label"}
    reads:
      status: {get: "/em/zones/{id}/state"}
    members: {id: "station_id"}
    points:
      maximum: {path: "desc.maximum"}
      reduction:
        path: "val"
        command:
          body: {kind: current, type: amps}
          release: {type: "off"}
          none_when: "kind == 'none'"
          verify: "type == 'amps'"
  station:
    list: {guard: "config.kind"}
    reads:
      status: {match: "station_id"}
    points:
      current_l1: {path: ["current.phase1", "i1"]}
      current_l2: {path: "max([current.l1, current.l4])"}
      power: {scale: 0.001}
      online: {path: "status"}
      availability: {enum: {Broken: 3}}
      session_tag: {path: "session.rfid"}
  connector:
    items: "evses[].plugs[]"
  meter:
    points:
      current_l1: {path: "values[?label=='i1'].value | [0]"}
      power: {path: "values[?name=='p'].value | [0]"}
"""


def place(fault: Fault) -> tuple[int, str]:
    return fault.line, fault.path.removeprefix("resources.")


def test_the_shipped_mappings_fit_the_schemas(dialect: str, api: Api) -> None:
    mapping, _ = load_mapping(MAPPINGS / SHIPPED[dialect])
    assert mapping is not None
    faults, warnings = check_mapping(mapping, api)
    assert [str(fault) for fault in faults + warnings] == []


def test_the_body_that_changes_a_password_is_held_against_its_schema(desc: Api, write: Write) -> None:
    mapping = write('extends: evce.yaml\npasswd: {body: {old_password: null, old: "{old}"}}\n')
    faults, warnings = check_mapping(mapping, desc)
    (fault,), (warning,) = faults, warnings
    assert (fault.line, fault.path) == (2, "passwd.body.old")
    assert 'POST /login/passwd has no "old"; it has: ' in fault.text
    assert "also requires: old_password" in warning.text
    (fault,), _ = check_mapping(write('extends: evce.yaml\npasswd: {post: "/login/password"}\n'), desc)
    assert "has no POST /login/password" in fault.text


def test_every_seeded_fault_is_named_with_its_line(desc: Api, write: Write) -> None:
    faults, _ = check_mapping(write(WRONG), desc)
    found = {key: " | ".join(f.text for f in faults if place(f) == key) for key in map(place, faults)}
    expected = {
        (4, "zone.list.items"): "has an array and no member 'zones' in it",
        (6, "zone.reads.status.get"): "has no GET /em/zones/{id}/state; it has: /em/zones/{zone_id}/status",
        (7, "zone.members.id"): "no member 'station_id' in it",
        (9, "zone.points.maximum.path"): 'GET /em/zones/{id} has no "desc.maximum"; desc has: name, type, max_current',
        (11, "zone.points.reduction.path"): 'reduction has no "val"; it has: type, value, valid_mode, valid_until',
        (13, "zone.points.reduction.command.body.kind"): 'request schema of PUT /em/zones/{id}/reduction has no "kind"',
        (15, "zone.points.reduction.command.none_when"): 'has no "kind"',
        (18, "station.list.guard"): 'GET /stations has no "config.kind"',
        (20, "station.reads.status.match"): 'GET /stations/statuses has no "station_id"',
        (22, "station.points.current_l1.path"): 'has no "current.phase1"; current has: l1, l2, l3',
        (23, "station.points.current_l2.path"): 'has no "current.l4"',
        (27, "station.points.session_tag.path"): 'has no "session.rfid"; session has: energy, duration, id_tag',
        (29, "connector.items"): 'has no "evses[].plugs"; evses[] has: id, connectors',
        (32, "meter.points.current_l1.path"): 'has no "values[].label"; values[] has: name, unit, value',
    }
    assert found.keys() == expected.keys()
    for key, text in expected.items():
        assert text in found[key]
    assert str(faults[0]).count(":") >= 4
    assert all(fault.file.endswith("ours.yaml") and fault.col > 1 for fault in faults)


def test_a_wrong_path_below_a_fitting_list_is_named_on_its_item(desc: Api, write: Write) -> None:
    faults, _ = check_mapping(
        write('extends: evce.yaml\nresources: {zone: {list: {name: "desc.title || label"}}}\n'), desc
    )
    texts = [fault.text for fault in faults]
    assert texts == [
        'the schema of GET /em/zones has no "desc.title"; desc has: name, type, max_current, parent',
        'the schema of GET /em/zones has no "label"; it has: id, desc',
    ]


def test_texts_types_and_units_that_do_not_fit_are_warnings(desc: Api, write: Write) -> None:
    _, warnings = check_mapping(write(WRONG), desc)
    found = {place(fault): fault.text for fault in warnings}
    expected = {
        (13, "zone.points.reduction.command.body.type"): "does not list 'amps' for type; it lists: none, current",
        (14, "zone.points.reduction.command.release.type"): "does not list 'off' for type",
        (16, "zone.points.reduction.command.verify"): "does not list 'amps' for type: none, current",
        (24, "station.points.power.scale"): "states kW: kW needs scale 1, and it is 0.001",
        (25, "station.points.online.path"): "has string here, and the point is a bool",
        (26, "station.points.availability.enum.Broken"): "does not list 'Broken'; it lists: Operative, Inoperative",
        (33, "meter.points.power.path"): "does not list 'p' for values[].name",
    }
    for key, text in expected.items():
        assert text in found.get(key, ""), (key, found)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("{body: {type: null, valid_mode: permanent}}", "also requires: type"),
        ("{body: {extra: {a: 1}}}", 'has no "extra"; it has: type, value, valid_mode, valid_until'),
        ('{put: "/em/zones/{id}/limit"}', "has no PUT /em/zones/{id}/limit"),
        ('{put: "/em/zones/{id}/status"}', "has no PUT /em/zones/{id}/status"),
    ],
)
def test_bodies_are_held_against_the_request_schema(desc: Api, write: Write, change: str, text: str) -> None:
    points = f"{{zone: {{points: {{reduction: {{command: {change}}}}}}}}}"
    faults, warnings = check_mapping(write(f"extends: evce.yaml\nresources: {points}\n"), desc)
    assert any(text in fault.text for fault in faults + warnings), faults + warnings
