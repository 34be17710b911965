"""The operations of the EVCE simulator: what the product, its operators and its installers may do to it.

`kind` is "station", "zone" or "meter"; things are named by their names, currents are A.
"""

from typing import TYPE_CHECKING, Any, Literal

from gateway.simulator import roster
from gateway.simulator.equipment import Reduction
from gateway.simulator.operations import NUMBER, SHARED_OPERATIONS, Operation, Outcome, go_down
from gateway.simulator.shell import OperationError

if TYPE_CHECKING:
    from gateway.simulator.evce import EvceSimulator


def _revoke(sim: "EvceSimulator") -> Outcome:
    sim.accounts.revoke()
    return None


def _expire(sim: "EvceSimulator") -> Outcome:
    sim.accounts.expire()
    return None


def _reboot(sim: "EvceSimulator", down_s: float = 0.0) -> Outcome:
    sim.accounts.reboot()
    return go_down(sim, down_s)


def _block(sim: "EvceSimulator") -> Outcome:
    sim.accounts.blocked = True
    return None


def _unblock(sim: "EvceSimulator") -> Outcome:
    sim.accounts.blocked, sim.accounts.bad_logins = False, 0
    return None


def _set_password(sim: "EvceSimulator", password: str) -> Outcome:
    sim.accounts.set_password(password)
    return None


def _second_login(sim: "EvceSimulator", mode: str) -> Outcome:
    modes: dict[str, Literal["replace", "refuse"]] = {"replace": "replace", "refuse": "refuse"}
    if mode not in modes:
        raise OperationError("mode must be replace or refuse")
    sim.accounts.second_login = modes[mode]
    return None


def _person_login(sim: "EvceSimulator") -> Outcome:
    body = {"login": sim.accounts.username, "password": sim.accounts.password}
    return {"status": sim.accounts.login(body, sim.clock(), sim.wall, person=True).status}


def _person_logout(sim: "EvceSimulator") -> Outcome:
    if sim.accounts.session is not None and sim.accounts.session.person:
        sim.accounts.revoke()
    return None


def _forbid(sim: "EvceSimulator", path: str) -> Outcome:
    sim.product.forbidden.append(path.removeprefix(sim.base))
    return None


def _allow(sim: "EvceSimulator") -> Outcome:
    sim.product.forbidden.clear()
    return None


def _clock_offset(sim: "EvceSimulator", seconds: float) -> Outcome:
    sim.clock_offset_s = seconds
    for zone in sim.site.zones.values():
        if zone.reduction.until_s is not None:
            held = zone.reduction
            renewed = Reduction(held.kind, held.value_a, held.until_s)
            sim.product.set_reduction(zone, renewed, sim.clock(), sim.wall)
    return None


def _freeze(sim: "EvceSimulator", name: str, frozen: bool = True) -> Outcome:
    roster.find(sim.site, "meter", name)
    roster.freeze(sim.site, name, frozen=frozen)
    return None


def _rename(sim: "EvceSimulator", kind: str, name: str, to: str) -> Outcome:
    roster.find(sim.site, kind, name).name = to
    return None


def _duplicate_name(sim: "EvceSimulator", kind: str, name: str, other: str) -> Outcome:
    roster.find(sim.site, kind, other).name = roster.find(sim.site, kind, name).name
    return None


def _swap_names(sim: "EvceSimulator", kind: str, name: str, other: str) -> Outcome:
    roster.swap_names(sim.site, kind, name, other)
    return None


def _delete(sim: "EvceSimulator", kind: str, name: str) -> Outcome:
    return {"id": roster.delete(sim.site, kind, name)}


def _add(sim: "EvceSimulator", kind: str, name: str, zone: str | None = None) -> Outcome:
    if zone is not None:
        roster.find(sim.site, "zone", zone)
    return {"id": roster.add(sim.site, kind, name, zone)}


def _replace(sim: "EvceSimulator", name: str) -> Outcome:
    roster.find(sim.site, "station", name)
    return {"id": roster.replace(sim.site, name)}


def _import(sim: "EvceSimulator", keep_reductions: bool = True) -> Outcome:
    return dict(roster.renumber(sim.site, keep_reductions=keep_reductions))


def _move(sim: "EvceSimulator", name: str, zone: str) -> Outcome:
    roster.find(sim.site, "station", name)
    roster.find(sim.site, "zone", zone)
    roster.move(sim.site, sim.site.station(name), sim.site.zone(zone))
    return None


def _zone_type(sim: "EvceSimulator", name: str, type: str) -> Outcome:  # noqa: A002
    roster.find(sim.site, "zone", name)
    sim.site.zone(name).kind = type
    return None


def _zone_max(sim: "EvceSimulator", name: str, amps: float) -> Outcome:
    roster.find(sim.site, "zone", name)
    zone = sim.site.zone(name)
    zone.max_a = float(amps)
    sim.site.reallocate(zone)
    return None


def _set_reduction(sim: "EvceSimulator", name: str, amps: float | None = None, seconds: float | None = None) -> Outcome:
    roster.find(sim.site, "zone", name)
    until_s = None if seconds is None else sim.wall + seconds
    reduction = Reduction() if amps is None else Reduction("current", float(amps), until_s)
    sim.product.set_reduction(sim.site.zone(name), reduction, sim.clock(), sim.wall)
    return None


def _station_online(sim: "EvceSimulator", name: str, online: bool) -> Outcome:
    roster.find(sim.site, "station", name)
    station = sim.site.station(name)
    station.online = online
    sim.site.traffic.expel(station, sim.site.now)
    return None


def _station_fault(sim: "EvceSimulator", name: str, faulted: bool) -> Outcome:
    roster.find(sim.site, "station", name)
    station = sim.site.station(name)
    station.faulted = faulted
    sim.site.traffic.expel(station, sim.site.now)
    return None


_KIND_AND_NAME = {"kind": str, "name": str}

EVCE_OPERATIONS: dict[str, Operation[Any]] = {
    **SHARED_OPERATIONS,
    "revoke": Operation(_revoke),
    "expire": Operation(_expire),
    "reboot": Operation(_reboot, takes={"down_s": NUMBER}),
    "block": Operation(_block),
    "unblock": Operation(_unblock),
    "set_password": Operation(_set_password, {"password": str}),
    "second_login": Operation(_second_login, {"mode": str}),
    "person_login": Operation(_person_login),
    "person_logout": Operation(_person_logout),
    "forbid": Operation(_forbid, {"path": str}),
    "allow": Operation(_allow),
    "clock_offset": Operation(_clock_offset, {"seconds": NUMBER}),
    "freeze": Operation(_freeze, {"name": str}, {"frozen": bool}),
    "rename": Operation(_rename, {**_KIND_AND_NAME, "to": str}),
    "duplicate_name": Operation(_duplicate_name, {**_KIND_AND_NAME, "other": str}),
    "swap_names": Operation(_swap_names, {**_KIND_AND_NAME, "other": str}),
    "delete": Operation(_delete, _KIND_AND_NAME),
    "add": Operation(_add, _KIND_AND_NAME, {"zone": str}),
    "replace": Operation(_replace, {"name": str}),
    "import": Operation(_import, takes={"keep_reductions": bool}),
    "move": Operation(_move, {"name": str, "zone": str}),
    "zone_type": Operation(_zone_type, {"name": str, "type": str}),
    "zone_max": Operation(_zone_max, {"name": str, "amps": NUMBER}),
    "set_reduction": Operation(_set_reduction, {"name": str}, {"amps": NUMBER, "seconds": NUMBER}),
    "station_online": Operation(_station_online, {"name": str, "online": bool}),
    "station_fault": Operation(_station_fault, {"name": str, "faulted": bool}),
}
