"""The settings parameters of a Bender charge controller: what a key holds and who may change it.

Key names: Bender's samples and the operator page (`facts.md` section 6.4); the metadata members are assumed.
"""

from dataclasses import dataclass
from typing import Any

from gateway.simulator.exchange import BadBodyError
from gateway.simulator.shapes import Check, exact, one_of, text, whole

OPERATOR_LIMIT = "OperatorCurrentLimit_vehicleif"
FREE_CHARGING = "FreeCharging_vehicleif"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One settings parameter; `reboot` means a change needs a restart to take effect."""

    type: str
    default: object
    description: str
    accepts: Check
    writable: bool = True
    reboot: bool = False


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


PARAMETERS: dict[str, Parameter] = {
    OPERATOR_LIMIT: Parameter("int", 32, "Operator current limit in A, 6 to 80", whole(6, 80)),
    FREE_CHARGING: Parameter("bool", False, "Charge without authorisation", _is_bool),
    "Enabled_wlan": Parameter("bool", False, "Wireless LAN", _is_bool, reboot=True),
    "SysTime_mon": Parameter("string", "", "System time", text(), writable=False),
    "WebUIStyle_web": Parameter("string", "default", "Style of the web pages", one_of("default", "dark")),
}
APP_KEYS = (OPERATOR_LIMIT, FREE_CHARGING)


class Settings:
    """The values of all parameters of one controller."""

    def __init__(self) -> None:
        self.values: dict[str, object] = {key: parameter.default for key, parameter in PARAMETERS.items()}

    def described(self, keys: tuple[str, ...]) -> dict[str, Any]:
        """Returns value and metadata per key, for a request that names no keys."""
        return {
            key: {
                "value": self.values[key],
                "type": PARAMETERS[key].type,
                "mode": "rw" if PARAMETERS[key].writable else "r",
                "short": key.partition("_")[0],
                "long": PARAMETERS[key].description,
                "default": PARAMETERS[key].default,
            }
            for key in keys
        }

    def values_of(self, keys: list[str]) -> dict[str, Any]:
        """Returns {key: {"value"}} of the named keys; BadBodyError for one that does not exist."""
        for key in keys:
            if key not in PARAMETERS:
                raise BadBodyError(f"parameter key not found: {key}")
        return {key: {"value": self.values[key]} for key in keys}

    def parse(self, body: object) -> dict[str, object]:
        """Checks {"params": [{"key", "value"}]} as the validating variant does; nothing is written."""
        given = exact(body, {"params": lambda value: isinstance(value, list) and len(value) > 0})
        checked: dict[str, object] = {}
        for row in given["params"]:
            pair = exact(row, {"key": text(255, 1), "value": lambda _: True}, "params")
            parameter = PARAMETERS.get(pair["key"])
            if parameter is None:
                raise BadBodyError(f"parameter key not found: {pair['key']}")
            if not parameter.writable:
                raise BadBodyError(f"parameter is read-only: {pair['key']}")
            if not parameter.accepts(pair["value"]):
                raise BadBodyError(f"wrong type or value for {pair['key']}")
            checked[pair["key"]] = pair["value"]
        return checked
