"""What a dialect is: how one firmware spells the resources. The rules behind are the same in all.

A dialect renders pure model objects into JSON values and parses bodies strictly, raising BadBodyError.
"""

from dataclasses import dataclass
from typing import Protocol

from gateway.simulator.commands import Arguments, Command
from gateway.simulator.equipment import Meter, Reduction, Station, Zone
from gateway.simulator.site import Site


@dataclass(frozen=True, slots=True)
class StationChange:
    """The members of a station that PUT may change; `max_a` in A."""

    name: str
    max_a: float
    phases: int
    priority: str


@dataclass(frozen=True, slots=True)
class ZoneChange:
    """The members of a zone that PUT may change; `max_a` in A."""

    name: str
    kind: str
    max_a: float


@dataclass(frozen=True, slots=True)
class MeterChange:
    """The members of a power meter that PUT may change."""

    name: str
    model: int
    address: str
    port: int


class Dialect(Protocol):
    """One spelling of EVCE's resources; `wall` is the product's epoch time in seconds."""

    def stations(self, site: Site) -> object:
        """GET /stations."""

    def station(self, station: Station) -> object:
        """GET /stations/{id}."""

    def statuses(self, site: Site) -> object:
        """GET /stations/statuses."""

    def status(self, station: Station, now: float) -> object:
        """GET /stations/{id}/status."""

    def zones(self, site: Site) -> object:
        """GET /em/zones."""

    def zone(self, zone: Zone) -> object:
        """GET /em/zones/{id}."""

    def zone_status(self, zone: Zone) -> object:
        """GET /em/zones/{id}/status."""

    def reduction(self, zone: Zone) -> object:
        """GET /em/zones/{id}/reduction."""

    def zone_stations(self, zone: Zone) -> object:
        """GET /em/zones/{id}/stations."""

    def meters(self, site: Site) -> object:
        """GET /pms."""

    def meter(self, meter: Meter) -> object:
        """GET /pms/{id}."""

    def meter_values(self, site: Site, meter: Meter, wall: float) -> object:
        """GET /pms/{id}/values."""

    def command(self, command: Command) -> object:
        """The answer to POST /stations/{id}/cmds/*."""

    def command_status(self, command: Command) -> object:
        """GET /stations/{id}/cmds/status/{cmd_id}."""

    def parse_passwd(self, body: object) -> tuple[str, str]:
        """POST /login/passwd: the old and the new password."""

    def parse_station(self, body: object, station: Station) -> StationChange:
        """PUT /stations/{id}."""

    def parse_zone(self, body: object, zone: Zone) -> ZoneChange:
        """PUT /em/zones/{id}."""

    def parse_meter(self, body: object, meter: Meter) -> MeterChange:
        """PUT /pms/{id}."""

    def parse_reduction(self, body: object, zone: Zone) -> Reduction:
        """PUT /em/zones/{id}/reduction."""

    def parse_command(self, name: str, body: object) -> Arguments:
        """The body of POST /stations/{id}/cmds/{name}, with OCPP spelling of the values."""
