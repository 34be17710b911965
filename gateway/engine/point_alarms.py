"""The alarms of points: detected, told to whoever listens, acknowledged, and kept over restarts.

Rules of this file: a state that was told is told again only when it changed, also over a restart; what an earlier run
left holds until the point was read again; nothing here knows a protocol.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gateway.core.alarm import AlarmSpec, Detector, Distrust, EventState, Reading, Transition, transition_to
from gateway.core.errors import AcknowledgedTooLate, AcknowledgeRefused
from gateway.core.point import Factor, PointSpec
from gateway.core.priority import Origin
from gateway.core.value import BAD, CONFIG_ERROR, GOOD, Sample, Value, ValueKind
from gateway.engine.alarms import Alarms
from gateway.engine.ports import Clock, Evidence, Journal
from gateway.engine.resource import Resource
from gateway.engine.table import NEVER, PointTable

LOOK_S = 0.5
UNREAD_S = 60.0
"""A point that is not read for so long after the start is a fault; before that the last run's state holds."""
LONGEST_TEXT = 200
WORDS = {
    EventState.NORMAL: "normal",
    EventState.FAULT: "fault",
    EventState.OFF_NORMAL: "off-normal",
    EventState.HIGH_LIMIT: "high limit",
    EventState.LOW_LIMIT: "low limit",
}


@dataclass(frozen=True, slots=True)
class ClassTerms:
    """A notification class as the engine needs it: which transitions want to be acknowledged, by Transition."""

    ack_required: tuple[bool, bool, bool] = (True, False, False)


DEFAULT_CLASSES: Mapping[int, ClassTerms] = {1: ClassTerms()}


@dataclass(eq=False, slots=True)
class PointAlarm:
    """One point's alarm.

    `acked`, `times` (Unix time, None: never) and `texts` are by Transition; `off_normal` is the state that the last
    change to off-normal led to; `told` is the state that listeners were last told.
    """

    index: int
    key: str
    label: str
    point: PointSpec
    spec: AlarmSpec
    notify: int
    bounds: Mapping[str, tuple[int | None, Factor]] = field(default_factory=dict)
    detector: Detector = field(default_factory=Detector)
    acked: list[bool] = field(default_factory=lambda: [True, True, True])
    times: list[float | None] = field(default_factory=lambda: [None, None, None])
    texts: list[str] = field(default_factory=lambda: ["", "", ""])
    off_normal: EventState = EventState.OFF_NORMAL
    told: EventState = EventState.NORMAL
    fault_from: float = 0.0
    looked_again: float = math.inf

    @property
    def state(self) -> EventState:
        """How the point is."""
        return self.detector.state

    @property
    def enabled(self) -> tuple[bool, bool, bool]:
        """Which changes are told, by Transition."""
        return True, self.spec.faults, True

    @property
    def open(self) -> bool:
        """Whether somebody has to look: not normal, or not acknowledged."""
        return self.state is not EventState.NORMAL or not all(self.acked)

    def last(self, transition: Transition) -> EventState:
        """The state that the last change of this kind led to."""
        if transition is Transition.TO_NORMAL:
            return EventState.NORMAL
        return EventState.FAULT if transition is Transition.TO_FAULT else self.off_normal


class Change(NamedTuple):
    """A change of state, or (`by` set) that one was acknowledged.

    `at` is Unix time; `text` says it in words; `told`: people are to be told of it; `value` is the point's then,
    `limit` the one it exceeded.
    """

    alarm: PointAlarm
    came_from: EventState
    to: EventState
    at: float
    text: str
    told: bool
    value: Value | None = None
    limit: float | None = None
    by: Origin | None = None


class PointAlarms:
    """All alarms of points.

    Args:
        table: the points; this subscribes to it.
        clock: delays by `monotonic`, time stamps by `wall`.
        journal: keeps states and acknowledgements.
        alarms: gets what stands and is no alarm of the gateway's own already.
        classes: notification classes; a point that names none has the first.
    """

    def __init__(
        self,
        table: PointTable,
        clock: Clock,
        journal: Journal,
        alarms: Alarms,
        classes: Mapping[int, ClassTerms] = DEFAULT_CLASSES,
    ) -> None:
        self._table, self._clock, self._journal, self._alarms = table, clock, journal, alarms
        self._classes = dict(classes) or dict(DEFAULT_CLASSES)
        self._restored = dict(journal.restored())
        self._started = clock.monotonic()
        self._by_point: dict[int, PointAlarm] = {}
        self._watching: dict[int, list[PointAlarm]] = {}
        self._waiting: dict[PointAlarm, None] = {}
        self._listeners: list[Callable[[Change], None]] = []
        table.subscribe(self._changed)

    def of(self, index: int) -> PointAlarm | None:
        """The alarm of a point, None if it has none."""
        return self._by_point.get(index)

    @property
    def open(self) -> list[PointAlarm]:
        """What stands or waits to be acknowledged."""
        return [alarm for alarm in self._by_point.values() if alarm.open]

    def ack_required(self, alarm: PointAlarm) -> tuple[bool, bool, bool]:
        """Which changes of an alarm want to be acknowledged, by Transition."""
        return self._classes.get(alarm.notify, ClassTerms()).ack_required

    def listen(self, listener: Callable[[Change], None]) -> None:
        """Calls `listener` with every change and every acknowledgement, in their order."""
        self._listeners.append(listener)

    def deaf(self, listener: Callable[[Change], None]) -> None:
        """Ends `listen`."""
        self._listeners.remove(listener)

    def learn(self, resource: Resource) -> None:
        """Takes the points of a resource that have alarms; again is fine, also under another name."""
        for name, index in resource.indices.items():
            point, known = self._table.specs[index], self._by_point.get(index)
            if point.alarm is None:
                if known is not None:
                    self._forget(known)
                continue
            if known is not None:
                known.label, known.point = resource.label, point
                if known.spec == point.alarm:
                    continue
            self._enrol(resource, name, index, point, point.alarm, known)

    def forget(self, indices: Iterable[int]) -> None:
        """These points are no more."""
        for index in indices:
            if index in self._by_point:
                self._forget(self._by_point[index])

    def retune(self, classes: Mapping[int, ClassTerms]) -> None:
        """Other notification classes from now on; what waits to be acknowledged still does."""
        self._classes = dict(classes) or dict(DEFAULT_CLASSES)
        for alarm in self._by_point.values():
            alarm.notify = self._class_of(alarm.spec)

    def _class_of(self, spec: AlarmSpec) -> int:
        return spec.notify if spec.notify in self._classes else next(iter(self._classes))

    def _forget(self, alarm: PointAlarm) -> None:
        """A reload took it away; should it come back, it goes on as it was."""
        del self._by_point[alarm.index]
        for watching in self._watching.values():
            if alarm in watching:
                watching.remove(alarm)
        self._waiting.pop(alarm, None)
        self._alarms.clear(alarm.key)
        self._restored[alarm.key] = _state(alarm)

    def _enrol(
        self, resource: Resource, name: str, index: int, point: PointSpec, spec: AlarmSpec, known: PointAlarm | None
    ) -> None:
        block = resource.name if resource.block is None else resource.block
        alarm = known or PointAlarm(
            index,
            f"alarm/{resource.source}/{resource.kind.name}/{block}/{name}",
            resource.label,
            point,
            spec,
            0,
        )
        alarm.point, alarm.spec = point, spec
        alarm.notify = self._class_of(spec)
        bounds = {"high": spec.high, "low": spec.low}
        alarm.bounds = {
            key: (resource.indices[bound.point] if bound.point else None, bound)
            for key, bound in bounds.items()
            if bound is not None
        }
        if known is None:
            self._restore(alarm)
            self._by_point[index] = alarm
            alarm.fault_from = self._started + UNREAD_S
        sources = {index, *(at for at, _ in alarm.bounds.values() if at is not None)}
        for source in sources:
            watching = self._watching.setdefault(source, [])
            if alarm not in watching:
                watching.append(alarm)
        self._show(alarm)
        self._look(alarm)

    # -- detecting -----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Looks at delays until cancelled."""
        while True:
            self.tick()
            await asyncio.sleep(LOOK_S)

    def tick(self) -> None:
        """Looks again at every alarm whose delay is over."""
        now = self._clock.monotonic()
        for alarm in [alarm for alarm in self._waiting if alarm.looked_again <= now]:
            self._look(alarm)

    def _changed(self, indices: Sequence[int]) -> None:
        watching = self._watching
        for index in indices:
            alarms = watching.get(index)
            if alarms is not None:
                for alarm in list(alarms):
                    self._look(alarm)

    def _look(self, alarm: PointAlarm) -> None:
        if self._table.is_retired(alarm.index):
            self._forget(alarm)
            return
        now, sample = self._clock.monotonic(), self._table.sample(alarm.index)
        alarm.looked_again = math.inf
        if sample.time == NEVER and now < alarm.fault_from:
            alarm.looked_again = alarm.fault_from
        else:
            reading = self._reading(alarm, sample)
            came_from = alarm.state
            while alarm.detector.look(alarm.spec, reading, now):
                self._move(alarm, came_from, reading, sample)
                came_from = alarm.state
            alarm.looked_again = alarm.detector.due
        if alarm.looked_again < math.inf:
            self._waiting[alarm] = None
        else:
            self._waiting.pop(alarm, None)

    def _reading(self, alarm: PointAlarm, sample: Sample) -> Reading:
        high, low = self.limit(alarm, "high"), self.limit(alarm, "low")
        return Reading(sample.value, _distrust(alarm.point, sample), high, low)

    def limit(self, alarm: PointAlarm, which: str) -> float | None:
        """An alarm's `high` or `low` limit as it is now, in the point's unit; None while there is none."""
        if which not in alarm.bounds:
            return None
        at, bound = alarm.bounds[which]
        if at is None:
            return bound.number
        value = self._table.good_value(at)
        return None if value is None or isinstance(value, str) else value * bound.by

    def _move(self, alarm: PointAlarm, came_from: EventState, reading: Reading, sample: Sample) -> None:
        """The state has changed: writes it down and tells it."""
        state, at = alarm.state, round(self._clock.wall(), 2)
        kind = transition_to(state)
        limits = {EventState.HIGH_LIMIT: reading.high, EventState.LOW_LIMIT: reading.low}
        left = reading.high if came_from is EventState.HIGH_LIMIT else reading.low
        limit = limits.get(state, left if state is EventState.NORMAL else None)
        if kind is Transition.TO_OFF_NORMAL:
            alarm.off_normal = state
        alarm.acked[kind] = not self.ack_required(alarm)[kind]
        alarm.times[kind], alarm.texts[kind] = at, _text(alarm, reading.value, limit, sample.reason)
        # Of a fault that nobody was told of the end is not told either: hundreds of points may share one outage.
        tell = alarm.enabled[kind] and not (state is EventState.NORMAL and alarm.told is EventState.NORMAL)
        if tell:
            alarm.told = state
        self._journal.note({alarm.key: _state(alarm)}, ())
        self._show(alarm)
        self._tell(Change(alarm, came_from, state, at, alarm.texts[kind], tell, reading.value, limit))

    def _tell(self, change: Change) -> None:
        for listener in self._listeners:
            listener(change)

    def _show(self, alarm: PointAlarm) -> None:
        """Off-normal states are what `status` calls alarms; a fault shows as the point's quality."""
        if alarm.spec.engine:
            return
        if alarm.state in (EventState.NORMAL, EventState.FAULT):
            self._alarms.clear(alarm.key)
        elif self._alarms.text(alarm.key) is None:
            self._alarms.set(alarm.key, alarm.texts[Transition.TO_OFF_NORMAL])

    # -- acknowledging -------------------------------------------------------------------------------------------

    async def acknowledge(self, alarm: PointAlarm, state: EventState, at: float, origin: Origin) -> None:
        """Somebody has seen the change to `state` at `at` (Unix time); returns once that is on the disk.

        One that is acknowledged already is fine.

        Raises:
            AcknowledgeRefused: no change led to this state; AcknowledgedTooLate: the last one was at another time.
        """
        kind = transition_to(state)
        if alarm.times[kind] is None or alarm.last(kind) is not state:
            raise AcknowledgeRefused(f"{alarm.label}/{alarm.point.name} was not {WORDS[state]}")
        if abs((alarm.times[kind] or 0.0) - at) > 0.005:
            raise AcknowledgedTooLate(f"{alarm.label}/{alarm.point.name} has changed since")
        if alarm.acked[kind]:
            return
        alarm.acked[kind] = True
        text = alarm.texts[kind]
        record = Evidence(
            "acknowledged", self._table.names[alarm.index], origin, old=WORDS[state], new="acknowledged", answer=text
        )
        await self._journal.commit({alarm.key: _state(alarm)}, (record,))
        self._tell(Change(alarm, state, state, round(self._clock.wall(), 2), text, alarm.enabled[kind], by=origin))

    # -- over a restart ------------------------------------------------------------------------------------------

    def _restore(self, alarm: PointAlarm) -> None:
        saved: Mapping[str, Any] | None = self._restored.get(alarm.key)
        if saved is None:
            return
        alarm.detector = Detector(EventState(saved["state"]))
        alarm.acked, alarm.times, alarm.texts = list(saved["acked"]), list(saved["times"]), list(saved["texts"])
        alarm.off_normal, alarm.told = EventState(saved["off_normal"]), EventState(saved["told"])


def _distrust(point: PointSpec, sample: Sample) -> Distrust:
    if sample.quality is CONFIG_ERROR:
        return Distrust.MISCONFIGURED
    if sample.quality is BAD and sample.reason.startswith("over-range"):
        return Distrust.OUT_OF_RANGE
    if sample.quality is not GOOD:
        return Distrust.NO_ANSWER
    return Distrust.UNKNOWN_STATE if point.kind is ValueKind.ENUM and sample.value == 0 else Distrust.NONE


def _state(alarm: PointAlarm) -> dict[str, Any]:
    """What a restart needs, JSON-ready."""
    return {
        "state": int(alarm.state),
        "told": int(alarm.told),
        "off_normal": int(alarm.off_normal),
        "acked": list(alarm.acked),
        "times": list(alarm.times),
        "texts": list(alarm.texts),
    }


def _text(alarm: PointAlarm, value: Value | None, limit: float | None, reason: str) -> str:
    """The present state in words, with the name as it is now."""
    point, state = alarm.point, alarm.state
    if state is EventState.FAULT:
        said = f"no reliable value: {reason}"
    elif state is EventState.NORMAL:
        said = f"back to normal, {_words(point, value)}"
    else:
        beyond = {EventState.HIGH_LIMIT: " is above ", EventState.LOW_LIMIT: " is below "}.get(state)
        said = _words(point, value) + (f"{beyond}{_words(point, limit)}" if beyond else "")
    text = f"{alarm.label}: {alarm.spec.text or point.description or point.name}: {said}"
    if not text.isprintable():
        text = "".join(char if char.isprintable() else "_" for char in text)
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 3] + "..."


def _words(point: PointSpec, value: Value | None) -> str:
    if value is None:
        return "no value"
    if point.kind is ValueKind.ENUM and not isinstance(value, str) and 1 <= value <= len(point.texts):
        return point.texts[int(value) - 1]
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:.4g} {point.unit}".strip() if isinstance(value, int | float) else value
