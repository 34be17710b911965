"""Unit texts: one list for mappings, and what BACnet clients see of each."""

from __future__ import annotations

from bacpypes3.basetypes import EngineeringUnits

from gateway.core.units import UNITS
from gateway.servers.bacnet.units import UNITS as NUMBERS
from gateway.servers.bacnet.units import units_known


def test_every_unit_is_known_to_the_bacnet_room() -> None:
    assert UNITS.keys() - units_known() == set()


def test_both_rooms_mean_the_same_engineering_unit() -> None:
    assert {text: int(EngineeringUnits(name)) for text, name in UNITS.items()} == {
        text: NUMBERS[text] for text in UNITS
    }
