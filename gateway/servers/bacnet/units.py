"""Unit texts of a mapping to BACnetEngineeringUnits (ASHRAE 135 clause 21); a config check may ask `units_known`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

NO_UNITS = 95

UNITS: Mapping[str, int] = MappingProxyType(
    {
        "": NO_UNITS,
        "mA": 2,
        "A": 3,
        "ohm": 4,
        "V": 5,
        "kV": 6,
        "mV": 124,
        "VA": 8,
        "kVA": 9,
        "MVA": 10,
        "var": 11,
        "kvar": 12,
        "Mvar": 13,
        "W": 47,
        "kW": 48,
        "MW": 49,
        "mW": 132,
        "Wh": 18,
        "kWh": 19,
        "MWh": 146,
        "VAh": 239,
        "kVAh": 240,
        "MVAh": 241,
        "varh": 242,
        "kvarh": 243,
        "Mvarh": 244,
        "Hz": 27,
        "%": 98,
        "deg": 14,
        "°": 14,
        "°C": 62,
        "degC": 62,
        "°F": 64,
        "K": 63,
        "ms": 159,
        "s": 73,
        "min": 72,
        "h": 71,
        "d": 70,
    }
)
"""Unit text to the number of the engineering unit; what is not here is served as no-units."""


def units_known() -> frozenset[str]:
    """The unit texts that BACnet clients will see as an engineering unit."""
    return frozenset(UNITS)
