"""Where actions stand: in the block of their resource, or in a region of their own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.addressing import PlacedPoint, Seat, Span, expand, overlaps, place, region_faults, spans_of
from gateway.core.point import ActionSpec, KindSpec, ObjectSpec, PointSpec, Region
from gateway.core.value import ValueKind

RESET = ActionSpec("reset", "POST", "/reset", {1: {}, 7: {}}, None, None, "Restart", at=6, instance=30)
STATION = KindSpec("station", None, None, None, {}, {}, Region(7000, 40, 10, 36), Region(10000, 40, 10))
INSIDE = replace(STATION, actions={"reset": RESET})
APART = replace(INSIDE, actions_at=Region(65096, 8, 2))


def placed(kind: KindSpec, block: int | None) -> dict[str, PlacedPoint]:
    points = expand(kind, "big", "big")
    seat = Seat(1, block) if block is not None else None
    found = place(points, kind, source="evce", name="Bay 1", block=block, seat=seat)
    return {point.spec.name: point for point in found}


def test_an_action_is_a_code_a_result_and_a_text() -> None:
    code, result, text, *_ = expand(INSIDE, "little", "big")
    assert (code.name, code.kind, code.writable, code.command) == ("reset", ValueKind.NUMBER, True, None)
    assert code.range is not None
    assert [bound.number for bound in code.range] == [0, 7]
    assert (result.name, result.kind, result.writable) == ("reset.result", ValueKind.ENUM, False)
    assert result.texts == ("running", "done", "failed", "unknown", "never run")
    assert (text.name, text.kind) == ("reset.error_text", ValueKind.STRING)
    assert [[r.type.name for r in point.registers] for point in (code, result, text)] == [["uint16"], ["enum"], []]
    assert [point.objects for point in (code, result, text)] == [
        (ObjectSpec("analog-value", 30),),
        (ObjectSpec("multi-state-input", 31),),
        (ObjectSpec("characterstring-value", 32),),
    ]


def test_an_action_without_a_place_is_served_nowhere() -> None:
    kind = replace(STATION, actions={"reset": replace(RESET, at=None, instance=None)})
    found = [point for name, point in placed(kind, 0).items() if name.startswith("reset")]
    assert [(point.registers, point.objects) for point in found] == [((), ())] * 3


@pytest.mark.parametrize(
    ("kind", "block", "registers"),
    [
        (INSIDE, 3, [7000 + 3 * 40 + 6, 7000 + 3 * 40 + 7]),
        (APART, 0, [65096 + 6, 65096 + 7]),
        (APART, 1, [65096 + 8 + 6, 65096 + 8 + 7]),
        (APART, 2, []),
        (APART, None, []),
    ],
)
def test_the_region_of_its_own_may_be_smaller_than_the_kinds(
    kind: KindSpec, block: int | None, registers: list[int]
) -> None:
    found = placed(kind, block)
    served = [r.register for name in ("reset", "reset.result") for r in found[name].registers]
    assert served == registers
    assert bool(found["status.online"].registers) == (block is not None)
    assert bool(found["reset"].objects) == (block is not None), "instances are in the kind's own block"


def test_both_regions_can_be_read_as_blocks() -> None:
    assert spans_of(INSIDE, 1) == [Span(1, 7000, 400, 0xFFFF)]
    assert spans_of(APART, 1) == [Span(1, 7000, 400, 0xFFFF), Span(1, 65096, 16, 0xFFFF)]


def test_offsets_of_the_two_regions_do_not_clash() -> None:
    register = placed(INSIDE, 0)["reset"].spec.registers[0]
    point = PointSpec(name="power", kind=ValueKind.NUMBER, registers=(register,))
    inside, apart = replace(INSIDE, points={"power": point}), replace(APART, points={"power": point})
    assert overlaps(expand(inside, "big", "big"), inside.modbus, inside.bacnet) == [
        ("reset", "modbus", "needs register offset 6, taken by power")
    ]
    assert overlaps(expand(apart, "big", "big"), apart.modbus, apart.bacnet, apart.actions_at) == []
    narrow = Region(65096, 7, 2)
    assert overlaps(expand(apart, "big", "big"), apart.modbus, apart.bacnet, narrow) == [
        ("reset.result", "modbus", "ends at register offset 7, and the stride 7 ends at 6")
    ]


def test_a_region_of_actions_must_be_free() -> None:
    assert region_faults([("station", "p", APART), ("station of another file", "p", APART)]) == []
    low = replace(APART, actions_at=Region(7100, 8, 2))
    ((label, key, text),) = region_faults([("station", "p", low)])
    assert (label, key) == ("station", "modbus.actions")
    assert text == "registers 7100..7115 overlap those of station (7000..7399)"
    high = replace(APART, actions_at=Region(65096, 8, 60))
    assert [key for _, key, _ in region_faults([("station", "p", high)])] == ["modbus.actions"]
