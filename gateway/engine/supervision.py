"""Whether the writers of commands still live: heartbeats, leases, and what replaces the value of one that is gone.

Rules of this file (C03..C05): a lease belongs to a slot and to its last accepted writer; a group that must give a
heartbeat lives by that alone; failsafe ends by a write, and where a heartbeat is due, by a heartbeat and then a write.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from gateway.core.errors import CommandRejected, Reject
from gateway.core.lease import GroupTerms, Lease, Loss
from gateway.core.priority import Origin, Slot
from gateway.core.value import Value
from gateway.engine.ports import Ask, Clock
from gateway.engine.setpoint import Setpoint

RETURN_S = 60.0
"""How soon after a heartbeat a write must come to end failsafe."""
PERSON_S = 3600.0
"""When a value ends that a person wrote and gave no end."""
LONGEST_S = 10 * 365 * 86400.0
"""The latest end that a person may give."""
PEOPLE = frozenset({"cli", "page"})
NOTHING_SAID = GroupTerms()


@dataclass(slots=True)
class Pulse:
    """A group's last heartbeat and when it last changed (monotonic); the first value after start is no change."""

    value: int
    changed: float | None = None


class Supervision:
    """Judges the life of every client group and of every slot's lease."""

    def __init__(self, clock: Clock, groups: Mapping[str, GroupTerms]) -> None:
        self._clock, self._groups, self._before = clock, groups, groups
        self._pulses: dict[str, Pulse] = {}

    def retune(self, groups: Mapping[str, GroupTerms]) -> None:
        """Other client groups, or other terms for them; the signs of life that were given count on."""
        self._before, self._groups = self._groups, groups

    def again(self, point: Setpoint, slot: Slot) -> Lease:
        """A held slot's lease under the terms of now, once after `retune`.

        What is left of it never grows before another sign of life, and never shrinks because another kind of sign
        counts now; a lease that is new is whole.
        """
        group = slot.origin.group
        length_s, _ = self.terms(point, group)
        before, after = (groups.get(group, NOTHING_SAID).heartbeat for groups in (self._before, self._groups))
        if slot.failsafe or (length_s, after) == (slot.lease.length_s, before):
            return slot.lease
        now = self._clock.monotonic()
        left = min(slot.lease.ends(self._pulsed(group) if before else None) - now, length_s)
        return replace(slot.lease, length_s=length_s, renewed=now + left - length_s, deaf_until=now)

    # -- signs of life -------------------------------------------------------------------------------------------

    def heartbeat(self, group: str, value: int) -> None:
        """Takes a client group's heartbeat (C04)."""
        pulse = self._pulses.get(group)
        if pulse is None:
            self._pulses[group] = Pulse(value)
        elif pulse.value != value:
            pulse.value, pulse.changed = value, self._clock.monotonic()

    def heartbeat_of(self, group: str) -> tuple[int, float | None]:
        """The group's last value, 0 before any, and seconds since it changed, None before it did."""
        pulse = self._pulses.get(group, Pulse(0))
        return pulse.value, None if pulse.changed is None else self._clock.monotonic() - pulse.changed

    def slept(self, seconds: float) -> None:
        """The machine was suspended: the last signs of life are so much older."""
        for pulse in self._pulses.values():
            if pulse.changed is not None:
                pulse.changed -= seconds

    def gone(self, group: str) -> bool:
        """Whether a group that once wrote may not write any more."""
        return bool(self._groups) and not self._groups.get(group, GroupTerms(write=False)).write

    def slot_of(self, group: str) -> int | None:
        """Where a group writes, None for one that says so with each write."""
        return self._groups.get(group, NOTHING_SAID).slot

    # -- what holds for a write ----------------------------------------------------------------------------------

    def terms(self, point: Setpoint, group: str) -> tuple[float, Loss]:
        """Lease (0.0 off) and loss policy: the group's, else the point's own."""
        said = self._groups.get(group, NOTHING_SAID)
        lease_s = 0.0 if group in PEOPLE else point.lease_s if said.lease_s is None else said.lease_s
        return lease_s, said.on_loss or point.on_loss

    def admit(self, point: Setpoint, number: int, origin: Origin) -> None:
        """Lets a write or release pass, unless its group owes a heartbeat (C05).

        Raises:
            CommandRejected: NO_HEARTBEAT.
        """
        if not self._groups.get(origin.group, NOTHING_SAID).heartbeat:
            return
        now, pulse = self._clock.monotonic(), self._pulses.get(origin.group)
        changed = None if pulse is None else pulse.changed
        if changed is None:
            text = f"the heartbeat of {origin.group} has not changed since the gateway started; write it first"
            raise CommandRejected(Reject.NO_HEARTBEAT, text)
        lease_s, _ = self.terms(point, origin.group)
        if lease_s and now - changed > lease_s:
            text = f"the heartbeat of {origin.group} has not changed for {now - changed:.0f} s"
            raise CommandRejected(Reject.NO_HEARTBEAT, text)
        lost = point.slots[number] or point.slots.lapsed.get(number)
        if lost is not None and lost.failsafe and not (lost.since <= changed and now - changed <= RETURN_S):
            text = f"failsafe: it ends with a heartbeat and then a write within {RETURN_S:.0f} s"
            raise CommandRejected(Reject.NO_HEARTBEAT, text)

    def lease(self, point: Setpoint, ask: Ask, origin: Origin) -> Lease:
        """The lease that an accepted write begins; a person's write has an end instead.

        Raises:
            CommandRejected: RANGE, the end lies in the past, or further ahead than LONGEST_S.
        """
        now = self._clock.monotonic()
        lease_s, _ = self.terms(point, origin.group)
        until = None
        if origin.protocol in PEOPLE:
            wall = self._clock.wall()
            end = wall + PERSON_S if ask.until is None else ask.until
            if not wall < end <= wall + LONGEST_S:  # compared first: a whole number may be too large for a float
                raise CommandRejected(Reject.RANGE, "its end must lie in the future, ten years ahead at most")
            until = now + (end - wall)
        return Lease(lease_s, self._alive(origin.group) or now, until)

    def _alive(self, group: str) -> float | None:
        """The last sign of life of a group that must give one; None: its writes are the signs."""
        return self._pulsed(group) if self._groups.get(group, NOTHING_SAID).heartbeat else None

    def _pulsed(self, group: str) -> float:
        """When a group's heartbeat changed last, long ago if it never did."""
        pulse = self._pulses.get(group)
        return -math.inf if pulse is None or pulse.changed is None else pulse.changed

    # -- what has ended ------------------------------------------------------------------------------------------

    def lease_ends(self, slot: Slot) -> float:
        """When a slot's lease ends, infinite without one."""
        return slot.lease.ends(self._alive(slot.origin.group))

    def left_s(self, slot: Slot) -> float:
        """Seconds until a slot ends, infinite for never; 0 in failsafe, whatever lease there was."""
        if slot.failsafe:
            return 0.0
        until = math.inf if slot.lease.until is None else slot.lease.until
        return min(self.lease_ends(slot), until) - self._clock.monotonic()

    def due(self, point: Setpoint) -> list[tuple[int, Slot]]:
        """The slots whose end has come."""
        return [(n, slot) for n, slot in point.slots.occupied if not slot.failsafe and self.left_s(slot) <= 0]

    def lapse(self, point: Setpoint, number: int, slot: Slot, *, keep: bool = True) -> Value | None:
        """Puts failsafe into a slot as `on_bms_loss` says; returns the value it has now, None when it was released.

        `keep` False: what it held must not stay, whatever the policy (C10); `hold` releases it then.
        """
        _, loss = self.terms(point, slot.origin.group)
        ended = replace(slot, failsafe=True, since=self._clock.monotonic())
        if loss.kind == "value" and loss.value is not None:
            ended = replace(ended, value=point.nearest(loss.value))
        elif loss.kind == "release" or not keep:
            point.slots.lapse(number, ended)
            return None
        point.slots.put(number, ended)
        return ended.value
