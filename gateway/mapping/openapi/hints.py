"""How the points of the shipped EVCE mapping are recognised in a schema: the table, and nothing else.

A guess that is not certain is worse than none: a member is taken only when it is the one best match, and a hint's
`never` words are there to keep it from a near miss (a maximum for a reading, a session's energy for the meter's).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Words = frozenset[str]


def _words(text: str) -> Words:
    return frozenset(text.split())


@dataclass(frozen=True, slots=True)
class Hint:
    """What a member must look like to be a point.

    Attributes:
        types: JSON types it may have.
        own: words that name it, in its own name or on the way to it.
        quantity: what its unit must measure, when one is stated.
        also: words that make it likelier.
        never: words that rule it out.
        needs: one of these must stand on the way to it.
        phase: 1..3, or 0 for none.
    """

    types: Words
    own: Words
    quantity: str = ""
    also: Words = frozenset()
    never: Words = frozenset()
    needs: Words = frozenset()
    phase: int = 0


NUMBER = _words("number integer")
CURRENT = _words("current currents i amp amps ampere amperes intensity")
VOLTAGE = _words("voltage voltages u v volt volts")
POWER = _words("power p watt watts")
ENERGY = _words("energy e")
SESSION = _words("session transaction charge visit")
LIMITING = _words("max maximum imax min minimum limit limits setpoint allocated allocation rated nominal offered")
PARTIAL = _words("reactive apparent factor import export reverse")


def _current(phase: int) -> Hint:
    never = LIMITING | PARTIAL | POWER | ENERGY | SESSION | _words("voltage")
    return Hint(NUMBER, CURRENT, "current", _words("phase line measure measured"), never, phase=phase)


def _voltage(phase: int) -> Hint:
    return Hint(NUMBER, VOLTAGE, "voltage", _words("phase neutral"), LIMITING | POWER | CURRENT, phase=phase)


_POWER = Hint(NUMBER, POWER, "power", _words("active total measured"), LIMITING | PARTIAL | SESSION)
_ENERGY = Hint(NUMBER, ENERGY, "energy", _words("active total meter"), LIMITING | PARTIAL | SESSION)
_SETPOINT_WORDS = _words("setpoint allocated allocation assigned limit offered")
_SETPOINT = Hint(NUMBER, _SETPOINT_WORDS, "current", _words("current"), _words("max maximum imax min minimum power"))

POINTS: Mapping[str, Mapping[str, Hint]] = {
    "zone": {
        "current_l1": _current(1),
        "current_l2": _current(2),
        "current_l3": _current(3),
        "current": _current(0),
        "power": _POWER,
        "setpoint": _SETPOINT,
        "stations_total": Hint(
            _words("integer number"),
            _words("stations members chargers"),
            also=_words("total count number nb"),
            never=_words("charging active id connected available"),
        ),
        "maximum": Hint(
            NUMBER, _words("max maximum imax rated nominal"), "current", CURRENT, _words("min minimum power phases")
        ),
    },
    "station": {
        "status": Hint(_words("string"), _words("status state ocpp")),
        "availability": Hint(_words("string"), _words("availability operative")),
        "online": Hint(
            _words("boolean string"), _words("online connected connection link reachable"), never=_words("connector")
        ),
        "current_l1": _current(1),
        "current_l2": _current(2),
        "current_l3": _current(3),
        "power": _POWER,
        "energy": _ENERGY,
        "setpoint": _SETPOINT,
        "session_energy": Hint(NUMBER, ENERGY, "energy", never=LIMITING | PARTIAL, needs=SESSION),
        "session_duration": Hint(NUMBER, _words("duration seconds elapsed"), "time", needs=SESSION),
        "session_tag": Hint(_words("string"), _words("tag rfid badge card"), needs=SESSION),
    },
    "connector": {"status": Hint(_words("string"), _words("status state ocpp"))},
    "meter": {
        "current_l1": _current(1),
        "current_l2": _current(2),
        "current_l3": _current(3),
        "voltage_l1": _voltage(1),
        "voltage_l2": _voltage(2),
        "voltage_l3": _voltage(3),
        "power": _POWER,
        "energy": _ENERGY,
    },
}
"""Kind, point, hint; points of the mapping that are not here (derived ones) are kept as they are."""

STATES: Mapping[str, Mapping[str, int]] = {
    "status": {
        "available": 1, "preparing": 2, "charging": 3, "suspendedevse": 4, "suspendedev": 5, "finishing": 6,
        "reserved": 7, "unavailable": 8, "faulted": 9,
    },
    "availability": {"operative": 1, "inoperative": 2},
}  # fmt: skip
"""Texts of a point, letters only and in lower case, with their codes."""

CONNECTED = _words("up online connected true yes on")
ID_WORDS: Mapping[str, tuple[str, ...]] = {"meter": ("pm", "meter")}
"""What an id is called after, where that is not the kind: the API says pm."""
NAMES = ("name", "label", "title")
GUARDS = ("type", "kind")
REDUCTION = Hint(
    NUMBER,
    _words("value limit current setpoint reduction amps ampere"),
    "current",
    never=_words("duration time end start until id priority"),
)
NO_LIMIT = _words("none off no disabled inactive released")
LIMIT_TO = _words("current absolute limit amps ampere amperes value")
FOREVER = _words("permanent unlimited always forever infinite indefinite")
