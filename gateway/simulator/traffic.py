"""Cars that come and go. Each station draws from its own random sequence, so the same seed gives the same day."""

from collections.abc import Callable
from random import Random

from gateway.simulator.agenda import Agenda
from gateway.simulator.equipment import Station, Visit

PREPARING_S = 4.0
FINISHING_S = 15.0
ANCHOR_S = 15 * 60.0

Changed = Callable[[Station, float], None]
Ended = Callable[[Station, Visit, float], None]
Step = Callable[[Station, float], None]


def sequence(seed: int, serial: int) -> Random:
    """Returns the repeatable random sequence of one thing of one simulator."""
    return Random(f"{seed}/{serial}")  # noqa: S311


class Traffic:
    """Plans arrivals, full batteries and departures of the stations it was told about.

    `changed(station, now)` is called after every change, `ended(station, visit, now)` when a car stops charging.
    """

    def __init__(self, agenda: Agenda, *, seed: int, changed: Changed, ended: Ended | None = None) -> None:
        self._agenda = agenda
        self._seed = seed
        self._changed = changed
        self._ended = ended
        self._draws: dict[int, Random] = {}

    def open(self, station: Station, now: float, *, charging: bool, anchored: bool = False) -> None:
        """Starts the life of a station, in the middle of a charge or empty; an anchored car stays 15 minutes."""
        draw = self._draw(station)
        if not charging:
            self._later(station, now + draw.uniform(240, 900), self._arrive)
            return
        age = draw.uniform(60, 1800)
        wish_a = self._wish(station)
        station.visit = Visit(self._tag(station), 1, wish_a, now - age, "charging", 230 * wish_a * age / 3600)
        self._plan_end(station, now + (ANCHOR_S if anchored else 30.0))
        self._changed(station, now)

    def start(self, station: Station, now: float, *, connector: int, id_tag: str) -> None:
        """A car is there and starts, as after a remote start."""
        station.turn += 1
        station.visit = Visit(id_tag, connector, self._wish(station), now)
        self._later(station, now + PREPARING_S / 2, self._begin)
        self._changed(station, now)

    def stop(self, station: Station, now: float) -> None:
        """Ends the charge; the car drives away a little later."""
        if station.visit is None or station.visit.phase == "finishing":
            return
        station.turn += 1
        self._leave(station, now)

    def expel(self, station: Station, now: float) -> None:
        """Ends the visit at once, as when the station loses its supply."""
        station.turn += 1
        if station.visit is not None:
            self._finish(station, now)
            station.visit = None
        self._later(station, now + self._draw(station).uniform(240, 900), self._arrive)
        self._changed(station, now)

    def _draw(self, station: Station) -> Random:
        return self._draws.setdefault(station.serial, sequence(self._seed, station.serial))

    def _wish(self, station: Station) -> float:
        return self._draw(station).choice((10.0, 13.0, 16.0, 16.0, 20.0, 25.0, 32.0))

    def _tag(self, station: Station) -> str:
        return f"{self._draw(station).getrandbits(56):014X}"

    def _later(self, station: Station, due: float, step: Step) -> None:
        turn = station.turn

        def run(now: float) -> None:
            if station.turn == turn:
                step(station, now)

        self._agenda.at(due, run)

    def _arrive(self, station: Station, now: float) -> None:
        if not station.usable or 1 in station.inoperative:
            self._later(station, now + 120, self._arrive)
            return
        station.visit = Visit(self._tag(station), 1, self._wish(station), now)
        self._later(station, now + PREPARING_S, self._begin)
        self._changed(station, now)

    def _begin(self, station: Station, now: float) -> None:
        if station.visit is not None:
            station.visit.phase = "charging"
            self._plan_end(station, now)
            self._changed(station, now)

    def _plan_end(self, station: Station, earliest: float) -> None:
        draw = self._draw(station)
        leave = earliest + draw.uniform(300, 2400)
        if draw.random() < 0.4:
            self._later(station, earliest + (leave - earliest) * draw.uniform(0.5, 0.95), self._full)
        self._later(station, leave, self._leave)

    def _full(self, station: Station, now: float) -> None:
        if station.visit is not None:
            station.visit.phase = "full"
            self._changed(station, now)

    def _leave(self, station: Station, now: float) -> None:
        if station.visit is not None:
            self._finish(station, now)
            station.visit.phase = "finishing"
            self._later(station, now + FINISHING_S, self._gone)
            self._changed(station, now)

    def _finish(self, station: Station, now: float) -> None:
        station.settle(now)
        if self._ended is not None and station.visit is not None and station.visit.phase != "finishing":
            self._ended(station, station.visit, now)

    def _gone(self, station: Station, now: float) -> None:
        station.visit = None
        self._later(station, now + self._draw(station).uniform(180, 900), self._arrive)
        self._changed(station, now)
