"""Units of a product's numbers: what they measure, and their scale to the unit a point has."""

from __future__ import annotations

QUANTITIES: dict[str, tuple[str, float]] = {
    "A": ("current", 1.0),
    "dA": ("current", 0.1),
    "mA": ("current", 0.001),
    "V": ("voltage", 1.0),
    "dV": ("voltage", 0.1),
    "mV": ("voltage", 0.001),
    "W": ("power", 1.0),
    "kW": ("power", 1000.0),
    "MW": ("power", 1e6),
    "Wh": ("energy", 1.0),
    "kWh": ("energy", 1000.0),
    "MWh": ("energy", 1e6),
    "VA": ("apparent power", 1.0),
    "kVA": ("apparent power", 1000.0),
    "ms": ("time", 0.001),
    "s": ("time", 1.0),
    "min": ("time", 60.0),
    "h": ("time", 3600.0),
    "Hz": ("frequency", 1.0),
    "%": ("ratio", 1.0),
}
"""Unit to what it measures, and how many of the SI unit it is."""

SUFFIXES: dict[str, str] = {
    "a": "A", "amp": "A", "amps": "A", "ampere": "A", "amperes": "A", "da": "dA", "ma": "mA", "v": "V", "dv": "dV",
    "mv": "mV", "w": "W", "kw": "kW", "wh": "Wh", "kwh": "kWh", "mwh": "MWh", "va": "VA", "kva": "kVA", "ms": "ms",
    "s": "s", "sec": "s", "secs": "s", "seconds": "s", "minutes": "min", "hz": "Hz", "percent": "%",
}  # fmt: skip
"""A last word of a member's name that states a unit: `limit_da`, `energy_kwh`."""


def quantity_of(unit: str) -> str:
    """What a unit measures, "" for one that is not known."""
    return QUANTITIES[unit][0] if unit in QUANTITIES else ""


def scale_between(raw: str, wanted: str) -> float | None:
    """`scale` of a point in `wanted` for numbers in `raw`; None when they do not measure the same."""
    if raw not in QUANTITIES or wanted not in QUANTITIES or QUANTITIES[raw][0] != QUANTITIES[wanted][0]:
        return None
    return float(f"{QUANTITIES[raw][1] / QUANTITIES[wanted][1]:.12g}")


def unit_in_name(words: list[str]) -> str:
    """The unit a member's name ends in; a short name that is nothing else (`a`, `v`) states none."""
    return SUFFIXES.get(words[-1], "") if words and (len(words) > 1 or len(words[0]) > 3) else ""
