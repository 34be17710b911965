"""The unit texts a mapping may use, with the BACnet engineering unit each stands for (ASHRAE 135 clause 21)."""

from __future__ import annotations

UNITS: dict[str, str] = {
    "": "no-units",
    "1": "no-units",
    "%": "percent",
    "A": "amperes",
    "mA": "milliamperes",
    "V": "volts",
    "mV": "millivolts",
    "W": "watts",
    "kW": "kilowatts",
    "MW": "megawatts",
    "VA": "volt-amperes",
    "kVA": "kilovolt-amperes",
    "var": "volt-amperes-reactive",
    "kvar": "kilovolt-amperes-reactive",
    "Wh": "watt-hours",
    "kWh": "kilowatt-hours",
    "MWh": "megawatt-hours",
    "kvarh": "kilovolt-ampere-hours-reactive",
    "Hz": "hertz",
    "°C": "degrees-celsius",
    "degC": "degrees-celsius",
    "ms": "milliseconds",
    "s": "seconds",
    "min": "minutes",
    "h": "hours",
    "d": "days",
    "Ohm": "ohms",
}
