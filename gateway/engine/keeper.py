"""The slots of all points in time: what an accepted write does to them, how leases end, what a restart brings back.

Rules of this file: everything that changes a slot is written down with it; a refresh changes nothing but its lease;
a value that nobody asks for any more is released, and the release is owed until it is verified (C03..C06, C10, C11).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog

from gateway.core.delivery import Target, WriteStatus
from gateway.core.lease import Lease
from gateway.core.priority import Origin, Slot
from gateway.core.value import Value
from gateway.engine.joint import RELEASE, part
from gateway.engine.ledger import Ledger
from gateway.engine.ports import Clock, Evidence
from gateway.engine.resource import NOT_PRESENT
from gateway.engine.restart import Restart
from gateway.engine.setpoint import Policy, Setpoint
from gateway.engine.supervision import PEOPLE, Supervision
from gateway.engine.watch import Watch

ALIVE_S = 300.0
"""How often the moment is saved from which a downtime is counted; oftener if `max_downtime` is short."""
UNIT_CHANGED = "what it was asked in has another unit or other codes now"
log = structlog.get_logger("commands")


@dataclass(frozen=True, slots=True)
class Write:
    """A judged write: the value in the point's own type (None releases), for a slot, with the lease it begins."""

    point: Setpoint
    slot: int
    value: Value | None
    lease: Lease


class Keeper:
    """Keeps the slots; `moved` is called with points whose winner changed by itself."""

    def __init__(
        self,
        clock: Clock,
        policy: Policy,
        supervision: Supervision,
        ledger: Ledger,
        watch: Watch,
        *,
        restored: Mapping[str, Any],
        moved: Callable[[Sequence[Setpoint]], None],
    ) -> None:
        self._clock, self._policy, self._supervision = clock, policy, supervision
        self._ledger, self._watch, self._moved = ledger, watch, moved
        self._restart = Restart(restored, policy, supervision, ledger.stamp())
        self._held: dict[Setpoint, None] = {}
        self._unjudged: list[Setpoint] = []
        self._resuming: list[Setpoint] = []
        self._running: set[Setpoint] = set()
        self._is_connected = self._is_started = False
        self._alive_at = 0.0

    # -- a restart -----------------------------------------------------------------------------------------------

    @property
    def obstacle(self) -> str:
        """Why the gateway must not run as it is configured, "" when it may (C13)."""
        return self._restart.forbids_dry_run

    def learn(self, point: Setpoint) -> None:
        """A point has appeared: what an earlier run left of it comes back."""
        if self._restart.restore(point, self._clock.monotonic()):
            self._held[point] = None
            self._unjudged.append(point)
            if self._is_connected:
                self.judge()

    def judge(self) -> None:
        """Judges what was restored and can be judged now; the rest waits for its range (C10)."""
        self._is_connected = True
        ready = [point for point in self._unjudged if point.judgeable or not point.slots.winner]
        if not ready:
            return
        self._unjudged = [point for point in self._unjudged if point not in ready]
        for point in ready:
            for number, slot, reason in self._restart.judge(point):
                self._lapse(point, number, slot, reason, keep=False)
        self._moved(ready)
        self._resuming += [point for point in ready if point not in self._running]
        self._running -= set(ready)
        if self._is_started:
            self._resume()

    def start(self) -> None:
        """The gateway is READY: leases run on from here; again is fine."""
        if not self._is_started:
            self._is_started = True
            self._resume()

    def _resume(self) -> None:
        points, self._resuming = self._resuming, []
        for point in points:
            for number, slot, reason in self._restart.resume(point, self._clock.monotonic()):
                self._lapse(point, number, slot, reason)
            if self._restart.too_long and any(not slot.lease.length_s for _, slot in point.slots.occupied):
                self._watch.kept(point, self._restart.too_long)
        self._moved(points)

    def slept(self, seconds: float) -> None:
        """The machine was suspended: leases have run on, and one that ran out meanwhile has one grace (FAULTS H08)."""
        self._supervision.slept(seconds)
        self._restart.down_s = seconds
        for point in self._held:
            for number, slot in point.slots.occupied:
                point.slots.put(number, replace(slot, lease=slot.lease.earlier(seconds)))
        self._resuming += [point for point in self._held if point not in self._resuming and not point.unjudged]
        if self._is_started:
            self._resume()

    # -- a reload ------------------------------------------------------------------------------------------------

    def retune(self, policy: Policy) -> None:
        """Other terms from now on; `rejudge` brings them to what is held."""
        self._policy = policy
        self._restart.retune(policy)
        self._alive_at = 0.0

    def forget(self, point: Setpoint) -> None:
        """The point is no more."""
        self._held.pop(point, None)
        self._unjudged = [other for other in self._unjudged if other is not point]
        self._resuming = [other for other in self._resuming if other is not point]
        self._watch.forget(point)
        self._ledger.forget(point)

    def rejudge(self, points: Iterable[Setpoint], *, meaningless: Container[Setpoint]) -> None:
        """Slots under the rules of now, as after a restart: what fails counts as lease ended, and is not kept (C10).

        `meaningless` are points whose values meant something else (another unit, other codes) when they were asked.
        What was asked in dry run ends with it (C13).
        """
        for point in points:
            if not self._policy.dry_run:
                for number, slot in point.slots.occupied + list(point.slots.lapsed.items()):
                    if slot.dry:
                        point.slots.clear(number)
            if point in meaningless:
                failed = [(number, slot, UNIT_CHANGED) for number, slot in point.slots.occupied]
            elif point.judgeable:
                failed = self._restart.judge(point)
            else:
                failed = []
                self._postpone(point)
            for number, slot, reason in failed:
                self._lapse(point, number, slot, reason, keep=False)
            for number, slot in point.slots.occupied:
                lease = self._supervision.again(point, slot)
                if lease is not slot.lease:
                    point.slots.put(number, replace(slot, lease=lease))
                    self._held[point] = None
                    self._ledger.note([point])

    def _postpone(self, point: Setpoint) -> None:
        """Its range is not known under the rules of now: nothing is sent until it is; its leases have run on."""
        if point.slots.winner and not point.unjudged:
            point.unjudged = True
            self._unjudged.append(point)
            self._running.add(point)

    # -- accepted writes -----------------------------------------------------------------------------------------

    def accept(self, writes: Sequence[Write], origin: Origin, now: float) -> tuple[list[Setpoint], list[Evidence]]:
        """Brings judged writes into the slots; returns the points of which more than a lease changed, and evidence."""
        changed: dict[Setpoint, None] = {}
        evidence: list[Evidence] = []
        for write in writes:
            point = write.point
            self._held[point] = None
            point.accepted_at, point.error, point.error_text = now, 0, ""
            before = point.slots.value
            items = self._release(write, origin) if write.value is None else self._put(write, write.value, origin, now)
            if point.slots.value != before:
                point.inherited = None
            if items:
                changed[point] = None
                evidence += items
        return list(changed), evidence

    def _put(self, write: Write, value: Value, origin: Origin, now: float) -> list[Evidence]:
        point, number = write.point, write.slot
        held, was_idle = point.slots[number], point.delivery.target is None and not _holds_any(point)
        same = held is not None and (held.value, held.origin.group) == (value, origin.group) and not held.failsafe
        since = held.since if held is not None and same else now
        point.slots.put(number, Slot(value, origin, since, write.lease, dry=self._policy.dry_run))
        if same and write.lease.until is None:
            return []
        point.released_by.pop(number, None)
        point.release_due = False
        self._watch.accepted(point)
        old = None if held is None else held.value
        log.info("command.accepted", point=point.label, origin=str(origin), slot=number, old=old, new=value)
        answer = self._remark
        evidence = [
            self._ledger.record("accepted", point, origin=origin, slot=number, old=old, new=value, answer=answer)
        ]
        if was_idle and not self._policy.dry_run:
            for member in point.peers:
                member.found_due = True
                evidence += self._found(member)
        return evidence

    def _release(self, write: Write, origin: Origin) -> list[Evidence]:
        """Empties a slot; a release of what is empty counts once, so that a cycle of them lifts nothing (C06)."""
        point, number = write.point, write.slot
        held, lapsed = point.slots[number], point.slots.lapsed.get(number)
        foreign = self.foreign(point)
        repeated = point.released_by.get(number) == origin.group and origin.protocol not in PEOPLE
        if held is None and lapsed is None and repeated:
            self._watch.standing(point, origin)
            return []
        point.slots.clear(number)
        point.released_by[number] = origin.group
        self._owe_release(point)
        if foreign is not None and origin.protocol not in PEOPLE:
            self._watch.lifted(point, foreign, origin)
        old = None if held is None else held.value
        if held is not None or lapsed is not None or foreign is not None:
            log.info("command.accepted", point=point.label, origin=str(origin), slot=number, old=old, new="release")
        return [self._ledger.record("released", point, origin=origin, slot=number, old=old, answer=self._remark)]

    @property
    def _remark(self) -> str:
        """What evidence of an accepted command says besides: that nothing will be sent (C13)."""
        return "dry run" if self._policy.dry_run else ""

    def _owe_release(self, point: Setpoint) -> None:
        """All slots are empty: what is in force upstream, or may be, has to be released."""
        if _holds_any(point) or self._policy.dry_run:
            return
        asked = point.delivery.target is not None or bool(point.committing)  # it will be sent once it is on the disk
        may_be = asked or not point.observed or self.foreign(point) is not None
        point.release_due = point.release_due or may_be

    def foreign(self, point: Setpoint) -> Value | None:
        """A limit that is in force upstream and that no slot asks for.

        Of an earlier run, set by a person, or left under an id that an operator gave to another name.
        """
        applied = self._ledger.applied(point)
        if not _is_idle(point) or not point.observed or applied == point.default:
            return None
        return None if point.read is not None and point.agrees(RELEASE, point.read) else applied

    def show_foreign(self, point: Setpoint) -> None:
        """Tells of such a limit; while the product cannot be asked, what was seen last stands."""
        gone = point.resource.dismissed or point.resource.trouble == NOT_PRESENT
        seen = point.observed and self._ledger.applied(point) is not None
        if gone or seen or not _is_idle(point):
            self._watch.foreign(point, None if gone else self.foreign(point))

    # -- what stood upstream -------------------------------------------------------------------------------------

    def observed(self, point: Setpoint) -> None:
        """A value was read in the present session, before anything is sent in it."""
        if point.found_due and point.delivery.target is not None:
            items = self._found(point, first=True)
            if items:
                self._ledger.note([point], *items)

    def _found(self, point: Setpoint, *, first: bool = False) -> list[Evidence]:
        """What stood upstream when the first slot was taken; a release will not bring it back (C06)."""
        value, default = self._ledger.applied(point), point.default
        if value is None or not (first or point.observed):
            return []
        point.found_due, point.found = False, point.raw(value)
        if default is not None and point.limits_more(value, default):
            self._watch.found(point, value, default)
        return [self._ledger.record("found", point, new=value)]

    def settled(self, point: Setpoint, target: Target, before: WriteStatus) -> None:
        """A read-back was compared with the target: what that proves is written down."""
        status = point.delivery.status
        if point.delivery.target is None and target.release:
            for member in point.peers:
                self._withdrawn(member)
        elif status is not before and status in (WriteStatus.IN_FORCE, WriteStatus.OVERRIDDEN):
            verified = status is WriteStatus.IN_FORCE
            event, answer = ("verified", "") if verified else ("overridden", point.delivery.error)
            for member in point.peers:
                member.verified = part(target, member) if verified else member.verified
            asked = [member for member in point.peers if member.aimed is not None]
            record = self._ledger.record
            items = [record(event, m, slot=m.slots.winner, new=m.aimed, answer=answer) for m in asked]
            self._ledger.note(point.peers, *items)

    def _withdrawn(self, point: Setpoint) -> None:
        """The product holds no limit of ours any more."""
        was_due, point.release_due = point.release_due, False
        point.sent = point.verified = point.found = point.inherited = None
        self._watch.released(point)
        items = [self._ledger.record("verified", point, answer="no limit is in force")] if was_due else []
        self._ledger.note([point], *items)

    # -- time ----------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Ends what has ended, and saves leases that have moved on."""
        ended = []
        for point in list(self._held):
            due = [] if point.unjudged else self._supervision.due(point)
            for number, slot in due:
                self._end(point, number, slot)
            if due:
                ended.append(point)
            elif self._ledger.stale(point):
                self._ledger.note([point])
            if not point.slots.ruling and not point.release_due:
                del self._held[point]
        if ended:
            self._moved(ended)
        self._save_moment()
        self._watch.persistence(self._ledger.fault)

    def _save_moment(self) -> None:
        now, most = self._clock.monotonic(), self._policy.max_downtime_s
        if self._held and most and now >= self._alive_at:
            self._alive_at = now + min(ALIVE_S, most / 4)
            self._ledger.alive()

    def _end(self, point: Setpoint, number: int, slot: Slot) -> None:
        """A slot's lease or its writer's own end has come."""
        now = self._clock.monotonic()
        if slot.lease.until is None or slot.lease.until > now:
            lease_s = slot.lease.length_s
            self._lapse(point, number, slot, f"nothing was heard of {slot.origin.group} for {lease_s:g} s")
            return
        point.slots.clear(number)
        self._owe_release(point)
        log.info("command.ended", point=point.label, origin=str(slot.origin), slot=number, old=slot.value)
        record = self._ledger.record
        item = record("released", point, origin=slot.origin, slot=number, old=slot.value, answer="its time is over")
        self._ledger.note([point], item)

    def _lapse(self, point: Setpoint, number: int, slot: Slot, reason: str, *, keep: bool = True) -> None:
        """A writer is gone: `on_bms_loss` acts on its slot (C05)."""
        value = self._supervision.lapse(point, number, slot, keep=keep)
        self._owe_release(point)
        self._watch.lost(point, number, reason)
        shown = "release" if value is None else value
        log.warning("command.failsafe", point=point.label, slot=number, old=slot.value, new=shown, reason=reason)
        record = self._ledger.record
        item = record("failsafe", point, origin=slot.origin, slot=number, old=slot.value, new=value, answer=reason)
        self._ledger.note([point], item)

    def save(self) -> None:
        """Saves every lease and the moment, before the gateway stops."""
        if self._held:
            self._ledger.note(list(self._held))
            self._ledger.alive()


def _is_idle(point: Setpoint) -> bool:
    """Whether nothing is asked of a point, and nothing of what was is owed."""
    return not point.slots.winner and point.delivery.target is None and not point.release_due


def _holds_any(point: Setpoint) -> bool:
    """Whether something is asked of a point, or of one whose command leaves with its own."""
    return any(member.slots.winner for member in point.peers)
