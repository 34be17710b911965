"""The one arbiter: every protocol's writes are judged here, kept in one priority array per point, and delivered.

Rules of this file (DESIGN 5, COMMANDS): judged at once and all or nothing; what is accepted is visible at once, and
on the disk before it is answered or sent; absolute values only; nothing is sent before login, name resolution and a
first GET; only a read-back is proof.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from gateway.core.delivery import Target
from gateway.core.lease import GroupTerms
from gateway.core.patience import Uniform
from gateway.core.point import Factor
from gateway.core.priority import Origin, PriorityArray
from gateway.core.value import BAD, Sample, Value
from gateway.core.write_status import WriteStatus
from gateway.engine.alarms import Alarms
from gateway.engine.enrol import enrol
from gateway.engine.intake import Intake, ReadBack
from gateway.engine.joint import differs, join, part, reads, tighter, wanted
from gateway.engine.judge import Judge
from gateway.engine.keeper import Keeper, Write
from gateway.engine.ledger import Ledger
from gateway.engine.ports import Actions, Ask, BootClock, Journal, Source
from gateway.engine.receipt import receipt_samples
from gateway.engine.resource import Resource
from gateway.engine.sender import Relist, Sender
from gateway.engine.setpoint import Bounds, Limits, Policy, Setpoint
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
        self._watch, self._alarms = Watch(table, alarms), alarms
        self._sender = Sender(table, clock, self._points, lambda point: self._show([point]), self._ledger)
        self._judge = Judge(
            table, self._points, self._releases, self._supervision, self._ledger, lambda point: self._show([point])
        )
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
        """Takes on the commandable points of a resource that appeared, or has another name and its overrides now."""
        new: dict[str, Setpoint] = {}
        for spec in resource.kind.points.values():
            index = resource.indices[spec.name]
            if spec.command is None:
                continue
            point = enrol(
                spec,
                spec.command,
                resource,
                override=self._overrides.get(resource.label, Limits()),
                policy=self.policy,
                resolve=self._resolve,
                uniform=self._uniform,
            )
            known = self._points.get(index)
            if known is not None:
                self._renew(known, point)
                continue
            self._points[index] = point
            self._note(point)
            new[spec.name] = point
        join(new)
        for point in new.values():
            self._keeper.learn(point)
        self._show(list(new.values()))

    def _renew(self, known: Setpoint, point: Setpoint) -> None:
        """Another name, and so other overrides; what was asked stays."""
        known.floor, known.allow_stop = point.floor, point.allow_stop
        known.lease_s, known.on_loss = point.lease_s, point.on_loss

    def _note(self, point: Setpoint) -> None:
        """Which table indices concern a point."""
        resource, spec, command = point.resource, point.spec, point.command
        self._releases[resource.indices[f"{spec.name}.release"]] = point
        self._watched.setdefault(resource.indices[f"{spec.name}.applied"], []).append(point)
        for factor in (command.default, *(spec.range or ())):
            if factor is not None and factor.point is not None:
                self._watched.setdefault(resource.indices[factor.point], []).append(point)
        for factor in (spec.scale, spec.offset):
            if factor.point is not None:
                self._scaled.setdefault(resource.indices[factor.point], []).append(point)

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

    def bounds(self, index: int) -> Bounds:
        """What may be asked of a commandable point now."""
        return self._points[index].bounds

    def masked(self) -> list[str]:
        """Names of points where a lower slot is tighter than the winner (C03)."""
        return [self._table.names[p.index] for p in self._points.values() if p.slots.masked(p.limits_more)]

    def preview(self, index: int) -> str:
        """The request that a dry run does not send, in words: method, path and body."""
        return self._sender.preview(self._points[index])

    def in_failsafe(self) -> dict[str, dict[str, Any]]:
        """Which slots failsafe has (`lost`, also those that do not rule) and which slot `rules`, by point (C05)."""
        lost = {point: point.slots.lost for point in self._points.values()}
        return {
            self._table.names[point.index]: {"lost": numbers, "rules": point.slots.winner or None}
            for point, numbers in lost.items()
            if numbers
        }

    async def submit(self, asks: Sequence[Ask], origin: Origin) -> None:
        """Judges, accepts and shows writes, all or nothing; returns once they are on the disk (C16).

        Raises:
            CommandRejected: nothing was changed; the reason is in words.
        """
        actions = [ask for ask in asks if self._actions is not None and self._actions.owns(ask.index)]
        writes = self._judge.writes([ask for ask in asks if ask not in actions], origin)
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
        asked = {point: point.slots.value for point in changed}
        for point, value in asked.items():
            point.committing.append(value)
        if not changed:
            self._show(points)
            if any(point.committing for point in points):
                await self._ledger.commit((), ())  # what is repeated here is not on the disk yet
            return
        try:
            await self._ledger.commit(changed, evidence)
        finally:
            for point, value in asked.items():
                point.committing.remove(value)
                if point.committing:
                    self._aim(point, now, value)
            self._watch.persistence(self._ledger.fault)
            if any(point.unjudged for point in points):
                self._keeper.judge()
            self._moved(points)

    # -- what the product says -----------------------------------------------------------------------------------

    def read_back(self, read_back: ReadBack) -> None:
        """A GET showed what is in force: compare, and let waiting commands go (C07, C08, C09)."""
        point = self._points.get(read_back.resource.indices[read_back.point.name])
        if point is None:
            return
        now, delivery, before = self._clock.monotonic(), point.delivery, point.delivery.status
        basis = self._sender.basis(point)
        if basis is not None and basis[0] == read_back.reading.session:
            if delivery.is_ready and point.basis != basis:
                delivery.lost()
            self._keeper.observed(point)
            point.observed, point.basis, point.read = True, basis, read_back
            if all(member.basis == basis for member in point.peers):
                delivery.ready(now, min(read.reading.began for _, read in reads(point)))
        target, held = delivery.target, reads(point)
        if target is not None and held and delivery.is_ready:
            self._compare(point, target, held, now)
            self._keeper.settled(point, target, before)
            self._sender.log_status(point, before)
        self._show(point.peers)
        self._sender.wake([point])

    @staticmethod
    def _compare(point: Setpoint, target: Target, held: Sequence[tuple[Setpoint, ReadBack]], now: float) -> None:
        """Tells the delivery how what was read compares with the target, all members of a request as one."""
        what = differs(target, held)
        point.delivery.read_back(
            now,
            agrees=not what,
            what=what,
            loosens=any(member.loosens(part(target, member), read) for member, read in held),
            foreign=any(member.foreign(read) for member, read in held),
            began=min(read.reading.began for _, read in held),
        )

    def lost(self, source: str) -> None:
        """The source, its session or its names changed: nothing is sent until each value was read again."""
        changed = [point for point in self._points.values() if point.resource.source == source]
        for point in changed:
            point.observed, point.basis, point.read = False, None, None
            point.delivery.lost()
        self._show(changed)

    # -- sending -------------------------------------------------------------------------------------------------

    def _moved(self, points: Sequence[Setpoint]) -> None:
        """What these points ask for has changed: it is aimed at, shown and sent."""
        now = self._clock.monotonic()
        for point in points:
            if not point.committing:
                self._aim(point, now, point.slots.value)
        self._show(points)
        self._sender.wake(points)

    def _aim(self, point: Setpoint, now: float, value: Value | None) -> None:
        """Tells the delivery what shall be in force now: the winner that is on the disk."""
        point.aimed = value
        if any(member.unjudged for member in point.peers):
            return
        delivery, target = point.delivery, wanted(point)
        before, old = delivery.status, delivery.target
        if self.policy.dry_run:
            delivery.pretend()
            log.info("command.dry_run", point=self._table.names[point.index], would_send=self._sender.preview(point))
        elif target is None:
            return
        elif old is None and not delivery.is_ready and any(member.inherited is not None for member in point.peers):
            same = all(member.verified == part(target, member) for member in point.peers)
            delivery.restore(target, confirmed=same and not target.release)
        else:
            delivery.ask(target, now, tighter=tighter(old, target, point))
        self._sender.log_status(point, before)

    def foreign_limits(self) -> dict[str, Value | None]:
        """Name and applied value of every point with a limit that nobody asks for here."""
        found = {point: self._keeper.foreign(point) for point in self._points.values()}
        return {self._table.names[point.index]: value for point, value in found.items() if value is not None}

    @property
    def turns(self) -> int:
        """Counts on as long as `run` goes on."""
        return self._sender.turns

    async def run(self) -> None:
        """Delivers until cancelled; the leases of an earlier run go on from here."""
        self._keeper.start()
        await self._sender.run()

    def save(self) -> None:
        """Saves what is left of every lease, before the gateway stops."""
        self._keeper.save()

    # -- what is shown -------------------------------------------------------------------------------------------

    def slept(self, seconds: float) -> None:
        """The machine was suspended for so long: to the leases it is an outage of the gateway (FAULTS H08)."""
        self._keeper.slept(seconds)

    def tick(self) -> None:
        """Lets leases end and refreshes ages; call about once a second."""
        self._keeper.start()
        now = self._clock.monotonic()
        self._keeper.tick()
        held = [point for point in self._points.values() if point.accepted_at is not None or point.slots.ruling]
        for point in held:
            self._validity(point, now)
        self._show(held)

    def _validity(self, point: Setpoint, now: float) -> None:
        """What a product that forgets by itself may have forgotten is not shown as applied (C12)."""
        expired = point.delivery.expired(now)
        self._watch.validity(point, clockless=self._sender.clockless(point), expired=expired)
        applied = point.resource.indices[f"{point.spec.name}.applied"]
        if expired and self._table.sample(applied).quality < BAD:
            reason = "its end time has passed and it could not be read since"
            self._table.update([(applied, Sample(None, BAD, reason, now))])

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
                self._keeper.show_foreign(point)

    def deliveries(self) -> list[tuple[WriteStatus, float | None]]:
        """Status of every commandable point, and seconds since its newest command was accepted (None: never)."""
        now = self._clock.monotonic()
        return [
            (point.delivery.status, None if point.accepted_at is None else now - point.accepted_at)
            for point in self._points.values()
        ]

    def alarms(self) -> int:
        """How many alarms stand."""
        return len(self._alarms)
