"""What an earlier run was asked for, brought back and judged again (C10, C11, C13).

Rules of this file: nothing restored is trusted before today's access, range and floor have judged it; what fails
counts as a lease that ended, and is never kept; time that nobody can measure never lengthens a lease.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gateway.core.delivery import Target
from gateway.core.errors import CommandRejected
from gateway.core.lease import GRACE_S, Lease, Stamp, elapsed, left_after
from gateway.core.priority import Origin, Slot
from gateway.engine.ledger import ALIVE
from gateway.engine.setpoint import Policy, Setpoint
from gateway.engine.supervision import Supervision

Ended = tuple[int, Slot, str]
"""A slot that counts as lease ended, and why in words."""


class Restart:
    """The states of an earlier run, by key, and what they mean now."""

    def __init__(self, states: Mapping[str, Any], policy: Policy, supervision: Supervision, now: Stamp) -> None:
        alive = states.get(ALIVE)
        self._states = {key: state for key, state in states.items() if isinstance(state, dict) and "slots" in state}
        self._policy, self._supervision, self._now = policy, supervision, now
        self._restored: set[str] = set()
        moments = [state["stamp"] for state in self._states.values()] + ([alive] if alive else [])
        gaps = [gap for gap in (self._gap(moment) for moment in moments) if gap is not None]
        self.down_s = min(gaps, default=None)

    def _gap(self, stamp: Mapping[str, Any]) -> float | None:
        return elapsed(Stamp(**stamp), self._now)

    @property
    def too_long(self) -> str:
        """Since when the gateway was down longer than `max_downtime`, in words; "" when it was not, or nobody knows."""
        most = self._policy.max_downtime_s
        if not most or self.down_s is None or self.down_s <= most:
            return ""
        return f"the gateway was down for {self.down_s / 3600:.1f} h, longer than max_downtime"

    @property
    def forbids_dry_run(self) -> str:
        """Why dry run may not begin now, in words; "" when it may (C13)."""
        held = [state["name"] for state in self._states.values() if _in_earnest(state)]
        if not self._policy.dry_run or not held:
            return ""
        more = f" and {len(held) - 3} more" if len(held) > 3 else ""
        shown = ", ".join(held[:3]) + more
        return f"limits are set or being released ({shown}): release them first, then turn dry run on"

    # -- bringing back -------------------------------------------------------------------------------------------

    def restore(self, point: Setpoint, now: float) -> bool:
        """Puts a point's slots, marks and pending release back; returns whether there was anything.

        Once only: a point that a reload takes out and another brings back was empty when it went.
        """
        state = self._states.get(point.key)
        if state is None or point.key in self._restored:
            return False
        self._restored.add(point.key)
        for number, row in state["slots"].items():
            if row["dry"] <= self._policy.dry_run:
                point.slots.put(int(number), self._slot(point, row, state["stamp"], now))
        for number, row in state["lapsed"].items():
            if row["dry"] <= self._policy.dry_run:
                point.slots.lapse(int(number), self._slot(point, row, state["stamp"], now))
        point.released_by = {int(number): group for number, group in state["released_by"].items()}
        point.sent, point.verified = _target(state["sent"]), _target(state["verified"])
        point.found = state["found"]
        sent = [target.raw for target in (point.sent, point.verified) if target is not None]
        known = (*sent, point.found, *(state["inherited"] or ()))
        point.inherited = tuple(dict.fromkeys(raw for raw in known if raw is not None))
        point.unjudged = bool(point.slots.winner)
        point.release_due = bool(state["release"]) and not point.slots.winner
        return True

    def _slot(self, point: Setpoint, row: Mapping[str, Any], stamp: Mapping[str, Any], now: float) -> Slot:
        """A saved slot; what is left of its lease is what was left then, less the time that is known to have passed."""
        origin, gone_s, saved_s = Origin(*row["origin"]), self._gap(stamp), row["lease_left"]
        length_s, _ = self._supervision.terms(point, origin.group)
        left = length_s if saved_s is None else left_after(length_s, saved_s, gone_s)
        until = None if row["until_left"] is None else now + row["until_left"] - (gone_s or 0.0)
        lease = Lease(length_s, now + left - length_s, until, graced=row["graced"])
        return Slot(row["value"], origin, now, lease, row["failsafe"], row["dry"])

    def retune(self, policy: Policy) -> None:
        """Other terms, for what is restored from now on."""
        self._policy = policy

    def judge(self, point: Setpoint) -> list[Ended]:
        """The slots, restored or not, that the rules of now do not allow; the point must be `judgeable`."""
        failed = self._renumber(point)
        for number, slot in point.slots.occupied:
            if self._supervision.gone(slot.origin.group):
                failed.append((number, slot, f"{slot.origin.group} may not write any more"))
                continue
            try:
                point.slots.put(number, replace(slot, value=point.allowed(slot.value)))
            except CommandRejected as error:
                failed.append((number, slot, str(error)))
        point.unjudged = False
        return failed

    def _renumber(self, point: Setpoint) -> list[Ended]:
        """A group that writes at another slot now takes along what it holds: there it could never end it.

        Returns what it cannot take along, for somebody else holds that slot.
        """
        slots, slot_of, ended = point.slots, self._supervision.slot_of, list[Ended]()
        point.released_by = {slot_of(group) or number: group for number, group in point.released_by.items()}
        moving = [
            (number, slot, home, number in slots.lapsed)
            for number, slot in (*slots.occupied, *slots.lapsed.items())
            if (home := slot_of(slot.origin.group)) is not None and home != number
        ]
        for number, *_ in moving:
            slots.clear(number)
        for number, slot, home, lapsed in moving:
            holder = slots[home]
            if holder is not None and not lapsed:
                text = f"{slot.origin.group} writes at slot {home} now, which {holder.origin.group} holds"
                ended.append((number, slot, text))
            elif holder is None:
                (slots.lapse if lapsed else slots.put)(home, slot)
        return ended

    def resume(self, point: Setpoint, now: float) -> list[Ended]:
        """Starts the leases at READY, with one grace for a lease that ran out; returns the slots that have ended."""
        ended: list[Ended] = []
        for number, slot in point.slots.occupied:
            lease = slot.lease
            if slot.failsafe or not lease.length_s:
                continue
            if self.too_long:
                ended.append((number, slot, self.too_long))
            elif self._supervision.lease_ends(slot) > now:
                continue
            elif lease.graced:
                ended.append((number, slot, "its lease ended while the gateway was down"))
            else:
                grace = replace(lease, renewed=now + min(lease.length_s, GRACE_S) - lease.length_s, graced=True)
                point.slots.put(number, replace(slot, lease=grace))
        return ended


def _target(saved: Any) -> Target | None:
    return None if saved is None else Target(saved[0], release=saved[1])


def _in_earnest(state: Mapping[str, Any]) -> bool:
    rows = (*state["slots"].values(), *state["lapsed"].values())
    return bool(state["release"]) or any(not row["dry"] for row in rows)
