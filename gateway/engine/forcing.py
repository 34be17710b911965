"""Points out of service: a value that a person puts in the place of a measured one, for checking what reads it.

Rules of this file (DESIGN 4): at most an hour, and never over a restart; only what is measured, so neither what is
commanded (C01) nor what a command depends on, in however many steps: a forced maximum must not loosen a limit; every
begin and end is evidence, and an alarm stands as long as a point is forced.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from gateway.core.errors import CommandRejected, Reject
from gateway.core.point import Factor, PointSpec
from gateway.core.priority import Origin
from gateway.core.value import LARGEST, OUT_OF_SERVICE, Value, ValueKind
from gateway.engine.alarms import Alarms
from gateway.engine.ports import Clock, Evidence, Journal
from gateway.engine.resource import Resource
from gateway.engine.table import PointTable

LONGEST_S = 3600.0
LONGEST_TEXT = 200
MOST = 100
TICK_S = 1.0
ALARM = "out of service"
GATEWAY = Origin("gateway")
log = structlog.get_logger("forcing")


@dataclass(frozen=True, slots=True)
class Forced:
    """One forced point: its value, who forced it, and until when (monotonic seconds)."""

    value: Value
    origin: Origin
    until: float


class Forcing:
    """Forces points and ends that in time; `find` gives the resource of a point by table index."""

    def __init__(
        self, table: PointTable, clock: Clock, journal: Journal, alarms: Alarms, find: Callable[[int], Resource | None]
    ) -> None:
        self._table, self._clock, self._journal, self._alarms, self._find = table, clock, journal, alarms, find
        self._forced: dict[int, Forced] = {}

    def __len__(self) -> int:
        return len(self._forced)

    def get(self, index: int) -> Forced | None:
        """What a point is forced to, None when it is not."""
        return self._forced.get(index)

    def all(self) -> dict[int, Forced]:
        """Every forced point by table index, the oldest first."""
        return dict(self._forced)

    def force(self, index: int, value: Value, seconds: float, origin: Origin) -> None:
        """Forces a point, or a forced one to another value.

        Raises:
            CommandRejected: it must not be forced, or not to this value, in words.
        """
        spec, name = self._table.specs[index], self._table.names[index]
        if why := self.obstacle(index):
            raise CommandRejected(Reject.NOT_WRITABLE, why)
        value = _of_kind(spec, value)
        if index not in self._forced and len(self._forced) >= MOST:
            raise CommandRejected(Reject.BUSY, f"{MOST} points are out of service already: release some first")
        seconds = min(seconds, LONGEST_S)
        old = self._table.good_value(index)
        self._forced[index] = Forced(value, origin, self._clock.monotonic() + seconds)
        self._table.force(index, value, f"{OUT_OF_SERVICE}forced by {origin.user or origin}, for at most an hour")
        log.warning("point.forced", point=name, value=value, seconds=seconds, user=origin.user)
        self._write_down("forced", index, origin, old, value, f"for {seconds:g} s")

    def release(self, index: int, origin: Origin, why: str = "") -> None:
        """Shows the measured value again; a point that is not forced is left as it is."""
        forced = self._forced.pop(index, None)
        if forced is None:
            return
        self._table.unforce(index)
        log.info("point.unforced", point=self._table.names[index], user=origin.user, reason=why)
        self._write_down("unforced", index, origin, forced.value, self._table.good_value(index), why)

    async def run(self) -> None:
        """Ticks each second until cancelled."""
        while True:
            self.tick()
            await asyncio.sleep(TICK_S)

    def tick(self) -> None:
        """Ends what has lasted long enough."""
        now = self._clock.monotonic()
        for index, forced in self.all().items():
            if now >= forced.until:
                self.release(index, GATEWAY, "its time is over")
            elif not self._table.is_forced(index):
                self.release(index, GATEWAY, "the point is another one now")
            elif why := self.obstacle(index):
                self.release(index, GATEWAY, why)  # a reload made it something that must not be forced

    def obstacle(self, index: int) -> str:
        """Why a point cannot be forced, in words; "" when it can."""
        spec = self._table.specs[index]
        if spec.command is not None or spec.writable:
            return "a point that can be written is not forced: write it"
        resource = self._find(index)
        if spec.builtin or resource is None or resource.indices.get(spec.name) != index:
            return "only what a product measures can be forced; this is made by the gateway"
        if spec.name in _used_by_readings(resource):
            return f"other values of {resource.label} are calculated with it: it is no value on its own"
        for behind in sorted(self._table.downstream(index)):
            owner = self._find(behind)
            if owner is not None and self._table.specs[behind].name in _used_by_commands(owner):
                return f"commands of {owner.label} depend on it: forcing it would change what is sent to the product"
        return ""

    def _write_down(
        self, event: str, index: int, origin: Origin, old: Value | None, new: Value | None, text: str
    ) -> None:
        name, texts = self._table.names[index], ["" if value is None else json.dumps(value) for value in (old, new)]
        self._journal.note({}, [Evidence(event, name, origin, old=texts[0], new=texts[1], answer=text)])
        names = [self._table.names[forced] for forced in self._forced]
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            self._alarms.set(ALARM, f"{names[0]}{more} out of service: a person forced the value that is served")
        else:
            self._alarms.clear(ALARM)


def _used_by_readings(resource: Resource) -> set[str]:
    """The points of a resource that measured values are multiplied with, or shifted by."""
    measured = (spec for spec in resource.kind.points.values() if spec.command is None)
    return {factor.point for spec in measured for factor in (spec.scale, spec.offset) if factor.point is not None}


def _used_by_commands(resource: Resource) -> set[str]:
    """The points of a resource whose values decide what may be asked and what is sent."""
    found: set[str] = set()
    for spec in resource.kind.points.values():
        if spec.command is None:
            continue
        factors: tuple[Factor | None, ...] = (spec.command.default, *(spec.range or ()), spec.scale, spec.offset)
        found |= {factor.point for factor in factors if factor is not None and factor.point is not None}
        found |= set(_named(spec.command.body)) | set(_named(spec.command.release))
    for action in resource.kind.actions.values():
        for body in action.codes.values():
            found |= set(_named(body))
    return found


def _named(body: object) -> list[str]:
    """The points that the placeholders `{point:NAME}` of a body name."""
    if isinstance(body, str):
        return [part.partition("}")[0] for part in body.split("{point:")[1:]]
    inner = body.values() if isinstance(body, dict) else body if isinstance(body, list) else ()
    return [name for part in inner for name in _named(part)]


def _of_kind(spec: PointSpec, value: Value) -> Value:
    """The value in the point's own type.

    Raises:
        CommandRejected: it is none.
    """
    match spec.kind:
        case ValueKind.BOOL if isinstance(value, bool) or value in (0, 1):
            return bool(value)
        case ValueKind.ENUM if isinstance(value, str) and value in spec.codes:
            return spec.codes[value]
        case ValueKind.ENUM if not isinstance(value, (str, bool)) and value in spec.codes.values():
            return int(value)
        case ValueKind.ENUM:
            raise CommandRejected(Reject.RANGE, f"the states are {', '.join(spec.codes)}")
        case ValueKind.STRING if isinstance(value, str) and len(value) <= LONGEST_TEXT:
            return value
        case ValueKind.NUMBER if isinstance(value, (int, float)) and not isinstance(value, bool):
            return _number(spec, value)
    needed = {ValueKind.BOOL: "0 or 1", ValueKind.NUMBER: "a number"}
    text = needed.get(spec.kind, f"a text of at most {LONGEST_TEXT} characters")
    raise CommandRejected(Reject.TYPE, f"{text} is needed")


def _number(spec: PointSpec, value: float) -> float:
    low, high = spec.limits or (-math.inf, math.inf)
    if abs(value) > LARGEST or not math.isfinite(value):
        raise CommandRejected(Reject.NOT_FINITE, "a finite number is needed")
    if not low <= value <= high:
        raise CommandRejected(Reject.RANGE, f"{value:g} does not fit its registers, {low:g}..{high:g}")
    return value
