"""The EVCE simulator: the product model behind HTTPS."""

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Literal

from gateway.simulator.equipment import Station, Zone
from gateway.simulator.evce_operations import EVCE_OPERATIONS
from gateway.simulator.evce_product import BASE, EvceProduct
from gateway.simulator.exchange import Answer, Request
from gateway.simulator.operations import carry_out
from gateway.simulator.sessions import Accounts
from gateway.simulator.shell import Simulator
from gateway.simulator.site import Site


class EvceSimulator(Simulator):
    """One simulated EVCE; `site` is the model, `received` every write request in order.

    Args:
        host: address to listen on.
        port: TCP port, 0 for a free one.
        dialect: spelling of the resources, see `dialect_desc` and `dialect_nested`.
        stations: number of charging stations.
        zones: number of zones the stations are spread over.
        meters: number of power meters; the first one measures the whole site.
        username: login of the BMS user.
        password: its password.
        second_login: what a login does while the user is connected.
        seed: the same seed gives the same cars.
        clock: epoch seconds; tests inject their own.
        tls: off serves plain HTTP.
    """

    base = BASE
    kind = "evce"

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        dialect: Literal["desc", "nested"] = "desc",
        stations: int = 12,
        zones: int = 3,
        meters: int = 2,
        username: str = "bms",
        password: str = "Charging-2026!",  # noqa: S107
        second_login: Literal["replace", "refuse"] = "replace",
        seed: int = 1,
        clock: Callable[[], float] = time.time,
        tls: bool = True,
    ) -> None:
        super().__init__(host=host, port=port, clock=clock, tls=tls)
        self.accounts = Accounts(username, password, second_login)
        model = Site(stations=stations, zones=zones, meters=meters, seed=seed, now=clock())
        self.product = EvceProduct(model, self.accounts, dialect)
        self.dialect = dialect

    @property
    def site(self) -> Site:
        """The model, brought to the clock's time."""
        self.advance()
        return self.product.site

    def advance(self) -> None:
        """Brings the model to the clock's time."""
        self.product.site.advance(self.clock())

    def answer(self, request: Request) -> Answer:
        """Answers one request as EVCE does."""
        return self.product.handle(request, self.clock(), self.wall)

    def ignoring_writes(self, request: Request) -> Answer:
        """Answers like `answer`, with every PUT accepted and forgotten."""
        self.product.apply_writes = False
        try:
            return self.answer(request)
        finally:
            self.product.apply_writes = True

    async def do(self, op: str, /, **parameters: Any) -> dict[str, Any]:
        """Carries out an operation of `evce_operations`; OperationError with a sentence if it cannot."""
        self.advance()
        return await carry_out(EVCE_OPERATIONS, self, op, parameters)

    def truth(self) -> dict[str, Any]:
        """Returns names, ids and measured values in A, W, Wh, and who is logged in."""
        site, session = self.site, self.accounts.session
        return {
            "kind": self.kind,
            "dialect": self.dialect,
            "time": site.now,
            "clock_offset_s": self.clock_offset_s,
            "session": session and {"jti": session.jti, "expires": session.expires, "person": session.person},
            "blocked": self.accounts.blocked,
            "stations": [_station_truth(station) for station in site.stations.values()],
            "zones": [_zone_truth(zone) for zone in site.zones.values()],
            "meters": [
                {"id": meter.id, "name": meter.name, "frozen": meter.frozen is not None, **asdict(site.reading(meter))}
                for meter in site.meters.values()
            ],
        }


def _station_truth(station: Station) -> dict[str, Any]:
    return {
        "id": station.id,
        "name": station.name,
        "zone": station.zone.name if station.zone else None,
        "status": station.status,
        "online": station.online,
        "current_a": station.current_a,
        "setpoint_a": station.setpoint_a,
        "power_w": station.power_w,
        "energy_wh": station.energy_wh,
    }


def _zone_truth(zone: Zone) -> dict[str, Any]:
    return {
        "id": zone.id,
        "name": zone.name,
        "type": zone.kind,
        "max_a": zone.max_a,
        "limit_a": zone.limit_a,
        "reduction": asdict(zone.reduction),
        "current_a": zone.current_a,
        "power_w": zone.power_w,
        "charging": zone.charging,
        "stations": len(zone.stations),
    }
