"""What a mapping says becomes specs: inheritance, kinds of points, derived points, commands."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from gateway.core.point import DeriveSpec, Factor, ObjectSpec, PointSpec
from gateway.core.value import GOOD, ValueKind
from tests.mapping.conftest import HEAD

Points = Callable[..., dict[str, PointSpec]]
Faults = Callable[[str], list[str]]
POINT = 'x: {{from: {read}, path: "x", {keys}modbus: {{at: 0, type: uint32{entry}}}}}'
REDUCTION = """reduction: {from: status, path: "limit", unit: A, range: [0, {point: maximum}], command: \
{put: "/zones/{id}/r", body: {value: "{value}"}, release: {value: "{default}"}%s}, modbus: {at: 40, type: float32}}"""
MAXIMUM = 'maximum: {from: slow, path: "max", unit: A, modbus: {at: 30, type: float32}}'


def read_as(keys: str) -> str:
    """One point `x` of read `status` with these keys."""
    return f'x: {{from: status, path: "x", {keys}}}'


# -- inheritance: the nearest of file, resource, point and modbus entry wins ----------------------------------------


@pytest.mark.parametrize("levels", list(product([False, True], repeat=4)), ids=str)
def test_the_nearest_word_order_wins(points: Points, levels: tuple[bool, ...]) -> None:
    _, _, point, entry = levels
    orders = ["little", "big", "little", "big"]
    keys = [f"word_order: {order}" if said else "" for said, order in zip(levels, orders, strict=True)]
    line = POINT.format(read="status", keys=keys[2] + ", " if point else "", entry=", " + keys[3] if entry else "")
    spec = points(line, kind=keys[1], file=keys[0])["x"]
    nearest = [order for said, order in zip(levels, orders, strict=True) if said]
    assert spec.registers[0].word_order == (nearest[-1] if nearest else "big")
    assert spec.registers[0].byte_order == "big"


@pytest.mark.parametrize("levels", list(product([False, True], repeat=4)), ids=str)
def test_the_nearest_on_source_loss_wins(points: Points, levels: tuple[bool, ...]) -> None:
    ways = ["hold", "exception", "nan", "hold"]
    keys = [f"on_source_loss: {way}" if said else "" for said, way in zip(levels, ways, strict=True)]
    line = POINT.format(
        read="status", keys=keys[2] + ", " if levels[2] else "", entry=", " + keys[3] if levels[3] else ""
    )
    nearest = [way for said, way in zip(levels, ways, strict=True) if said]
    assert points(line, kind=keys[1], file=keys[0])["x"].registers[0].on_loss == (nearest[-1] if nearest else "nan")


@pytest.mark.parametrize(
    ("file", "kind", "point", "read", "seconds"),
    [
        ("", "", "", "status", 15.0),
        ("", "", "", "slow", 360.0),
        ("stale_after_s: 50", "", "", "slow", 50.0),
        ("stale_after_s: 50", "stale_after_s: 40", "", "status", 40.0),
        ("stale_after_s: 50", "stale_after_s: 40", "stale_after_s: 0.5, ", "status", 0.5),
    ],
)
def test_stale_after(points: Points, file: str, kind: str, point: str, read: str, seconds: float) -> None:
    assert points(POINT.format(read=read, keys=point, entry=""), file=file, kind=kind)["x"].stale_after_s == seconds


def test_the_nearest_description_wins(points: Points) -> None:
    lines = (POINT.format(read="status", keys="description: mine, ", entry=""), 'y: {from: status, path: "y"}')
    found = points(*lines, kind="description: of the zone", file="description: of all")
    assert (found["x"].description, found["y"].description) == ("mine", "of the zone")


def test_the_servers_orders_hold_where_nobody_says_others(tmp_path: Any) -> None:
    from gateway.mapping import load_mapping

    file = tmp_path / "m.yaml"
    file.write_text("""\
product: evce
resources:
  zone:
    reads: {s: {get: "/s", every: 5s}}
    modbus: {first: 1000, stride: 9, capacity: 1}
    points:
      a: {from: s, path: "a", modbus: {at: 0, type: uint32}}
      b: {from: s, path: "b", word_order: big, modbus: {at: 2, type: uint32, byte_order: big}}
""")
    mapping, _ = load_mapping(file, "little", "little")
    assert mapping is not None
    found = [point.registers[0] for point in mapping.product.kinds["zone"].points.values()]
    assert [(r.word_order, r.byte_order) for r in found] == [("little", "little"), ("big", "big")]


# -- what a point holds ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "kind", "raw", "value"),
    [
        ("modbus: {at: 0, type: float32}", ValueKind.NUMBER, 5, 5),
        ("unit: A, scale: 0.1, offset: -4, modbus: {at: 0, type: int16}", ValueKind.NUMBER, 50, 1.0),
        ("modbus: {at: 0, type: bool}", ValueKind.BOOL, True, True),
        ("modbus: {at: 0, type: bits, bit: 3}", ValueKind.BOOL, False, False),
        ("bacnet: {object: binary-value, at: 0}", ValueKind.BOOL, True, True),
        ('modbus: {at: 0, type: "string(8)"}', ValueKind.STRING, "Zone", "Zone"),
        ("bacnet: {object: characterstring-value, at: 0}", ValueKind.STRING, "Zone", "Zone"),
        ("enum: {Idle: 1, Busy: 2}, modbus: {at: 0, type: enum}", ValueKind.ENUM, "Busy", 2),
        ("enum: {Idle: 1, Busy: 2}, modbus: {at: 0, type: uint16}", ValueKind.ENUM, "Idle", 1),
        ("enum: {0: 1, true: 2}, bacnet: {object: multi-state-input, at: 0}", ValueKind.ENUM, 0, 1),
        ("unit: A", ValueKind.NUMBER, 5.5, 5.5),
    ],
)
def test_kinds_and_converters(points: Points, line: str, kind: ValueKind, raw: Any, value: Any) -> None:
    spec = points(read_as(line))["x"]
    assert spec.kind is kind
    assert spec.convert is not None
    assert spec.convert(raw, 1.0) == (value, GOOD, "", 1.0)


def test_the_narrowest_register_judges_the_value(points: Points) -> None:
    line = "modbus: [{at: 0, type: float32}, {at: 2, type: uint16, scale: 0.1}, {at: 3, type: int16, scale: 1}]"
    spec = points(read_as(line))["x"]
    assert spec.limits == (0.0, 6553.400000000001)
    assert spec.convert is not None
    assert [spec.convert(raw, 0.0).value for raw in (6553, 6554, -1)] == [6553, None, None]
    assert [register.at for register in spec.registers] == [0, 2, 3]


def test_a_factor_that_is_another_point_is_resolved_per_sample(points: Points) -> None:
    line = 'x: {from: status, path: "x", scale: {point: rated, by: 0.01}, offset: {point: rated}}'
    spec = points(line, 'rated: {from: slow, path: "rated"}')["x"]
    assert (spec.scale, spec.offset) == (Factor(0.0, "rated", 0.01), Factor(0.0, "rated", 1.0))
    assert spec.convert is None


def test_absent_optional_and_fallback_paths(points: Points) -> None:
    found = points(
        'a: {from: status, path: "s.energy", absent: 0}',
        'b: {from: status, path: "s.state", enum: {Idle: 1, Busy: 2}, absent: Idle}',
        'c: {from: status, path: ["s.tag", "s.id"], absent: "", modbus: {at: 0, type: "string(4)"}}',
        'd: {from: status, path: "s.on", absent: false, modbus: {at: 2, type: bool}}',
        'e: {from: status, path: "s.extra", optional: true}',
    )
    assert [found[name].absent for name in "abcde"] == [0, 1, "", False, None]
    assert [found[name].optional for name in "ae"] == [False, True]
    assert found["c"].path is not None
    assert found["c"].path({"s": {"tag": None, "id": "7"}}) == "7"


def test_several_registers_objects_and_their_keys(points: Points) -> None:
    line = (
        "bacnet: [{object: analog-input, at: 3, cov_increment: 0.5}, {object: analog-value, at: 4}],"
        " modbus: {at: 7, type: int16, scale: 0.1}"
    )
    spec = points(read_as(line))["x"]
    assert spec.objects == (ObjectSpec("analog-input", 3, 0.5), ObjectSpec("analog-value", 4, None))
    assert (spec.registers[0].at, spec.registers[0].scale, spec.registers[0].type.name) == (7, 0.1, "int16")


# -- derived points and members -------------------------------------------------------------------------------------

STATION = """\
  station:
    list: {get: "/stations", id: "id", name: "name"}
    reads: {s: {get: "/statuses", every: 5s, items: "@", match: "id"}}
    modbus: {first: 3000, stride: 9, capacity: 9}
    points:
      state: {from: s, path: "state", enum: {Idle: 1, Charging: 3}, modbus: {at: 0, type: enum}}
      power: {from: s, path: "power"}
      zone: {modbus: {at: 4, type: "string(8)"}}
"""
MEMBERS = 'members: {of: station, get: "/zones/{id}/stations", id: "id || @", every: 60s}'


@pytest.mark.parametrize(
    ("derive", "spec"),
    [
        ("op: count, of: station.state, where: 3", DeriveSpec("count", "station", "state", frozenset({3}), False)),
        (
            "op: count, of: station.state, where: [1, 3]",
            DeriveSpec("count", "station", "state", frozenset({1, 3}), False),
        ),
        (
            "op: count, of: station.state, where: Charging",
            DeriveSpec("count", "station", "state", frozenset({3}), False),
        ),
        ("op: sum, of: station.power", DeriveSpec("sum", "station", "power", None, False)),
    ],
)
def test_derived_points(points: Points, derive: str, spec: DeriveSpec) -> None:
    found = points(f"x: {{derive: {{{derive}}}}}", kind=MEMBERS, more=STATION)["x"]
    assert found.derive == spec
    assert (found.read, found.path, found.member_of, found.kind) == (None, None, None, ValueKind.NUMBER)
    assert points(f"x: {{skip_bad: true, derive: {{{derive}}}}}", more=STATION.replace("      zone", "#"))[
        "x"
    ].derive == DeriveSpec(spec.op, spec.kind, spec.point, spec.where, True)


def test_a_member_knows_the_name_of_its_group(load: Callable[..., Any]) -> None:
    head = f'product: evce\nresources:\n  zone:\n    list: {{get: "/z", id: "id", name: "n"}}\n    {MEMBERS}\n'
    kinds = load(head + STATION).product.kinds
    assert kinds["station"].points["zone"].member_of == "zone"
    assert kinds["station"].points["zone"].kind is ValueKind.STRING
    members = kinds["zone"].members
    assert (members.of, members.path, members.every_s) == ("station", "/zones/{id}/stations", 60.0)
    assert [members.id(item) for item in ({"id": 5}, "7")] == [5, "7"]


# -- commands -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "default"),
    [
        ("", Factor(0.0, "maximum", 1.0)),
        (", tighter: high", Factor(0.0)),
        (", default: 32", Factor(32.0)),
        (", default: {point: maximum, by: 0.5}", Factor(0.0, "maximum", 0.5)),
    ],
)
def test_the_default_is_said_or_the_loose_end(points: Points, keys: str, default: Factor) -> None:
    command = points(REDUCTION % keys, MAXIMUM)["reduction"].command
    assert command is not None
    assert command.default == default


def test_a_whole_command(points: Points) -> None:
    keys = (
        """, as: int, verify: "type == 'current'", none_when: "type == 'none'", tolerance: 0.5, floor: 8,"""
        " allow_stop: true, default: 40"
    )
    spec = points(REDUCTION % keys, MAXIMUM)["reduction"]
    command = spec.command
    assert command is not None
    assert (command.method, command.path) == ("PUT", "/zones/{id}/r")
    assert (command.body, command.release) == ({"value": "{value}"}, {"value": "{default}"})
    assert (command.json_type, command.tolerance, command.floor, command.allow_stop) == ("int", 0.5, 8.0, True)
    assert command.verify is not None
    assert command.none_when is not None
    assert [command.verify({"type": kind}) for kind in ("current", "none")] == [True, False]
    assert [command.none_when({"type": kind}) for kind in ("current", "none")] == [False, True]
    assert spec.range == (Factor(0.0), Factor(0.0, "maximum", 1.0))
    assert spec.registers[0].on_loss == "hold", "a command shows what is asked, whatever the source does"


@pytest.mark.parametrize(
    ("line", "json_type", "default"),
    [
        ("enum: {On: 1, Off: 2}, modbus: {at: 0, type: enum}", "string", 2),
        ("modbus: {at: 0, type: bool}", "bool", 1),
        ("modbus: {at: 0, type: uint16}", "float", 1),
    ],
)
def test_the_json_type_follows_the_point(points: Points, line: str, json_type: str, default: int) -> None:
    shown = "true" if json_type == "bool" else default
    command = f'command: {{post: "/x", body: "{{value}}", release: {{}}, default: {shown}}}'
    spec = points(f'x: {{from: status, path: "x", {line}, {command}}}')["x"]
    assert spec.command is not None
    assert (spec.command.method, spec.command.json_type) == ("POST", json_type)
    assert spec.command.default == Factor(float(default))
    assert spec.command.tighter == ("low" if json_type == "float" else "none")


@pytest.mark.parametrize(
    "placeholder",
    [
        "{value}",
        "{default}",
        "{id}",
        "{now:iso}",
        "{now:epoch}",
        "{now:epoch_ms}",
        "{point:maximum}",
        "{point:current_l1}",
    ],
)
def test_placeholders_of_a_body(points: Points, placeholder: str) -> None:
    body = REDUCTION.replace(
        'body: {value: "{value}"}', f'body: {{value: "{{value}}", deep: [{{x: "at {placeholder}"}}]}}'
    )
    spec = points(body % "", MAXIMUM, 'current_l1: {from: status, path: "l1"}')["reduction"]
    assert spec.command is not None
    assert spec.command.body["deep"] == [{"x": f"at {placeholder}"}]


@pytest.mark.parametrize(
    "placeholder", ["{name}", "{ value }", "{parent.id}", "{point:none}", "{now:unix}", "{}", "{VALUE}"]
)
def test_a_placeholder_that_is_none_is_refused_wherever_it_stands(faults: Faults, placeholder: str) -> None:
    text = f"""\
product: evce
resources:
  zone:
    list: {{get: "/z", id: "id", name: "n"}}
    reads: {{s: {{get: "/z/{{id}}", every: 5s}}}}
    points:
      r:
        from: s
        path: "r"
        range: [0, 9]
        command: {{put: "/z", body: {{v: "{{value}}", l: [{{d: "{placeholder}"}}]}}, release: {{}}}}
"""
    (fault,) = faults(text)
    assert fault.startswith("11:36 resources.zone.points.r.command.body: ")
    assert placeholder in fault or "'none'" in fault


@pytest.mark.parametrize(
    ("point", "wrong"),
    [
        ('{from: status, path: "p", frozen_after: 4s}', "must be longer than the period of its read, 4 s"),
        ('{from: slow, path: "p", frozen_after: 1m}', "must be longer than the period of its read, 120 s"),
        ('{from: status, path: "p", enum: {a: 1}, frozen_after: 1m}', "only a number that is read"),
        ('{from: status, path: "p", modbus: {at: 0, type: bool}, frozen_after: 1m}', "only a number that is read"),
        ("{derive: {op: sum, of: zone.rated}, frozen_after: 1m}", "only a number that is read"),
        ('{from: status, path: "p", scale: {point: rated}, frozen_after: 1m}', "a scale and an offset that are num"),
        ('{from: status, path: "p", frozen_after: 600}', "must be a duration"),
    ],
)
def test_U42_frozen_after_goes_with_a_measured_number(faults: Faults, point: str, wrong: str) -> None:
    rated = 'rated: {from: status, path: "r", modbus: {at: 40, type: float32}}'
    (fault,) = faults(f"{HEAD}    points:\n      {rated}\n      x: {point}\n")
    assert "resources.zone.points.x.frozen_after: " in fault
    assert wrong in fault


def test_U42_frozen_after_is_seconds_and_off_unless_said(points: Points) -> None:
    found = points('x: {from: status, path: "x", frozen_after: 10m}', 'y: {from: status, path: "y"}')
    assert (found["x"].frozen_after_s, found["y"].frozen_after_s) == (600.0, None)
