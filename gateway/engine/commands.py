"""The one arbiter: every protocol's writes are judged here, kept in one priority array per point, and delivered.

Rules of this file (DESIGN 5, COMMANDS): judged at once and all or nothing; what is accepted is visible at once;
absolute values only; nothing is sent before login, name resolution and a first GET; only a read-back is proof.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from gateway.core.delivery import Action, Target, WriteStatus
from gateway.core.errors import Ambiguous, CommandRejected, Refused, Reject, SourceError
from gateway.core.point import CommandSpec, Factor, PointSpec
from gateway.core.priority import Origin, PriorityArray, Slot
from gateway.core.value import BAD, GOOD, Sample, Value
from gateway.engine.intake import Intake, ReadBack
from gateway.engine.inventory import Resource
from gateway.engine.ports import Ask, Clock, Source, WriteRequest
from gateway.engine.setpoint import Limits, Policy, Setpoint
from gateway.engine.table import PointTable

log = structlog.get_logger("commands")
IDLE_WAKE_S = 1.0


class CommandDesk:
    """All commandable points; implements `engine.ports.Commands`."""

    def __init__(
        self, table: PointTable, clock: Clock, policy: Policy, overrides: Mapping[str, Limits] | None = None
    ) -> None:
        self._table, self._clock, self.policy = table, clock, policy
        self._overrides = overrides or {}
        self._intake: Intake | None = None
        self._sources: dict[str, Source] = {}
        self._points: dict[int, Setpoint] = {}
        self._releases: dict[int, Setpoint] = {}
        self._wake = asyncio.Event()
        table.subscribe(self._on_table)
        self._defaults: dict[int, list[Setpoint]] = {}

    def connect(self, intake: Intake, sources: dict[str, Source]) -> None:
        """Gives the desk the way upstream; called once, before run."""
        self._intake, self._sources = intake, sources

    def learn(self, resource: Resource) -> None:
        """Takes on the commandable points of a resource that has appeared; knowing it already is fine."""
        for spec in resource.kind.points.values():
            index = resource.indices[spec.name]
            if spec.command is None or index in self._points:
                continue
            point = self._setpoint(index, spec, spec.command, resource)
            self._points[index] = point
            self._releases[resource.indices[f"{spec.name}.release"]] = point
            for factor in (spec.command.default, *(spec.range or ())):
                if factor is not None and factor.point is not None:
                    self._defaults.setdefault(resource.indices[factor.point], []).append(point)
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
        return self._intake.resolve(resource, factor) if self._intake is not None else None

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
                judged.append(self._judge(ask))
            except CommandRejected as error:
                self._note_refusal(ask, origin, error)
                raise
        now = self._clock.monotonic()
        for point, value, slot in judged:
            old = point.slots.value
            if value is None:
                point.slots.clear(slot)
            else:
                point.slots.put(slot, Slot(value, origin, now))
                point.requested = value
            point.accepted_at, point.error, point.error_text = now, 0, ""
            log.info(
                "command.accepted",
                point=self._table.names[point.index],
                origin=str(origin),
                slot=slot,
                old=old,
                new=value if value is not None else "release",
            )
            self._aim(point, now)
        self._show([point for point, _, _ in judged])
        self._wake.set()

    def _judge(self, ask: Ask) -> tuple[Setpoint, Value | None, int]:
        released = self._releases.get(ask.index)
        if not PriorityArray.usable(ask.slot):
            raise CommandRejected(Reject.SLOT, f"slot {ask.slot} cannot be written (1..16, not 6)")
        if released is not None:
            if ask.value not in (0, 1, False, True):
                raise CommandRejected(Reject.RANGE, "release takes 1")
            if ask.value:
                return released, None, ask.slot
            held = released.slots[ask.slot]
            return released, held.value if held else None, ask.slot
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
        resource, spec = read_back.resource, read_back.point
        point = self._points.get(resource.indices[spec.name])
        if point is None:
            return
        now = self._clock.monotonic()
        point.observed = True
        if resource.present and not resource.trouble:
            point.delivery.ready(now)
        target = point.delivery.target
        if target is not None:
            before = point.delivery.status
            agrees = point.agrees(target, read_back)
            what = "no limit in force upstream" if read_back.none else f"upstream says {read_back.raw}"
            point.delivery.read_back(now, agrees=agrees, what=what, loosens=point.loosens(target, read_back))
            self._log_status(point, before)
        self._show([point])
        self._wake.set()

    def lost(self, source: str) -> None:
        """The source, its session or its names changed: nothing is sent until each value was read again."""
        changed = [point for point in self._points.values() if point.resource.source == source]
        for point in changed:
            point.observed = False
            point.delivery.lost()
        self._show(changed)

    # -- sending -------------------------------------------------------------------------------------------------

    def _aim(self, point: Setpoint, now: float) -> None:
        """Tells the delivery what shall be in force now."""
        if self.policy.dry_run:
            point.delivery.status = WriteStatus.DRY_RUN
            value = point.slots.value
            log.info("command.dry_run", point=self._table.names[point.index], would_send=value or "release")
            return
        value = point.slots.value
        before = point.delivery.status
        if value is None:
            had = point.delivery.target
            if had is not None and not had.release:
                point.delivery.ask(Target(None, release=True), now)
        else:
            old = point.delivery.target
            raw = point.raw(value)
            point.delivery.ask(Target(raw), now, tighter=point.is_tighter(old, raw))
        self._log_status(point, before)

    async def run(self) -> None:
        """Delivers until cancelled; a TaskGroup of its own holds what is in flight."""
        async with asyncio.TaskGroup() as group:
            while True:
                now = self._clock.monotonic()
                wake_at = now + IDLE_WAKE_S
                for point in self._points.values():
                    while (action := point.delivery.next_action(now)) is not None:
                        group.create_task(self._put(point) if action is Action.PUT else self._get(point))
                        if action is Action.PUT:
                            self._show([point])
                    due = point.delivery.wake_at()
                    wake_at = min(wake_at, due if due is not None else wake_at)
                self._wake.clear()
                try:
                    await asyncio.wait_for(self._wake.wait(), max(0.0, wake_at - self._clock.monotonic()))
                except TimeoutError:
                    continue

    async def _put(self, point: Setpoint) -> None:
        target = point.delivery.target
        if target is None:
            return
        name = self._table.names[point.index]
        before = point.delivery.status
        try:
            answer = await self._sources[point.resource.source].write(self._request(point, target))
        except Ambiguous as error:
            point.delivery.put_done(self._clock.monotonic(), certain=False)
            point.error, point.error_text = int(Reject.UPSTREAM), str(error)
            log.warning("command.unknown", point=name, raw=target.raw, reason=str(error))
        except SourceError as error:
            now = self._clock.monotonic()
            refused = isinstance(error, Refused) and error.status in (400, 403, 404, 409, 422)
            point.error, point.error_text = int(Reject.UPSTREAM), str(error)
            if refused:
                point.delivery.put_refused(str(error))
            else:
                point.delivery.put_failed(now, str(error))
            log.warning("command.failed", point=name, raw=target.raw, refused=refused, reason=str(error))
        else:
            point.delivery.put_done(self._clock.monotonic(), certain=True)
            log.info("command.sent", point=name, raw="release" if target.release else target.raw, answer=answer)
        self._log_status(point, before)
        self._show([point])
        self._wake.set()

    def _request(self, point: Setpoint, target: Target) -> WriteRequest:
        values: dict[str, Value] = {}
        default = point.default
        if default is not None:
            values["default"] = point.raw(default)
        if target.raw is not None:
            values["value"] = target.raw
        for name, index in point.resource.indices.items():
            value = self._table.good_value(index)
            if value is not None:
                values[f"point:{name}"] = value
        return WriteRequest(point.command, target.release, point.resource.path_values, values)

    async def _get(self, point: Setpoint) -> None:
        """Reads the point's own value back; a failed GET leaves it to the next one."""
        read_name = point.spec.read
        if read_name is None or self._intake is None:
            return
        read = point.resource.kind.reads[read_name]
        source = self._sources[point.resource.source]
        try:
            if read.is_bulk:
                document = (await source.read_bulk(read)).get(point.resource.id or "")
            else:
                document = await source.read(read, point.resource.path_values)
        except SourceError as error:
            log.info("command.read_back_failed", point=self._table.names[point.index], reason=str(error))
            return
        self._intake.take(read_name, [(point.resource, document)])

    # -- what is shown -------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Refreshes ages; call about once a second."""
        self._show([point for point in self._points.values() if point.accepted_at is not None])

    def _on_table(self, changed: Sequence[int]) -> None:
        """A zone maximum that a default refers to has changed, or what is applied has."""
        shown: dict[int, Setpoint] = {}
        for index in changed:
            for point in self._defaults.get(index, ()):
                shown[point.index] = point
        if shown:
            self._show(list(shown.values()))

    def _show(self, points: Sequence[Setpoint]) -> None:
        """Writes the asked value and the receipt of each point into the table."""
        if not points:
            return
        now = self._clock.monotonic()
        batch: list[tuple[int, Sample]] = []
        for point in points:
            indices, name = point.resource.indices, point.spec.name
            asked = point.slots.value if point.slots.winner else point.default
            applied = self._table.sample(indices[f"{name}.applied"])
            if asked is None:
                batch.append((point.index, Sample(None, BAD, "its default is not known yet", now)))
            else:
                batch.append((point.index, Sample(asked, applied.quality, applied.reason, applied.time)))
            error = point.delivery.error or point.error_text
            age = None if point.accepted_at is None else int(now - point.accepted_at)
            receipt: dict[str, Value | None] = {
                "requested": point.requested,
                "write_status": int(point.delivery.status),
                "authority": int(point.authority),
                "winner": point.slots.winner,
                "lease_left_s": None,
                "age_s": age,
                "release": False,
                "error": point.error or (int(Reject.UPSTREAM) if error else 0),
                "error_text": error,
            }
            batch += [(indices[f"{name}.{key}"], Sample(value, GOOD, "", now)) for key, value in receipt.items()]
        self._table.update(batch)

    def alarms(self) -> int:
        """Commands that are rejected or overridden upstream."""
        wrong = (WriteStatus.REJECTED, WriteStatus.OVERRIDDEN)
        return sum(point.delivery.status in wrong for point in self._points.values())

    def _log_status(self, point: Setpoint, before: WriteStatus) -> None:
        status = point.delivery.status
        if status is not before and status in (WriteStatus.IN_FORCE, WriteStatus.OVERRIDDEN, WriteStatus.IDLE):
            name = self._table.names[point.index]
            log.info("command.status", point=name, status=status.name.lower(), reason=point.delivery.error)
