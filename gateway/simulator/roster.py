"""What people do to an installation in the product's web page: rename, delete, add, replace, import.

Each function leaves ids as the guide says: a new thing gets the next id, nothing gets an old one.
"""

from collections.abc import Callable
from dataclasses import replace as copy_of

from gateway.simulator.equipment import Meter, Reduction, Station, Zone
from gateway.simulator.site import Site, Thing

Named = Station | Zone | Meter


def find(site: Site, kind: str, name: str) -> Named:
    """Returns the "station", "zone" or "meter" of that name; KeyError with a sentence if there is none."""
    finders: dict[str, Callable[[str], Named]] = {"station": site.station, "zone": site.zone, "meter": site.meter}
    if kind not in finders:
        raise KeyError(f"kind must be station, zone or meter, not {kind!r}")
    try:
        return finders[kind](name)
    except KeyError:
        raise KeyError(f"no {kind} is named {name!r}") from None


def swap_names(site: Site, kind: str, first: str, second: str) -> None:
    """Exchanges two names; the ids stay."""
    one, two = find(site, kind, first), find(site, kind, second)
    one.name, two.name = two.name, one.name


def delete(site: Site, kind: str, name: str) -> int:
    """Removes a thing for ever and returns its id; the stations of a deleted zone stay without a zone."""
    thing = find(site, kind, name)
    if isinstance(thing, Station):
        _retire(site, thing)
    elif isinstance(thing, Zone):
        for station in list(thing.stations):
            move(site, station, None)
        del site.zones[thing.id]
    else:
        del site.meters[thing.id]
    return thing.id


def add(site: Site, kind: str, name: str, zone: str | None = None) -> int:
    """Adds a station (in a zone if one is named), a zone or a building meter; returns the new id."""
    if kind == "station":
        home = site.zone(zone) if zone is not None else None
        station = site.add_station(name, home)
        site.traffic.open(station, site.now, charging=False)
        return station.id
    if kind == "zone":
        return site.add_zone(name).id
    if kind != "meter":
        raise KeyError(f"kind must be station, zone or meter, not {kind!r}")
    meter = Meter(site.next_id("meter"), name, "building")
    meter.base_wh = -site.reading(meter).energy_wh
    site.meters[meter.id] = meter
    return meter.id


def replace(site: Site, name: str) -> int:
    """Swaps the hardware of a station: deleted and added again, new id, same name, energy counter at 0."""
    old = site.station(name)
    zone, max_a, phases = old.zone, old.max_a, old.phases
    _retire(site, old)
    station = site.add_station(name, zone, max_a=max_a, phases=phases)
    site.traffic.open(station, site.now, charging=False)
    return station.id


def move(site: Site, station: Station, zone: Zone | None) -> None:
    """Puts a station into another zone, or into none; meters keep the energy they have counted."""
    before = set(site.meters_of(station))
    if station.zone is not None:
        station.zone.stations.remove(station)
        site.reallocate(station.zone)
    station.zone = zone
    if zone is not None:
        zone.stations.append(station)
    after = set(site.meters_of(station))
    for meter in before - after:
        meter.base_wh += station.energy_wh
    for meter in after - before:
        meter.base_wh -= station.energy_wh
    site.touch(station)


def renumber(site: Site, *, keep_reductions: bool = True) -> dict[str, dict[int, int]]:
    """A configuration import: everything gets new ids from the last ones; returns old id -> new id per kind."""
    moved = {
        "stations": _renumbered(site, "station", site.stations),
        "zones": _renumbered(site, "zone", site.zones),
        "meters": _renumbered(site, "meter", site.meters),
    }
    if not keep_reductions:
        for zone in site.zones.values():
            site.set_reduction(zone, Reduction())
    return moved


def freeze(site: Site, name: str, *, frozen: bool) -> None:
    """Stops a meter at its present values, or lets it run again."""
    meter = site.meter(name)
    meter.frozen = copy_of(site.reading(meter)) if frozen else None


def _renumbered(site: Site, kind: str, things: dict[int, Thing]) -> dict[int, int]:
    moved: dict[int, int] = {}
    for old in list(things):
        thing = things.pop(old)
        thing.id = moved[old] = site.next_id(kind)
        things[thing.id] = thing
    return moved


def _retire(site: Site, station: Station) -> None:
    station.settle(site.now)
    for meter in site.meters_of(station):
        meter.base_wh += station.energy_wh
    station.turn += 1
    del site.stations[station.id]
    if station.zone is not None:
        station.zone.stations.remove(station)
        site.reallocate(station.zone)
