"""The engineering units of core.units as the standard's numbers (ASHRAE 135 clause 21, BACnetEngineeringUnits)."""

from __future__ import annotations

from bacpypes3.basetypes import EngineeringUnits

from gateway.core.units import UNITS

NUMBERS: dict[str, int] = {text: int(EngineeringUnits(name)) for text, name in UNITS.items()}
NO_UNITS = NUMBERS[""]
