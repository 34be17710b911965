"""What an EVCE site is made of: stations, zones and meters.

Currents are amperes per phase, power is W, energy is Wh, times are model seconds (`now`).
A station integrates its own energy in `settle`; whoever changes `target_a` settles it first.
Nobody outside the project publishes these structures; names follow `facts.md` section 3.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

NOMINAL_V = 230.0
RAMP_A_PER_S = 16.0
THIRD_PHASE = 0.995  # a real car never loads the three phases alike

Phases = tuple[float, float, float]
VisitPhase = Literal["preparing", "charging", "full", "finishing"]


@dataclass(slots=True)
class Visit:
    """One car at a connector, from plugging in to driving away."""

    id_tag: str
    connector: int
    wish_a: float
    started: float
    phase: VisitPhase = "preparing"
    energy_wh: float = 0.0


@dataclass(slots=True)
class Reduction:
    """The limit an operator or a BMS puts on a zone; `until_s` is an epoch second of the product's clock."""

    kind: Literal["none", "current"] = "none"
    value_a: float = 0.0
    until_s: float | None = None


@dataclass(eq=False, slots=True)
class Station:
    """One charging station with one EVSE and one or two connectors."""

    id: int
    serial: int
    name: str
    max_a: float = 32.0
    phases: int = 3
    priority: str = "standard"
    connectors: int = 1
    zone: "Zone | None" = None
    online: bool = True
    faulted: bool = False
    restarting: bool = False
    inoperative: set[int] = field(default_factory=set)
    firmware: str = "1.4.2"
    visit: Visit | None = None
    turn: int = 0
    setpoint_a: float = 0.0
    target_a: float = 0.0
    amps: float = 0.0
    energy_wh: float = 0.0
    settled: float = 0.0

    @property
    def load_factor(self) -> float:
        """Sum of the phase currents divided by the current of the first loaded phase."""
        return 2.0 + THIRD_PHASE if self.phases == 3 else 1.0

    @property
    def current_a(self) -> Phases:
        """Measured current of L1, L2, L3; a single-phase station loads the phase its number falls on."""
        if self.phases == 3:
            return (self.amps, self.amps, self.amps * THIRD_PHASE)
        place = self.serial % 3
        return (
            self.amps if place == 0 else 0.0,
            self.amps if place == 1 else 0.0,
            self.amps if place == 2 else 0.0,
        )

    @property
    def power_w(self) -> float:
        """Active power at 230 V and cos phi 1."""
        return self.amps * self.load_factor * NOMINAL_V

    @property
    def usable(self) -> bool:
        """Says whether a car could start here."""
        return self.online and not self.faulted and not self.restarting

    @property
    def transaction(self) -> Visit | None:
        """The car whose charge runs, suspended ones included."""
        return self.visit if self.visit is not None and self.visit.phase in ("charging", "full") else None

    @property
    def operative(self) -> bool:
        """Says whether at least one connector is switched to Operative."""
        return len(self.inoperative) < self.connectors

    @property
    def status(self) -> str:
        """OCPP 1.6 status of the station: that of its occupied connector, or of the first usable one."""
        if self.visit is not None:
            return self.connector_status(self.visit.connector)
        free = (number for number in range(1, self.connectors + 1) if number not in self.inoperative)
        return self.connector_status(next(free, 1))

    def connector_status(self, number: int) -> str:
        """OCPP 1.6 status of one connector."""
        if self.faulted:
            return "Faulted"
        if not self.usable:
            return "Unavailable"
        if self.visit is None or self.visit.connector != number:
            return "Unavailable" if number in self.inoperative else "Available"
        if self.visit.phase == "charging":
            return "Charging" if self.setpoint_a > 0 else "SuspendedEVSE"
        return {"preparing": "Preparing", "full": "SuspendedEV"}.get(self.visit.phase, "Finishing")

    def settle(self, now: float) -> None:
        """Moves the current towards its target and adds the energy since the last call."""
        span = now - self.settled
        if span <= 0:
            return
        self.settled = now
        start, gap = self.amps, self.target_a - self.amps
        if not gap and not start:
            return
        ramp_s = min(span, abs(gap) / RAMP_A_PER_S)
        self.amps = self.target_a if ramp_s < span else start + math.copysign(RAMP_A_PER_S * ramp_s, gap)
        ampere_s = (start + self.amps) / 2 * ramp_s + self.amps * (span - ramp_s)
        gained = ampere_s * self.load_factor * NOMINAL_V / 3600
        self.energy_wh += gained
        if self.visit is not None:
            self.visit.energy_wh += gained


@dataclass(eq=False, slots=True)
class Zone:
    """A group of stations behind one circuit breaker."""

    id: int
    name: str
    max_a: float
    kind: str = "current"
    stations: list[Station] = field(default_factory=list)
    reduction: Reduction = field(default_factory=Reduction)

    @property
    def limit_a(self) -> float:
        """The setpoint in force: the zone maximum or the reduction, whichever is lower."""
        return self.max_a if self.reduction.kind == "none" else min(self.max_a, self.reduction.value_a)

    @property
    def current_a(self) -> Phases:
        """Sum of the station currents per phase."""
        return phase_sums(self.stations)

    @property
    def power_w(self) -> float:
        """Sum of the station powers."""
        return sum(station.power_w for station in self.stations)

    @property
    def charging(self) -> int:
        """Number of stations in the status Charging."""
        return sum(station.status == "Charging" for station in self.stations)


@dataclass(eq=False, slots=True)
class Meter:
    """One power meter that EVCE reads over Modbus TCP; what it measures is decided by the site."""

    id: int
    name: str
    covers: "Zone | Literal['site', 'building']"
    base_wh: float = 0.0
    kind: str = "tcp"
    model: int = 3
    address: str = "192.168.0.201"
    port: int = 502
    frozen: "MeterReading | None" = None


@dataclass(frozen=True, slots=True)
class MeterReading:
    """What a meter shows: A and V (line to neutral) of L1..L3, W, Wh."""

    current_a: Phases
    voltage_v: Phases
    power_w: float
    energy_wh: float


def phase_sums(stations: "list[Station]") -> Phases:
    """Sums the currents of stations per phase in A."""
    one = two = three = 0.0
    for station in stations:
        if station.amps:
            first, second, third = station.current_a
            one, two, three = one + first, two + second, three + third
    return (one, two, three)
