"""The one arbiter: every protocol's writes are judged here, kept in one priority array per point, and delivered.

Rules of this file (DESIGN 5, COMMANDS): judged at once and all or nothing; what is accepted is visible at once, and
on the disk before it is answered or sent; absolute values only; nothing is sent before login, name resolution and a
first GET; only a read-back is proof.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import structlog

from gateway.core.delivery import Delivery, Target, Uniform, WriteStatus
from gateway.core.errors import CommandRejected, Reject
from gateway.core.lease import GroupTerms
from gateway.core.point import CommandSpec, Factor, PointSpec
from gateway.core.priority import Origin, PriorityArray
from gateway.core.value import Value, shorten
from gateway.engine.alarms import Alarms
from gateway.engine.intake import Intake, ReadBack
from gateway.engine.keeper import Keeper, Write
from gateway.engine.ledger import Ledger
from gateway.engine.ports import Actions, Ask, BootClock, Journal, Source
from gateway.engine.receipt import receipt_samples
from gateway.engine.resource import Resource
from gateway.engine.sender import Relist, Sender
from gateway.engine.setpoint import Limits, Policy, Setpoint
from gateway.engine.supervision import Supervision
from gateway.engine.table import PointTable
from gateway.engine.watch import Watch

log = structlog.get_logger("commands")


class CommandDesk:
    """All commandable points; implements `engine.ports.Commands`."""

    def __init__(
        self,
        table: PointTable,
        clock: BootClock,
        policy: Policy,
        overrides: Mapping[str, Limits] | None = None,
        *,
        groups: Mapping[str, GroupTerms] | None = None,
        journal: Journal,
        alarms: Alarms,
        actions: Actions | None = None,
        uniform: Uniform = random.uniform,
    ) -> None:
        self._table, self._clock, self.policy = table, clock, policy
        self._overrides, self._actions, self._uniform = overrides or {}, actions, uniform
        self._intake: Intake | None = None
        self._points: dict[int, Setpoint] = {}
        self._releases: dict[int, Setpoint] = {}
        self._watched: dict[int, list[Setpoint]] = {}
        self._scaled: dict[int, list[Setpoint]] = {}
        self._supervision = Supervision(clock, groups or {})
        self._ledger = Ledger(table, clock, journal, self._supervision)
        self._watch = Watch(table, alarms)
        self._sender = Sender(table, clock, self._points, lambda point: self._show([point]), self._ledger)
        self._keeper = Keeper(
            clock, policy, self._supervision, self._ledger, self._watch, restored=journal.restored(), moved=self._moved
        )
        table.subscribe(self._on_table)

    def connect(self, intake: Intake, sources: Mapping[str, Source], relist: Relist | None = None) -> None:
        """Gives the desk the way upstream, and judges what was restored; called once, before run."""
        self._intake = intake
        self._sender.connect(intake, sources, relist)
        self._keeper.judge()

    @property
    def obstacle(self) -> str:
        """Why the desk must not run as it is configured, in words; "" when it may (C13)."""
        return self._keeper.obstacle

    @property
    def fault(self) -> str:
        """Why what was accepted may be lost with the power, in words; "" when everything is on the disk (C16)."""
        return self._ledger.fault

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
            self._keeper.learn(point)
            self._show([point])

    def _setpoint(self, index: int, spec: PointSpec, command: CommandSpec, resource: Resource) -> Setpoint:
        """Limits come from the override, else the mapping, else the policy (whose floor is for A only)."""
        override, policy = self._overrides.get(resource.label, Limits()), self.policy
        floors = (override.floor, command.floor, policy.floor if spec.unit == "A" else None)
        stops = (override.allow_stop, command.allow_stop, policy.allow_stop)
        leases = (override.lease_s, command.lease_s, policy.lease_s)
        block = resource.name if resource.block is None else resource.block
        return Setpoint(
            index=index,
            spec=spec,
            command=command,
            resource=resource,
            resolve=self._resolve,
            floor=next((floor for floor in floors if floor is not None), None),
            allow_stop=next(stop for stop in stops if stop is not None),
            key=f"{resource.source}/{resource.kind.name}/{block}/{spec.name}",
            lease_s=next(lease for lease in leases if lease is not None),
            on_loss=override.on_loss or command.on_loss or policy.on_loss,
            read_only=policy.read_only,
            delivery=Delivery(
                on_conflict=command.on_conflict,
                valid_for_s=command.valid_for_s,
                uniform=self._uniform,
                **({} if command.gap_s is None else {"gap_s": command.gap_s}),
            ),
        )

    def _resolve(self, resource: Resource, factor: Factor | None) -> float | None:
        if factor is None or factor.point is None:
            return None if factor is None else factor.number
        return self._intake.resolve(resource, factor, last=True) if self._intake is not None else None

    # -- what servers ask ----------------------------------------------------------------------------------------

    def slots(self, index: int) -> PriorityArray:
        """The priority array of a commandable point."""
        return self._points[index].slots

    def heartbeat(self, group: str, value: int) -> None:
        """Takes a client group's heartbeat; only a change after the first value is a sign of life (C04)."""
        self._supervision.heartbeat(group, value)

    def heartbeat_of(self, group: str) -> tuple[int, float | None]:
        """The group's last value, 0 before any, and seconds since it changed, None before it did."""
        return self._supervision.heartbeat_of(group)

    def left_s(self, index: int, number: int) -> float | None:
        """Seconds until a slot of a commandable point ends, 0 in failsafe; None for never and for an empty slot."""
        slot = self._points[index].slots[number]
        left = None if slot is None else self._supervision.left_s(slot)
        return None if left is None or left == float("inf") else max(left, 0.0)

    def default(self, index: int) -> Value | None:
        """Relinquish_Default in the point's unit, None while the point it refers to has no value."""
        point = self._points[index]
        return point.default

    def masked(self) -> list[str]:
        """Names of points where a lower slot is tighter than the winner (C03)."""
        return [self._table.names[p.index] for p in self._points.values() if p.slots.masked(p.limits_more)]

    def in_failsafe(self) -> list[str]:
        """Names of points whose limit stands as failsafe left it (C05)."""
        ruling = ((self._table.names[point.index], point.slots.ruling) for point in self._points.values())
        return [name for name, slot in ruling if slot is not None and slot.failsafe]

    async def submit(self, asks: Sequence[Ask], origin: Origin) -> None:
        """Judges, accepts and shows writes, all or nothing; returns once they are on the disk (C16).

        Raises:
            CommandRejected: nothing was changed; the reason is in words.
        """
        actions = [ask for ask in asks if self._actions is not None and self._actions.owns(ask.index)]
        writes = self._judge_all([ask for ask in asks if ask not in actions], origin)
        if self._actions is not None:
            for ask in actions:
                self._actions.judge(ask, origin)
        if self._actions is not None and actions:
            await self._actions.accept(actions, origin)
        if writes:
            await self._accept(writes, origin)

    async def _accept(self, writes: Sequence[Write], origin: Origin) -> None:
        """In force here at once; upstream only after the commit, so that no restart finds what it does not know."""
        now = self._clock.monotonic()
        changed, evidence = self._keeper.accept(writes, origin, now)
        points = list(dict.fromkeys(write.point for write in writes))
        for point in changed:
            point.committing += 1
        if not changed:
            self._show(points)
            return
        try:
            await self._ledger.commit(changed, evidence)
        finally:
            for point in changed:
                point.committing -= 1
            self._watch.persistence(self._ledger.fault)
            self._moved(points)

    def _judge_all(self, asks: Sequence[Ask], origin: Origin) -> list[Write]:
        judged: list[Write] = []
        for ask in asks:
            try:
                write = self._judge(ask, origin)
            except CommandRejected as error:
                self._note_refusal(ask, origin, error)
                raise
            if write is not None:
                judged.append(write)
        return judged

    def _judge(self, ask: Ask, origin: Origin) -> Write | None:
        """What an ask means for which point; None for one that means nothing."""
        released = self._releases.get(ask.index)
        if not PriorityArray.usable(ask.slot):
            raise CommandRejected(Reject.SLOT, f"slot {ask.slot} cannot be written (1..16, not 6)")
        if released is not None and ask.value not in (0, 1):
            raise CommandRejected(Reject.RANGE, "release takes 1")
        if released is not None and not ask.value:
            return None
        point = released or self._points.get(ask.index)
        if point is None:
            raise CommandRejected(Reject.NOT_WRITABLE, "this point cannot be written")
        value = None if released is not None or ask.value is None else point.judged(ask.value)
        self._supervision.admit(point, ask.slot, origin)
        lease = self._supervision.lease(point, ask, origin)
        return Write(point, ask.slot, value, lease)

    def _note_refusal(self, ask: Ask, origin: Origin, error: CommandRejected) -> None:
        name = self._table.names[ask.index]
        log.warning(
            "command.refused", point=name, origin=str(origin), slot=ask.slot, value=ask.value, reason=str(error)
        )
        point = self._points.get(ask.index) or self._releases.get(ask.index)
        if point is not None:
            point.error, point.error_text = int(error.reject), str(error)
            self._ledger.refused(point, origin, ask.slot, ask.value, str(error))
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
            self._keeper.observed(point)
            point.observed, point.basis = True, basis
            delivery.ready(now)
        target = delivery.target
        if target is not None and delivery.is_ready:
            what = "no limit in force upstream" if read_back.none else f"upstream says {shorten(read_back.raw)}"
            delivery.read_back(
                now,
                agrees=point.agrees(target, read_back),
                what=what,
                loosens=point.loosens(target, read_back),
                foreign=point.foreign(read_back),
                began=reading.began,
            )
            self._keeper.settled(point, target, before)
            self._sender.log_status(point, before)
        self._show([point])
        self._sender.wake([point])

    def lost(self, source: str) -> None:
        """The source, its session or its names changed: nothing is sent until each value was read again."""
        changed = [point for point in self._points.values() if point.resource.source == source]
        for point in changed:
            point.observed, point.basis = False, None
            point.delivery.lost()
        self._show(changed)

    # -- sending -------------------------------------------------------------------------------------------------

    def _moved(self, points: Sequence[Setpoint]) -> None:
        """What these points ask for has changed: it is aimed at, shown and sent."""
        now = self._clock.monotonic()
        for point in points:
            self._aim(point, now)
        self._show(points)
        self._sender.wake(points)

    def _aim(self, point: Setpoint, now: float) -> None:
        """Tells the delivery what shall be in force now."""
        if point.committing or point.unjudged:
            return
        value, delivery = point.slots.value, point.delivery
        before, old = delivery.status, delivery.target
        if self.policy.dry_run:
            delivery.pretend()
            log.info("command.dry_run", point=self._table.names[point.index], would_send=self._sender.preview(point))
        elif value is not None:
            raw = point.raw(value)
            if raw is not None and old is None and point.inherited is not None:
                delivery.restore(Target(raw), confirmed=point.verified == Target(raw))
            elif raw is not None:
                delivery.ask(Target(raw), now, tighter=point.is_tighter(old, raw))
        elif point.release_due:
            delivery.ask(Target(None, release=True), now)
        self._sender.log_status(point, before)

    def foreign_limits(self) -> dict[str, Value | None]:
        """Name and applied value of every point with a limit that nobody asks for here."""
        found = {point: self._keeper.foreign(point) for point in self._points.values()}
        return {self._table.names[point.index]: value for point, value in found.items() if value is not None}

    async def run(self) -> None:
        """Delivers until cancelled; the leases of an earlier run go on from here."""
        self._keeper.start()
        await self._sender.run()

    def save(self) -> None:
        """Saves what is left of every lease, before the gateway stops."""
        self._keeper.save()

    # -- what is shown -------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Lets leases end and refreshes ages; call about once a second."""
        self._keeper.start()
        now = self._clock.monotonic()
        self._keeper.tick()
        held = [point for point in self._points.values() if point.accepted_at is not None or point.slots.ruling]
        for point in held:
            self._watch.validity(point, clockless=self._sender.clockless(point), expired=point.delivery.expired(now))
        self._show(held)

    def _on_table(self, changed: Sequence[int]) -> None:
        """What a point's default, range or scale refers to has changed, or what is applied has."""
        scaled = {point.index: point for index in changed for point in self._scaled.get(index, ())}
        shown = {point.index: point for index in changed for point in self._watched.get(index, ())}
        if any(point.unjudged for point in (*scaled.values(), *shown.values())):
            self._keeper.judge()
        self._moved([point for point in scaled.values() if point.slots.winner])
        if shown:
            self._show(list(shown.values()))

    def _show(self, points: Sequence[Setpoint]) -> None:
        """Writes the asked value and the receipt of each point into the table, in one step."""
        if points:
            now = self._clock.monotonic()
            rows = (row for p in points for row in receipt_samples(p, self._table, self._supervision, now))
            self._table.update(list(rows))
            for point in points:
                self._watch.command(point)

    def alarms(self) -> int:
        """Commands that are rejected or overridden upstream."""
        wrong = (WriteStatus.REJECTED, WriteStatus.OVERRIDDEN)
        return sum(point.delivery.status in wrong for point in self._points.values())
