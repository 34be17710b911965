"""What is written down of commands: each point's newest state, and one piece of evidence per event (C10, C16).

Rules of this file: a state holds everything a restart needs and nothing a restart can read from the product; values
in evidence are JSON texts in the point's unit; a refusal that repeats word by word is written once a minute.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import Any

from gateway.core.delivery import Target
from gateway.core.lease import SAVED_EVERY, Stamp
from gateway.core.priority import Origin, Slot
from gateway.core.value import Value
from gateway.engine.joint import raw_of
from gateway.engine.ports import BootClock, Evidence, Journal
from gateway.engine.setpoint import Setpoint
from gateway.engine.supervision import PERSON_S, Supervision
from gateway.engine.table import PointTable

GATEWAY = Origin("gateway")
ALIVE = "gateway"
"""The key of the moment at which the gateway was last seen alive; points' keys hold slashes."""
REPEATED_REFUSAL_S = 60.0


class Ledger:
    """Writes states and evidence to the journal."""

    def __init__(self, table: PointTable, clock: BootClock, journal: Journal, supervision: Supervision) -> None:
        self._table, self._clock, self._journal, self._supervision = table, clock, journal, supervision
        self._saved: dict[Setpoint, float] = {}
        self._refusals: dict[Setpoint, tuple[object, float]] = {}

    @property
    def fault(self) -> str:
        """Why what was accepted is not on the disk, "" when it is."""
        return self._journal.fault

    async def commit(self, points: Collection[Setpoint], evidence: Sequence[Evidence]) -> None:
        """States and evidence onto the disk; returns when they are there, or when `fault` says why not."""
        await self._journal.commit({point.key: self.state(point) for point in points}, evidence)

    def note(self, points: Collection[Setpoint], *evidence: Evidence) -> None:
        """The same for what nobody waits for."""
        self._journal.note({point.key: self.state(point) for point in points}, evidence)

    def alive(self) -> None:
        """Saves the moment, so that the next start can tell how long the gateway was down."""
        self._journal.note({ALIVE: asdict(self.stamp())}, ())

    def stamp(self) -> Stamp:
        """This moment as every clock sees it."""
        clock = self._clock
        return Stamp(clock.boot_id(), clock.boottime(), clock.wall(), clock.synchronised())

    # -- states --------------------------------------------------------------------------------------------------

    def state(self, point: Setpoint) -> dict[str, Any] | None:
        """What a restart needs of one point, JSON-ready; None when there is nothing to remember."""
        self._saved[point] = self._clock.monotonic()
        slots = point.slots
        state: dict[str, Any] = {
            "slots": {str(number): self._slot(slot) for number, slot in slots.occupied},
            "lapsed": {str(number): self._slot(slot) for number, slot in slots.lapsed.items()},
            "released_by": {str(number): group for number, group in point.released_by.items()},
            "release": point.release_due,
        }
        if not any(state.values()):
            return None
        known = {"sent": _target(point.sent), "verified": _target(point.verified), "found": point.found}
        inherited = [*(point.inherited or ()), *self._under_way(point)]
        about = {"inherited": inherited, "name": point.label, "stamp": asdict(self.stamp())}
        return {**state, **known, **about}

    @staticmethod
    def _under_way(point: Setpoint) -> list[Value]:
        """Raw values that may be upstream before anybody notes it.

        Were they forgotten, a restart would take what it finds there for somebody else's limit, and not loosen it.
        """
        targets = (point.delivery.target, point.delivery.in_flight)
        raws = [raw_of(target, point) for target in targets if target is not None]
        raws += [point.raw(value) for value in point.committing if value is not None]
        return [raw for raw in raws if raw is not None]

    def _slot(self, slot: Slot) -> dict[str, Any]:
        """A slot with what is left of its lease and of its end, in seconds; None where there is none."""
        now = self._clock.monotonic()
        lease_left = self._supervision.lease_ends(slot) - now
        return {
            "value": slot.value,
            "origin": [slot.origin.protocol, slot.origin.client, slot.origin.user],
            "lease_left": None if math.isinf(lease_left) else lease_left,
            "until_left": None if slot.lease.until is None else slot.lease.until - now,
            "graced": slot.lease.graced,
            "failsafe": slot.failsafe,
            "dry": slot.dry,
        }

    def forget(self, point: Setpoint) -> None:
        """The point is no more."""
        self._saved.pop(point, None)
        self._refusals.pop(point, None)

    def stale(self, point: Setpoint) -> bool:
        """Whether the saved leases are a quarter of one old: what no clock could tell a restart is never more."""
        held = [slot.lease for _, slot in point.slots.occupied if not slot.failsafe]
        leases = [lease.length_s or PERSON_S for lease in held if lease.length_s or lease.until is not None]
        age_s = self._clock.monotonic() - self._saved.get(point, -math.inf)
        return bool(leases) and age_s >= min(leases) * SAVED_EVERY

    # -- evidence ------------------------------------------------------------------------------------------------

    def record(
        self,
        event: str,
        point: Setpoint,
        *,
        origin: Origin | None = None,
        slot: int = 0,
        old: Value | None = None,
        new: Value | None = None,
        answer: str = "",
    ) -> Evidence:
        """One event; `applied` is what the product was last seen to hold."""
        asker, applied = origin or self._asker(point), _text(self.applied(point))
        return Evidence(event, self._table.names[point.index], asker, slot, _text(old), _text(new), answer, applied)

    def applied(self, point: Setpoint) -> Value | None:
        """What the product was last seen to hold, None when it is not known."""
        return self._table.good_value(point.resource.indices[f"{point.spec.name}.applied"])

    def refused(self, point: Setpoint, origin: Origin, slot: int, value: Value | None, reason: str) -> None:
        """A refusal, unless the very same was written down less than a minute ago."""
        now, same = self._clock.monotonic(), (origin.group, slot, repr(value), reason)
        last, at = self._refusals.get(point, (None, -math.inf))
        if last == same and now - at < REPEATED_REFUSAL_S:
            return
        self._refusals[point] = (same, now)
        old = point.slots[slot] if point.slots.usable(slot) else None
        item = self.record(
            "refused", point, origin=origin, slot=slot, old=None if old is None else old.value, new=value, answer=reason
        )
        self._journal.note({}, (item,))

    @staticmethod
    def _asker(point: Setpoint) -> Origin:
        """Whose command is being carried out: the ruling slot's writer."""
        return point.slots.ruling.origin if point.slots.ruling is not None else GATEWAY


def _target(target: Target | None) -> list[Any] | None:
    return None if target is None else [target.raw, target.release]


def _text(value: Value | None) -> str:
    """The JSON text of a value, "" for none; NaN and infinity, which only a refusal holds, as words."""
    return "" if value is None else json.dumps(value)


__all__ = ["ALIVE", "GATEWAY", "Ledger"]
