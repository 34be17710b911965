"""The pure model of one EVCE installation.

No clock and no socket: `advance(now)` brings everything to a moment, and a result depends on the seed and
on the moments of the changes only, never on how often somebody asked.
Ids follow the guide, "Unique ID for every resource": one counter per kind, counted up, never reused.
"""

import math
from random import Random
from typing import Literal, TypeVar

from gateway.simulator.agenda import Agenda
from gateway.simulator.allocation import allocate
from gateway.simulator.equipment import Meter, MeterReading, Phases, Reduction, Station, Zone, phase_sums
from gateway.simulator.traffic import Traffic, sequence

FIRST_STATION_ID = 101
CHARGING_SHARE = 0.6

Thing = TypeVar("Thing", Station, Zone, Meter)


class Site:
    """Stations, zones and meters, by id in `stations`, `zones`, `meters` and by name with the methods below."""

    def __init__(self, *, stations: int, zones: int, meters: int, seed: int, now: float) -> None:
        self.now = now
        self.seed = seed
        self.agenda = Agenda()
        self.stations: dict[int, Station] = {}
        self.zones: dict[int, Zone] = {}
        self.meters: dict[int, Meter] = {}
        self.traffic = Traffic(self.agenda, seed=seed, changed=self._station_changed)
        self._last_id = {"station": FIRST_STATION_ID - 1, "zone": 0, "meter": 0}
        self._serial = 0
        self._build(stations, zones, meters)

    def advance(self, now: float) -> None:
        """Brings the model to `now`; a clock that runs backwards is ignored."""
        now = max(now, self.now)
        self.agenda.run_until(now)
        self.now = now
        for station in self.stations.values():
            station.settle(now)

    def station(self, name: str) -> Station:
        """Returns the first station of that name, KeyError if none."""
        return _named(self.stations, name)

    def zone(self, name: str) -> Zone:
        """Returns the first zone of that name, KeyError if none."""
        return _named(self.zones, name)

    def meter(self, name: str) -> Meter:
        """Returns the first meter of that name, KeyError if none."""
        return _named(self.meters, name)

    def next_id(self, kind: str) -> int:
        """Counts up the ids of "station", "zone" or "meter"."""
        self._last_id[kind] += 1
        return self._last_id[kind]

    def add_station(self, name: str, zone: Zone | None, *, max_a: float = 32.0, phases: int = 3) -> Station:
        """Adds an empty station with a new id."""
        self._serial += 1
        outlets = 2 if self._serial % 5 == 0 else 1
        station = Station(self.next_id("station"), self._serial, name, max_a, phases, connectors=outlets, zone=zone)
        station.settled = self.now
        self.stations[station.id] = station
        if zone is not None:
            zone.stations.append(station)
        return station

    def add_zone(self, name: str, max_a: float = 250.0) -> Zone:
        """Adds a zone without stations."""
        zone = Zone(self.next_id("zone"), name, max_a)
        self.zones[zone.id] = zone
        return zone

    def set_reduction(self, zone: Zone, reduction: Reduction, due: float | None = None) -> None:
        """Puts a limit on a zone; `due` is the model time at which it ends."""
        zone.reduction = reduction
        self.reallocate(zone)
        if due is not None:
            self.agenda.at(due, lambda now: self._end_reduction(zone, reduction, now))

    def reallocate(self, zone: Zone, now: float | None = None) -> None:
        """Shares the zone's limit anew among the stations that charge."""
        moment = self.now if now is None else now
        asking = [s for s in zone.stations if s.visit is not None and s.visit.phase == "charging" and s.usable]
        asking.sort(key=_serving_order)
        wishes = [min(s.visit.wish_a, s.max_a) for s in asking if s.visit is not None]
        shares = dict(zip(asking, allocate(zone.limit_a, wishes), strict=True))
        for station in zone.stations:
            station.settle(moment)
            station.setpoint_a = station.target_a = shares.get(station, 0.0)

    def touch(self, station: Station) -> None:
        """Takes over a change of a station's own settings."""
        self._station_changed(station, self.now)

    def reading(self, meter: Meter) -> MeterReading:
        """Returns what the meter shows now, or what it showed when it froze."""
        return meter.frozen or self._measure(meter)

    def meters_of(self, station: Station) -> list[Meter]:
        """Returns the meters that count this station's energy."""
        return [meter for meter in self.meters.values() if meter.covers in ("site", station.zone)]

    def _measure(self, meter: Meter) -> MeterReading:
        drift = [0.6 * math.sin(self.now / 97 + meter.id + phase) for phase in range(3)]
        volts: Phases = (230.1 + drift[0], 230.4 + drift[1], 229.8 + drift[2])
        if meter.covers == "building":
            turn = 2 * math.pi / 900
            amps = 20.0 + 5.0 * math.sin(self.now * turn)
            ampere_s = 20.0 * self.now - 5.0 / turn * math.cos(self.now * turn)
            return MeterReading((amps, amps, amps), volts, amps * 690, meter.base_wh + ampere_s * 690 / 3600)
        members = list(self.stations.values()) if meter.covers == "site" else _zone_of(meter).stations
        energy = meter.base_wh + sum(station.energy_wh for station in members)
        return MeterReading(phase_sums(members), volts, sum(station.power_w for station in members), energy)

    def _station_changed(self, station: Station, now: float) -> None:
        if station.zone is not None:
            self.reallocate(station.zone, now)
            return
        station.settle(now)
        visit = station.visit
        charging = visit is not None and visit.phase == "charging" and station.usable
        station.setpoint_a = station.target_a = min(visit.wish_a, station.max_a) if visit and charging else 0.0

    def _end_reduction(self, zone: Zone, reduction: Reduction, now: float) -> None:
        if zone.reduction is reduction:
            zone.reduction = Reduction()
            self.reallocate(zone, now)

    def _build(self, stations: int, zones: int, meters: int) -> None:
        size = math.ceil(stations / zones) if zones else 0
        for number in range(zones):
            self.add_zone(zone_name(number), max(250.0, math.ceil(size * 2.0) * 10.0))
        places = list(self.zones.values())
        draw = sequence(self.seed, 0)
        for number in range(stations):
            zone = places[number * zones // stations] if zones else None
            station = self.add_station(f"Bay {number + 1:03}", zone, phases=1 if number % 4 == 3 else 3)
            station.energy_wh = float(draw.randrange(20_000, 900_000))
        self._open(draw)
        for number in range(meters):
            covers: Zone | Literal["site", "building"] = (
                "site" if number == 0 else places[number - 1] if number <= len(places) else "building"
            )
            meter = Meter(self.next_id("meter"), f"Meter {number + 1}", covers)
            meter.address = f"192.168.{number // 200}.{201 + number % 50}"
            self.meters[meter.id] = meter
            meter.base_wh = 1_000_000.0 - self._measure(meter).energy_wh + draw.randrange(9_000_000)

    def _open(self, draw: Random) -> None:
        anchors = {zone.stations[0] for zone in self.zones.values() if zone.stations}
        others = [station for station in self.stations.values() if station not in anchors]
        draw.shuffle(others)
        wanted = max(0, round(CHARGING_SHARE * len(self.stations)) - len(anchors))
        charging = anchors | set(others[:wanted])
        for station in self.stations.values():
            self.traffic.open(station, self.now, charging=station in charging, anchored=station in anchors)
        for station in self.stations.values():  # the cars did not all arrive this second
            station.amps = station.target_a


def zone_name(number: int) -> str:
    """Names the zones A to Z, then by their count: 0 is "Zone A", 26 is "Zone 27"."""
    return f"Zone {chr(ord('A') + number)}" if number < 26 else f"Zone {number + 1}"


def _serving_order(station: Station) -> tuple[bool, float, int]:
    started = station.visit.started if station.visit is not None else 0.0
    return (station.priority != "vip", started, station.serial)


def _zone_of(meter: Meter) -> Zone:
    if not isinstance(meter.covers, Zone):
        raise TypeError(f"{meter.name} does not cover a zone")
    return meter.covers


def _named(things: dict[int, Thing], name: str) -> Thing:
    for thing in things.values():
        if thing.name == name:
            return thing
    raise KeyError(name)
