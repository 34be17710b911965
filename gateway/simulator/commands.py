"""Commands to stations. They are asynchronous: accepted or rejected one to two seconds after the request."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from gateway.simulator.equipment import Station
from gateway.simulator.site import Site
from gateway.simulator.stores import Stores
from gateway.simulator.traffic import sequence

Arguments = dict[str, Any]
RESTART_S = {"Soft": 5.0, "Hard": 10.0}


@dataclass(slots=True)
class Command:
    """One command as posted; `id` counts up over the whole site."""

    id: int
    station: Station
    name: str
    arguments: Arguments
    state: Literal["pending", "accepted", "rejected"] = "pending"


class CommandDesk:
    """Takes commands, carries them out on the site and remembers how they ended."""

    def __init__(self, site: Site, stores: Stores) -> None:
        self.site = site
        self.stores = stores
        self._draw = sequence(site.seed, -1)
        self.commands: dict[int, Command] = {}

    def post(self, station: Station, name: str, arguments: Arguments) -> Command:
        """Accepts a checked command for a station."""
        command = Command(len(self.commands) + 1, station, name, arguments)
        self.commands[command.id] = command
        self.site.agenda.at(self.site.now + self._draw.uniform(1.0, 2.0), lambda now: self._run(command, now))
        return command

    def _run(self, command: Command, now: float) -> None:
        done = command.station.online and _EFFECTS[command.name](self, command.station, command.arguments, now)
        command.state = "accepted" if done else "rejected"


def _remote_start(desk: CommandDesk, station: Station, arguments: Arguments, now: float) -> bool:
    connector = arguments["connector_id"]
    free = station.usable and station.visit is None and 1 <= connector <= station.connectors
    if not free or connector in station.inoperative:
        return False
    desk.site.traffic.start(station, now, connector=connector, id_tag=arguments["id_tag"])
    return True


def _remote_stop(desk: CommandDesk, station: Station, arguments: Arguments, now: float) -> bool:
    visit = station.visit
    if visit is None or visit.connector != arguments["connector_id"] or visit.phase == "finishing":
        return False
    desk.site.traffic.stop(station, now)
    return True


def _reset(desk: CommandDesk, station: Station, arguments: Arguments, now: float) -> bool:
    _restart(desk, station, RESTART_S[arguments["type"]], now)
    return True


def _change_availability(desk: CommandDesk, station: Station, arguments: Arguments, now: float) -> bool:
    connector = arguments["connector_id"]
    if connector > station.connectors:
        return False
    chosen = set(range(1, station.connectors + 1)) if connector == 0 else {connector}
    if arguments["type"] == "Operative":
        station.inoperative -= chosen
    else:
        station.inoperative |= chosen
    return True


def _get_configuration(desk: CommandDesk, station: Station, arguments: Arguments, now: float) -> bool:
    return not station.faulted


def _get_diagnostics(desk: CommandDesk, station: Station, arguments: Arguments, now: float) -> bool:
    desk.stores.add_report(station.id, now)
    return True


def _update_firmware(desk: CommandDesk, station: Station, arguments: Arguments, now: float) -> bool:
    firmware = desk.stores.firmwares.get(arguments["firmware_id"])
    if firmware is None or firmware.station_type != desk.stores.station_type:
        return False
    station.firmware = firmware.version
    _restart(desk, station, RESTART_S["Hard"], now)
    return True


def _restart(desk: CommandDesk, station: Station, span_s: float, now: float) -> None:
    station.restarting = True
    desk.site.traffic.expel(station, now)
    desk.site.agenda.at(now + span_s, lambda _: setattr(station, "restarting", False))


_EFFECTS: dict[str, Callable[[CommandDesk, Station, Arguments, float], bool]] = {
    "remote_start": _remote_start,
    "remote_stop": _remote_stop,
    "reset": _reset,
    "change_availability": _change_availability,
    "get_configuration": _get_configuration,
    "get_diagnostics": _get_diagnostics,
    "update_firmware": _update_firmware,
}
COMMANDS = tuple(_EFFECTS)
