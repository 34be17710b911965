"""Dialect "nested": wrappers and objects keyed by id; dA, W, kWh (meters Wh), upper snake case.

A second assumption about the unpublished schemas, as different from "desc" as is plausible.
"""

import re
from typing import Any

from gateway.simulator.commands import Arguments, Command
from gateway.simulator.dialect import MeterChange, StationChange, ZoneChange
from gateway.simulator.equipment import Meter, Phases, Reduction, Station, Zone
from gateway.simulator.shapes import Check, exact, one_of, same_object, text, whole
from gateway.simulator.site import Site

_ID = whole(1, 2**31 - 1)
_CONNECTOR = whole(0, 99)

_COMMAND_MEMBERS: dict[str, dict[str, Check]] = {
    "remote_start": {"connector_id": _CONNECTOR, "id_tag": text(20, 1)},
    "remote_stop": {"connector_id": _CONNECTOR},
    "reset": {"type": one_of("SOFT", "HARD")},
    "change_availability": {"connector_id": _CONNECTOR, "type": one_of("OPERATIVE", "INOPERATIVE")},
    "get_configuration": {},
    "get_diagnostics": {},
    "update_firmware": {"firmware_id": _ID},
}


class NestedDialect:
    """The alternative spelling."""

    def stations(self, site: Site) -> object:
        """{total, stations{id: station}}."""
        items = {str(station.id): _station(station) for station in site.stations.values()}
        return {"total": len(items), "stations": items}

    def station(self, station: Station) -> object:
        """{station{station_id, identity{label}, rating{imax_da, phases}, points[]}}."""
        return {"station": {"station_id": station.id, **_station(station)}}

    def statuses(self, site: Site) -> object:
        """{data{id: status}}."""
        return {"data": {str(s.id): _status(s, site.now) for s in site.stations.values()}}

    def status(self, station: Station, now: float) -> object:
        """{data: status with station_id}."""
        return {"data": {"station_id": station.id, **_status(station, now)}}

    def zones(self, site: Site) -> object:
        """{total, zones[]}."""
        return {"total": len(site.zones), "zones": [_zone(zone) for zone in site.zones.values()]}

    def zone(self, zone: Zone) -> object:
        """{zone: one element of the list}."""
        return {"zone": _zone(zone)}

    def zone_status(self, zone: Zone) -> object:
        """{zone_status{i_da[3], p_w, allocated_da, active, members}}."""
        return {
            "zone_status": {
                "i_da": _deci(zone.current_a),
                "p_w": round(zone.power_w),
                "allocated_da": round(zone.limit_a * 10),
                "active": zone.charging,
                "members": len(zone.stations),
            }
        }

    def reduction(self, zone: Zone) -> object:
        """{zone_reduction{kind: "off"}} or {kind: "absolute", limit_da, validity{mode[, end epoch s]}}."""
        held = zone.reduction
        if held.kind == "none":
            return {"zone_reduction": {"kind": "off"}}
        validity: dict[str, Any] = {"mode": "unlimited"}
        if held.until_s is not None:
            validity = {"mode": "until", "end": int(held.until_s)}
        limit_da = round(held.value_a * 10)
        return {"zone_reduction": {"kind": "absolute", "limit_da": limit_da, "validity": validity}}

    def zone_stations(self, zone: Zone) -> object:
        """{stations[{station_id, label}]}."""
        return {"stations": [{"station_id": s.id, "label": s.name} for s in zone.stations]}

    def meters(self, site: Site) -> object:
        """{meters[]}."""
        return {"meters": [_meter(meter) for meter in site.meters.values()]}

    def meter(self, meter: Meter) -> object:
        """{meter: one element of the list}."""
        return {"meter": _meter(meter)}

    def meter_values(self, site: Site, meter: Meter, wall: float) -> object:
        """{pm_id, measures{I1..I3 dA, U1..U3 dV, P W, E Wh}}, each {v integer, u unit}."""
        seen = site.reading(meter)
        measures = {f"I{n}": _measure(amps * 10, "dA") for n, amps in enumerate(seen.current_a, 1)}
        measures |= {f"U{n}": _measure(volts * 10, "dV") for n, volts in enumerate(seen.voltage_v, 1)}
        measures |= {"P": _measure(seen.power_w, "W"), "E": _measure(seen.energy_wh, "Wh")}
        return {"pm_id": meter.id, "measures": measures}

    def command(self, command: Command) -> object:
        """{command{id}}."""
        return {"command": {"id": command.id}}

    def command_status(self, command: Command) -> object:
        """{command{id, state}} with PENDING, ACCEPTED or REJECTED."""
        return {"command": {"id": command.id, "state": command.state.upper()}}

    def parse_passwd(self, body: object) -> tuple[str, str]:
        """{passwd{current, replacement}}."""
        outer = exact(body, {"passwd": lambda value: isinstance(value, dict)})
        given = exact(outer["passwd"], {"current": text(), "replacement": text()}, "passwd")
        return given["current"], given["replacement"]

    def parse_station(self, body: object, station: Station) -> StationChange:
        """The whole object as read; label, imax_da and phases may differ."""
        editable = {
            "station.identity.label": text(),
            "station.rating.imax_da": whole(60, 800),
            "station.rating.phases": _one_or_three,
        }
        same_object(body, self.station(station), editable)
        given = _inside(body, "station")
        rating = given["rating"]
        return StationChange(given["identity"]["label"], rating["imax_da"] / 10, rating["phases"], station.priority)

    def parse_zone(self, body: object, zone: Zone) -> ZoneChange:
        """The whole object as read; zone_name, kind and imax_da may differ."""
        editable = {
            "zone.zone_name": text(),
            "zone.kind": one_of("CURRENT", "POWER"),
            "zone.limits.imax_da": whole(0, 100_000),
        }
        same_object(body, self.zone(zone), editable)
        given = _inside(body, "zone")
        return ZoneChange(given["zone_name"], given["kind"].lower(), given["limits"]["imax_da"] / 10)

    def parse_meter(self, body: object, meter: Meter) -> MeterChange:
        """The whole object as read; pm_name, model_id, host and port may differ."""
        editable = {
            "meter.pm_name": text(),
            "meter.model_id": _ID,
            "meter.link.host": text(253, 1),
            "meter.link.port": whole(1, 65535),
        }
        same_object(body, self.meter(meter), editable)
        given = _inside(body, "meter")
        return MeterChange(given["pm_name"], given["model_id"], given["link"]["host"], given["link"]["port"])

    def parse_reduction(self, body: object, zone: Zone) -> Reduction:
        """Exactly {kind: "off"} or {kind: "absolute", limit_da, validity{mode[, end]}}; no wrapper."""
        if isinstance(body, dict) and body.get("kind") == "off":
            exact(body, {"kind": one_of("off")})
            return Reduction()
        members: dict[str, Check] = {
            "kind": one_of("absolute", "off"),
            "limit_da": whole(0, round(zone.max_a * 10)),
            "validity": lambda value: isinstance(value, dict),
        }
        given = exact(body, members)
        until = given["validity"].get("mode") == "until"
        ends: dict[str, Check] = {"mode": one_of("unlimited", "until")}
        if until:
            ends["end"] = whole(0, 2**40)
        validity = exact(given["validity"], ends, "validity")
        return Reduction("current", given["limit_da"] / 10, float(validity["end"]) if until else None)

    def parse_command(self, name: str, body: object) -> Arguments:
        """The members of the "desc" dialect with upper case words."""
        given = dict(exact(body, _COMMAND_MEMBERS[name]))
        if "type" in given:
            given["type"] = given["type"].capitalize()
        return given


def _station(station: Station) -> dict[str, Any]:
    outlets = [{"no": number} for number in range(1, station.connectors + 1)]
    return {
        "identity": {"label": station.name},
        "rating": {"imax_da": round(station.max_a * 10), "phases": station.phases},
        "points": [{"no": 1, "outlets": outlets}],
    }


def _status(station: Station, now: float) -> dict[str, Any]:
    visit = station.transaction
    charge = visit and {
        "energy_kwh": round(visit.energy_wh / 1000, 3),
        "seconds": int(now - visit.started),
        "tag": visit.id_tag,
    }
    return {
        "link": "UP" if station.online else "DOWN",
        "state": {
            "ocpp": upper_snake(station.status),
            "availability": "OPERATIVE" if station.operative else "INOPERATIVE",
        },
        "measure": {
            "currents_da": _deci(station.current_a),
            "active_power_w": round(station.power_w),
            "energy_kwh": round(station.energy_wh / 1000, 3),
        },
        "limit_da": round(station.setpoint_a * 10),
        "outlets": [
            {"no": number, "state": upper_snake(station.connector_status(number))}
            for number in range(1, station.connectors + 1)
        ],
        "charge": charge,
    }


def _zone(zone: Zone) -> dict[str, Any]:
    return {
        "zone_id": zone.id,
        "zone_name": zone.name,
        "kind": zone.kind.upper(),
        "limits": {"imax_da": round(zone.max_a * 10)},
    }


def _meter(meter: Meter) -> dict[str, Any]:
    return {
        "pm_id": meter.id,
        "pm_name": meter.name,
        "model_id": meter.model,
        "link": {"kind": meter.kind.upper(), "host": meter.address, "port": meter.port},
    }


def upper_snake(word: str) -> str:
    """Spells an OCPP word as this dialect does: SuspendedEV is SUSPENDED_EV."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", word).upper()


def _deci(amps: Phases) -> list[int]:
    return [round(value * 10) for value in amps]


def _measure(value: float, unit: str) -> dict[str, Any]:
    return {"v": round(value), "u": unit}


def _one_or_three(value: object) -> bool:
    return type(value) is int and value in (1, 3)


def _inside(body: object, name: str) -> dict[str, Any]:
    return dict(body[name]) if isinstance(body, dict) else {}
