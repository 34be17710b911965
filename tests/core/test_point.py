"""Names of points, and state texts."""

from __future__ import annotations

from gateway.core.point import PointSpec, point_name
from gateway.core.value import ValueKind


def test_names() -> None:
    assert point_name("evce", "zone", "Zone B", "reduction") == "evce/zone/Zone B/reduction"
    assert point_name("evce", "zone", "P1/P2 50%", "power") == "evce/zone/P1%2FP2 50%25/power"
    assert point_name("garage-7", "charger", None, "ambient_temp") == "garage-7/charger/ambient_temp"


def test_names_are_never_confused() -> None:
    assert point_name("s", "k", "a%2Fb", "p") != point_name("s", "k", "a/b", "p")


def test_state_texts_have_no_holes_and_use_the_first_text_of_a_code() -> None:
    spec = PointSpec(name="s", kind=ValueKind.ENUM, codes={"suspended_ev": 4, "suspendedev": 4, "idle": 1})
    assert spec.texts == ("idle", "-", "-", "suspended_ev")
    assert PointSpec(name="n", kind=ValueKind.NUMBER).texts == ()
