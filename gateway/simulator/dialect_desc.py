"""Dialect "desc": bare arrays and `desc`/`config` objects; A, kW, Wh (meters kWh), OCPP spelling.

The `desc` pattern is that of GET /pms in the saved Swagger page; all other members are assumed.
"""

from typing import Any

from gateway.simulator.commands import Arguments, Command
from gateway.simulator.dialect import MeterChange, StationChange, ZoneChange
from gateway.simulator.equipment import Meter, Phases, Reduction, Station, Zone
from gateway.simulator.exchange import iso_time, parse_iso_time
from gateway.simulator.shapes import Check, exact, number, one_of, same_object, text, whole
from gateway.simulator.site import Site

STATION_TYPE = "evlink_pro_ac"
_ID = whole(1, 2**31 - 1)
_CONNECTOR = whole(0, 99)

_COMMAND_MEMBERS: dict[str, dict[str, Check]] = {
    "remote_start": {"connector_id": _CONNECTOR, "id_tag": text(20, 1)},
    "remote_stop": {"connector_id": _CONNECTOR},
    "reset": {"type": one_of("Soft", "Hard")},
    "change_availability": {"connector_id": _CONNECTOR, "type": one_of("Operative", "Inoperative")},
    "get_configuration": {},
    "get_diagnostics": {},
    "update_firmware": {"firmware_id": _ID},
}


class DescDialect:
    """The default spelling."""

    def stations(self, site: Site) -> object:
        """Bare array of stations."""
        return [self.station(station) for station in site.stations.values()]

    def station(self, station: Station) -> dict[str, Any]:
        """{id, type, config{friendly_name, max_current A, phases, priority}, evses[]}."""
        connectors = [{"id": number, "type": "type2"} for number in range(1, station.connectors + 1)]
        return {
            "id": station.id,
            "type": STATION_TYPE,
            "config": {
                "friendly_name": station.name,
                "max_current": _plain(station.max_a),
                "phases": station.phases,
                "priority": station.priority,
            },
            "evses": [{"id": 1, "connectors": connectors}],
        }

    def statuses(self, site: Site) -> object:
        """Bare array of station statuses."""
        return [self.status(station, site.now) for station in site.stations.values()]

    def status(self, station: Station, now: float) -> object:
        """Status with currents in A, power in kW, energy in Wh; `session` only while a transaction runs."""
        status: dict[str, Any] = {
            "id": station.id,
            "status": station.status,
            "online": station.online,
            "availability": "Operative" if station.operative else "Inoperative",
            "current": _phases(station.current_a),
            "power": round(station.power_w / 1000, 2),
            "energy": int(station.energy_wh),
            "setpoint": station.setpoint_a,
            "evses": [{"id": 1, "connectors": _connectors(station)}],
        }
        visit = station.transaction
        if visit is not None:
            status["session"] = {
                "energy": int(visit.energy_wh),
                "duration": int(now - visit.started),
                "id_tag": visit.id_tag,
            }
        return status

    def zones(self, site: Site) -> object:
        """Bare array of zones."""
        return [self.zone(zone) for zone in site.zones.values()]

    def zone(self, zone: Zone) -> object:
        """{id, desc{name, type, max_current A, parent}}."""
        desc = {"name": zone.name, "type": zone.kind, "max_current": zone.max_a, "parent": None}
        return {"id": zone.id, "desc": desc}

    def zone_status(self, zone: Zone) -> object:
        """Currents and setpoint in A, power in kW."""
        return {
            "current": _phases(zone.current_a),
            "power": round(zone.power_w / 1000, 2),
            "setpoint": zone.limit_a,
            "stations_charging": zone.charging,
            "stations_total": len(zone.stations),
        }

    def reduction(self, zone: Zone) -> object:
        """{type, value A, valid_mode[, valid_until]}; without a reduction the value is the zone maximum."""
        held = zone.reduction
        value = zone.max_a if held.kind == "none" else held.value_a
        shown: dict[str, Any] = {"type": held.kind, "value": value, "valid_mode": "permanent"}
        if held.until_s is not None:
            shown |= {"valid_mode": "until", "valid_until": iso_time(held.until_s)}
        return shown

    def zone_stations(self, zone: Zone) -> object:
        """Bare array of station ids."""
        return [station.id for station in zone.stations]

    def meters(self, site: Site) -> object:
        """Bare array of meters."""
        return [self.meter(meter) for meter in site.meters.values()]

    def meter(self, meter: Meter) -> object:
        """{id, desc{name, type, model, tcp_address, tcp_port}}."""
        desc = {
            "name": meter.name,
            "type": meter.kind,
            "model": meter.model,
            "tcp_address": meter.address,
            "tcp_port": meter.port,
        }
        return {"id": meter.id, "desc": desc}

    def meter_values(self, site: Site, meter: Meter, wall: float) -> object:
        """{id, timestamp, values[{name, unit, value}]} in A, V, kW, kWh."""
        seen = site.reading(meter)
        values = [_value(f"current_l{n}", "A", round(amps, 1)) for n, amps in enumerate(seen.current_a, 1)]
        values += [_value(f"voltage_l{n}", "V", round(volts, 1)) for n, volts in enumerate(seen.voltage_v, 1)]
        values.append(_value("power", "kW", round(seen.power_w / 1000, 3)))
        values.append(_value("energy", "kWh", round(seen.energy_wh / 1000, 3)))
        return {"id": meter.id, "timestamp": iso_time(wall), "values": values}

    def command(self, command: Command) -> object:
        """{cmd_id}."""
        return {"cmd_id": command.id}

    def command_status(self, command: Command) -> object:
        """{cmd_id, status} with pending, accepted or rejected."""
        return {"cmd_id": command.id, "status": command.state}

    def parse_passwd(self, body: object) -> tuple[str, str]:
        """{old_password, new_password}."""
        given = exact(body, {"old_password": text(), "new_password": text()})
        return given["old_password"], given["new_password"]

    def parse_station(self, body: object, station: Station) -> StationChange:
        """The whole object; friendly_name, max_current, phases and priority may differ."""
        editable = {
            "config.friendly_name": text(),
            "config.max_current": number(6, 80),
            "config.phases": _one_or_three,
            "config.priority": one_of("standard", "vip"),
        }
        same_object(body, self.station(station), editable)
        config = _inside(body, "config")
        return StationChange(
            config["friendly_name"], float(config["max_current"]), config["phases"], config["priority"]
        )

    def parse_zone(self, body: object, zone: Zone) -> ZoneChange:
        """The whole object; name, type and max_current may differ."""
        editable = {
            "desc.name": text(),
            "desc.type": one_of("current", "power"),
            "desc.max_current": number(0, 10_000),
        }
        same_object(body, self.zone(zone), editable)
        desc = _inside(body, "desc")
        return ZoneChange(desc["name"], desc["type"], float(desc["max_current"]))

    def parse_meter(self, body: object, meter: Meter) -> MeterChange:
        """The whole object; everything but id and type may differ."""
        editable = {
            "desc.name": text(),
            "desc.model": _ID,
            "desc.tcp_address": text(253, 1),
            "desc.tcp_port": whole(1, 65535),
        }
        same_object(body, self.meter(meter), editable)
        desc = _inside(body, "desc")
        return MeterChange(desc["name"], desc["model"], desc["tcp_address"], desc["tcp_port"])

    def parse_reduction(self, body: object, zone: Zone) -> Reduction:
        """Exactly {type, value A, valid_mode} and, with valid_mode "until", valid_until."""
        members: dict[str, Check] = {
            "type": one_of("none", "current"),
            "value": number(0, zone.max_a),
            "valid_mode": one_of("permanent", "until"),
        }
        if isinstance(body, dict) and body.get("valid_mode") == "until":
            members["valid_until"] = text()
        given = exact(body, members)
        until_s = parse_iso_time(given["valid_until"]) if "valid_until" in members else None
        if given["type"] == "none":
            return Reduction()
        return Reduction("current", float(given["value"]), until_s)

    def parse_command(self, name: str, body: object) -> Arguments:
        """Exactly the members of the command, in OCPP spelling."""
        return exact(body, _COMMAND_MEMBERS[name])


def _phases(amps: Phases) -> dict[str, float]:
    return {"l1": round(amps[0], 1), "l2": round(amps[1], 1), "l3": round(amps[2], 1)}


def _connectors(station: Station) -> list[dict[str, Any]]:
    used = station.visit.connector if station.visit is not None else 0
    return [
        {
            "id": place,
            "status": station.connector_status(place),
            "current": round(station.amps, 1) if place == used else 0.0,
        }
        for place in range(1, station.connectors + 1)
    ]


def _value(name: str, unit: str, value: float) -> dict[str, Any]:
    return {"name": name, "unit": unit, "value": value}


def _plain(value: float) -> int | float:
    return int(value) if value == int(value) else value


def _one_or_three(value: object) -> bool:
    return type(value) is int and value in (1, 3)


def _inside(body: object, name: str) -> dict[str, Any]:
    return dict(body[name]) if isinstance(body, dict) else {}
