"""The one arbiter: every protocol's writes are judged here, kept in one priority array per point, and delivered.

Rules of this file (DESIGN 5, COMMANDS): judged at once and all or nothing; what is accepted is visible at once;
absolute values only; nothing is sent before login, name resolution and a first GET; only a read-back is proof.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import structlog

from gateway.core.delivery import Target, WriteStatus
from gateway.core.errors import CommandRejected, Reject
from gateway.core.point import CommandSpec, Factor, PointSpec
from gateway.core.priority import Origin, PriorityArray, Slot
from gateway.core.value import Value, shorten
from gateway.engine.intake import Intake, ReadBack
from gateway.engine.ports import Ask, Clock, Source
from gateway.engine.receipt import receipt_samples
from gateway.engine.resource import Resource
from gateway.engine.sender import Sender
from gateway.engine.setpoint import Limits, Policy, Setpoint
from gateway.engine.table import PointTable

log = structlog.get_logger("commands")


class CommandDesk:
    """All commandable points; implements `engine.ports.Commands`."""

    def __init__(
        self, table: PointTable, clock: Clock, policy: Policy, overrides: Mapping[str, Limits] | None = None
    ) -> None:
        self._table, self._clock, self.policy = table, clock, policy
        self._overrides = overrides or {}
        self._intake: Intake | None = None
        self._points: dict[int, Setpoint] = {}
        self._releases: dict[int, Setpoint] = {}
        self._watched: dict[int, list[Setpoint]] = {}
        self._scaled: dict[int, list[Setpoint]] = {}
        self._sender = Sender(table, clock, self._points, lambda point: self._show([point]))
        table.subscribe(self._on_table)

    def connect(self, intake: Intake, sources: Mapping[str, Source]) -> None:
        """Gives the desk the way upstream; called once, before run."""
        self._intake = intake
        self._sender.connect(intake, sources)

    def learn(self, resource: Resource) -> None:
        """Takes on the commandable points of a resource that has appeared; knowing it already is fine."""
        for spec in resource.kind.points.values():
            index = resource.indices[spec.name]
            if spec.command is None or index in self._points:
                continue
            point = self._setpoint(index, spec, spec.command, resource)
            self._points[index] = point
            self._releases[resource.indices[f"{spec.name}.release"]] = point
            self._watched.setdefault(resource.indices[f"{spec.name}.applied"], []).append(point)
            for factor in (spec.command.default, *(spec.range or ())):
                if factor is not None and factor.point is not None:
                    self._watched.setdefault(resource.indices[factor.point], []).append(point)
            for factor in (spec.scale, spec.offset):
                if factor.point is not None:
                    self._scaled.setdefault(resource.indices[factor.point], []).append(point)
            self._show([point])

    def _setpoint(self, index: int, spec: PointSpec, command: CommandSpec, resource: Resource) -> Setpoint:
        """Floor and stop come from the override, else the mapping, else the policy (whose floor is for A only)."""
        override = self._overrides.get(resource.label, Limits())
        general = self.policy.floor if spec.unit == "A" else None
        floor = next((f for f in (override.floor, command.floor, general) if f is not None), None)
        stops = (override.allow_stop, command.allow_stop, self.policy.allow_stop)
        return Setpoint(
            index=index,
            spec=spec,
            command=command,
            resource=resource,
            resolve=self._resolve,
            floor=floor,
            allow_stop=next(stop for stop in stops if stop is not None),
        )

    def _resolve(self, resource: Resource, factor: Factor | None) -> float | None:
        return self._intake.resolve(resource, factor, last=True) if self._intake is not None else None

    # -- what servers ask ----------------------------------------------------------------------------------------

    def slots(self, index: int) -> PriorityArray:
        """The priority array of a commandable point."""
        return self._points[index].slots

    def default(self, index: int) -> Value | None:
        """Relinquish_Default in the point's unit, None while the point it refers to has no value."""
        point = self._points[index]
        return point.default

    async def submit(self, asks: Sequence[Ask], origin: Origin) -> None:
        """Judges, accepts and shows writes, all or nothing.

        Raises:
            CommandRejected: nothing was changed; the reason is in words.
        """
        judged: list[tuple[Setpoint, Value | None, int]] = []
        for ask in asks:
            try:
                write = self._judge(ask)
            except CommandRejected as error:
                self._note_refusal(ask, origin, error)
                raise
            if write is not None:
                judged.append(write)
        now = self._clock.monotonic()
        for point, value, slot in judged:
            self._accept(point, value, slot, origin, now)
        points = list(dict.fromkeys(point for point, _, _ in judged))
        for point in points:
            self._aim(point, now)
        self._show(points)
        self._sender.wake()

    def _accept(self, point: Setpoint, value: Value | None, slot: int, origin: Origin, now: float) -> None:
        held = point.slots[slot]
        if value is None:
            point.slots.clear(slot)
        else:
            point.slots.put(slot, Slot(value, origin, now))
        point.accepted_at, point.error, point.error_text = now, 0, ""
        if (held and (held.value, held.origin)) == (value, origin) or (held is None and value is None):
            return
        log.info(
            "command.accepted",
            point=self._table.names[point.index],
            origin=str(origin),
            slot=slot,
            old=None if held is None else held.value,
            new="release" if value is None else value,
        )

    def _judge(self, ask: Ask) -> tuple[Setpoint, Value | None, int] | None:
        """The point, the value (None releases) and the slot; None for an ask that means nothing."""
        released = self._releases.get(ask.index)
        if not PriorityArray.usable(ask.slot):
            raise CommandRejected(Reject.SLOT, f"slot {ask.slot} cannot be written (1..16, not 6)")
        if released is not None:
            if ask.value not in (0, 1):
                raise CommandRejected(Reject.RANGE, "release takes 1")
            return (released, None, ask.slot) if ask.value else None
        point = self._points.get(ask.index)
        if point is None:
            raise CommandRejected(Reject.NOT_WRITABLE, "this point cannot be written")
        if ask.value is None:
            return point, None, ask.slot
        return point, point.judged(ask.value), ask.slot

    def _note_refusal(self, ask: Ask, origin: Origin, error: CommandRejected) -> None:
        name = self._table.names[ask.index]
        log.warning(
            "command.refused", point=name, origin=str(origin), slot=ask.slot, value=ask.value, reason=str(error)
        )
        point = self._points.get(ask.index) or self._releases.get(ask.index)
        if point is not None:
            point.error, point.error_text = int(error.reject), str(error)
            self._show([point])

    # -- what the product says -----------------------------------------------------------------------------------

    def read_back(self, read_back: ReadBack) -> None:
        """A GET showed what is in force: compare, and let waiting commands go (C07, C08, C09)."""
        resource, spec, reading = read_back.resource, read_back.point, read_back.reading
        point = self._points.get(resource.indices[spec.name])
        if point is None:
            return
        now, delivery, before = self._clock.monotonic(), point.delivery, point.delivery.status
        basis = self._sender.basis(point)
        if basis is not None and basis[0] == reading.session:
            if delivery.is_ready and point.basis != basis:
                delivery.lost()
            point.observed, point.basis = True, basis
            delivery.ready(now)
        target = delivery.target
        if target is not None and delivery.is_ready:
            agrees = point.agrees(target, read_back)
            what = "no limit in force upstream" if read_back.none else f"upstream says {shorten(read_back.raw)}"
            loosens = point.loosens(target, read_back)
            delivery.read_back(now, agrees=agrees, what=what, loosens=loosens, began=reading.began)
            self._sender.log_status(point, before)
        self._show([point])
        self._sender.wake()

    def lost(self, source: str) -> None:
        """The source, its session or its names changed: nothing is sent until each value was read again."""
        changed = [point for point in self._points.values() if point.resource.source == source]
        for point in changed:
            point.observed, point.basis = False, None
            point.delivery.lost()
        self._show(changed)

    # -- sending -------------------------------------------------------------------------------------------------

    def _aim(self, point: Setpoint, now: float) -> None:
        """Tells the delivery what shall be in force now."""
        value, delivery = point.slots.value, point.delivery
        before, old = delivery.status, delivery.target
        if self.policy.dry_run:
            delivery.pretend()
            log.info("command.dry_run", point=self._table.names[point.index], would_send=self._sender.preview(point))
        elif value is not None:
            raw = point.raw(value)
            if raw is not None:
                delivery.ask(Target(raw), now, tighter=point.is_tighter(old, raw))
        elif old is not None or not point.observed or self.foreign(point):
            delivery.ask(Target(None, release=True), now)
        self._sender.log_status(point, before)

    def foreign(self, point: Setpoint) -> bool:
        """Whether a limit is in force upstream that no slot asks for: left by an earlier run, or set by a person."""
        applied = self._table.good_value(point.resource.indices[f"{point.spec.name}.applied"])
        idle = not point.slots.winner and point.delivery.target is None
        return idle and point.observed and applied is not None and applied != point.default

    def foreign_limits(self) -> dict[str, Value | None]:
        """Name and applied value of every point with a limit that nobody asks for here."""
        applied = {p: p.resource.indices[f"{p.spec.name}.applied"] for p in self._points.values() if self.foreign(p)}
        return {self._table.names[point.index]: self._table.good_value(index) for point, index in applied.items()}

    async def run(self) -> None:
        """Delivers until cancelled."""
        await self._sender.run()

    # -- what is shown -------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Refreshes ages; call about once a second."""
        self._show([point for point in self._points.values() if point.accepted_at is not None])

    def _on_table(self, changed: Sequence[int]) -> None:
        """What a point's default, range or scale refers to has changed, or what is applied has."""
        scaled = {point.index: point for index in changed for point in self._scaled.get(index, ())}
        for point in scaled.values():
            if point.slots.winner:
                self._aim(point, self._clock.monotonic())
        shown = {point.index: point for index in changed for point in self._watched.get(index, ())}
        if shown:
            self._show(list(shown.values()))
        if scaled:
            self._sender.wake()

    def _show(self, points: Sequence[Setpoint]) -> None:
        """Writes the asked value and the receipt of each point into the table, in one step."""
        if points:
            now = self._clock.monotonic()
            self._table.update([row for point in points for row in receipt_samples(point, self._table, now)])

    def alarms(self) -> int:
        """Commands that are rejected or overridden upstream."""
        wrong = (WriteStatus.REJECTED, WriteStatus.OVERRIDDEN)
        return sum(point.delivery.status in wrong for point in self._points.values())
