"""The pure model of one Bender charge controller with one Type 2 outlet.

Currents are A per phase, energy Wh, durations s; member names of a transaction are assumed.
"""

from dataclasses import dataclass
from typing import Any

from gateway.simulator.agenda import Agenda
from gateway.simulator.charger_settings import FREE_CHARGING, OPERATOR_LIMIT, Settings
from gateway.simulator.equipment import Station, Visit
from gateway.simulator.exchange import iso_time
from gateway.simulator.traffic import Traffic, sequence

INSTALLATION_LIMIT_A = 32.0
_TYPE2 = {"Preparing": "b", "Charging": "c", "SuspendedEVSE": "b", "SuspendedEV": "b", "Finishing": "b"}
_SYSTEM = {"Charging": "charging", "Faulted": "error", "Unavailable": "out_of_service"}


@dataclass(frozen=True, slots=True)
class Transaction:
    """A completed charge: times in model seconds, energy in Wh."""

    id: int
    start: float
    end: float
    energy_wh: float
    id_tag: str


class Charger:
    """One charge point; a car is charging at the start for even seeds, none comes for minutes for odd ones."""

    def __init__(self, *, seed: int, now: float) -> None:
        self.now = now
        self.settings = Settings()
        self.completed: list[Transaction] = []
        self.messages: list[dict[str, str]] = []
        self.outlet = Station(1, 3 * seed + 1, "Charge point")
        self.outlet.settled = now
        self._agenda = Agenda()
        self._ambient = sequence(seed, 0).uniform(12.0, 26.0)
        self._traffic = Traffic(self._agenda, seed=seed, changed=self._changed, ended=self._ended)
        self._traffic.open(self.outlet, now, charging=seed % 2 == 0, anchored=True)
        self.outlet.amps = self.outlet.target_a

    @property
    def limit_a(self) -> float:
        """The limit in force: installation or operator, whichever is lower."""
        operator = self.settings.values[OPERATOR_LIMIT]
        return min(INSTALLATION_LIMIT_A, float(operator) if isinstance(operator, int) else INSTALLATION_LIMIT_A)

    @property
    def running(self) -> Visit | None:
        """The car whose transaction runs."""
        return self.outlet.transaction

    def advance(self, now: float) -> None:
        """Brings the model to `now`; a clock that runs backwards is ignored."""
        now = max(now, self.now)
        self._agenda.run_until(now)
        self.now = now
        self.outlet.settle(now)

    def write(self, values: dict[str, object]) -> None:
        """Writes checked settings; a lower operator limit lowers the current at once."""
        self.settings.values.update(values)
        self._changed(self.outlet, self.now)

    def plug(self, id_tag: str = "04A2B3C4D5E680") -> None:
        """A car arrives and starts; one that is there leaves."""
        self._traffic.expel(self.outlet, self.now)
        self._traffic.start(self.outlet, self.now, connector=1, id_tag=id_tag)

    def unplug(self) -> None:
        """The car stops and drives away a little later."""
        self._traffic.stop(self.outlet, self.now)

    def state(self, skew_s: float) -> dict[str, Any]:
        """GET /system_state; `skew_s` is how far the product's clock is ahead."""
        outlet, visit = self.outlet, self.outlet.visit
        status = outlet.status
        free = self.settings.values[FREE_CHARGING] is True
        connection = "no_vehicle_connected" if visit is None else "vehicle_connected_type2"
        state: dict[str, Any] = {
            "systemState": _SYSTEM.get(status, "idle"),
            "connectionState": "vehicle_charging_type2" if status == "Charging" else connection,
            "authState": "authorized_for_charging" if visit or free else "not_authorized_for_charging",
            "ocppState": status.lower(),
            "type2State": _TYPE2.get(status, "a"),
            "ambientTemp": round(self._ambient, 1),
        }
        running = self.running
        if running is not None:
            state["transaction"] = {
                "id": len(self.completed) + 1,
                "start": iso_time(running.started + skew_s, milliseconds=True),
                "energy_wh": int(running.energy_wh),
                "duration_s": int(self.now - running.started),
                "current_a": [round(amps, 1) for amps in outlet.current_a],
                "power_w": round(outlet.power_w),
            }
        return state

    def transactions(self, start: float, end: float) -> list[Transaction]:
        """Returns the completed transactions that ended between two model times."""
        return [done for done in self.completed if start <= done.end <= end]

    def _changed(self, outlet: Station, now: float) -> None:
        outlet.settle(now)
        visit = outlet.visit
        charging = visit is not None and visit.phase == "charging" and outlet.usable
        outlet.setpoint_a = self.limit_a if charging else 0.0
        outlet.target_a = min(visit.wish_a, self.limit_a) if visit is not None and charging else 0.0

    def _ended(self, outlet: Station, visit: Visit, now: float) -> None:
        if visit.phase in ("charging", "full"):
            done = Transaction(len(self.completed) + 1, visit.started, now, visit.energy_wh, visit.id_tag)
            self.completed.append(done)
