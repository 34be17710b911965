"""`trend` of a point: what is kept, and where its Trend Log stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.addressing import PlacedPoint, expand, place
from gateway.core.point import KindSpec
from gateway.core.trend import DEFAULT_BUFFER, TrendSpec
from gateway.mapping import load_mapping

ROOT = Path(__file__).parents[2]


def kinds(file: Path) -> dict[str, KindSpec]:
    mapping, faults = load_mapping(file)
    assert faults == []
    assert mapping is not None
    return dict(mapping.product.kinds)


def placed(kind: KindSpec, block: int = 0) -> dict[str, PlacedPoint]:
    points = place(expand(kind, "big", "big"), kind, source="evce", name="A", block=block, seat=None)
    return {point.spec.name: point for point in points}


def logs(kind: KindSpec, block: int = 0) -> dict[str, tuple[int, str, int]]:
    """Trend Log instance, and type and instance of the object it keeps, by point."""
    found = {name: point.trend for name, point in placed(kind, block).items() if point.trend is not None}
    return {name: (log.instance, log.of.object, log.of.instance) for name, log in found.items()}


def test_a_log_stands_in_the_block_beside_the_object_it_keeps() -> None:
    zone = kinds(ROOT / "tests/cases/trends/mapping.yaml")["zone"]
    assert zone.points["current"].trend == TrendSpec(60.0, 1440, log_at=0)
    assert zone.points["power"].trend == TrendSpec(900.0, DEFAULT_BUFFER, log_at=3, object=1)
    assert zone.points["online"].trend == TrendSpec(None, DEFAULT_BUFFER)
    assert logs(zone, block=2) == {
        "current": (1120, "analog-input", 1120),
        "power": (1123, "analog-input", 1123),
        "reduction": (1160, "analog-value", 1160),
        "reduction.applied": (1161, "analog-input", 1166),
    }


def test_a_trend_without_a_log_is_kept_all_the_same() -> None:
    zone = kinds(ROOT / "tests/cases/trends/mapping.yaml")["zone"]
    online = placed(zone)["online"]
    assert online.spec.trend is not None
    assert online.trend is None


@pytest.mark.parametrize("file", ["evce.yaml", "evce-nested.yaml"])
def test_what_the_shipped_mappings_of_evce_keep(file: str) -> None:
    shipped = kinds(ROOT / "mappings" / file)
    assert list(logs(shipped["zone"])) == ["current", "power", "setpoint", "reduction", "reduction.applied"]
    assert list(logs(shipped["station"])) == ["power", "energy"]
    assert list(logs(shipped["meter"])) == ["current_l1", "current_l2", "current_l3", "power", "energy"]
    assert logs(shipped["zone"], block=1)["reduction.applied"] == (1101, "analog-input", 1106)


def test_what_the_shipped_mapping_of_bender_keeps() -> None:
    charger = kinds(ROOT / "mappings/bender.yaml")["charger"]
    assert list(logs(charger)) == [
        "transaction_energy",
        "transaction_power",
        "transaction_current_l1",
        "operator_limit",
        "operator_limit.applied",
    ]
