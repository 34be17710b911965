"""What about a commandable point a person should look at, as alarms: one key per kind of trouble and point.

Rules of this file: an alarm follows the state it tells of; it ends when that state does, or with the next command.
"""

from __future__ import annotations

from gateway.core.delivery import WriteStatus
from gateway.core.priority import Origin
from gateway.core.value import Value
from gateway.engine.alarms import Alarms
from gateway.engine.setpoint import Setpoint
from gateway.engine.table import PointTable

WRONG = {
    WriteStatus.REJECTED: "the product refuses what is asked",
    WriteStatus.OVERRIDDEN: "the product holds another value than asked",
}

KINDS = ("command", "unknown", "masked", "failsafe", "found", "lifted", "foreign", "downtime", "clock", "expired")


class Watch:
    """Sets and clears the alarms of commandable points."""

    def __init__(self, table: PointTable, alarms: Alarms) -> None:
        self._table, self._alarms = table, alarms
        self._reasons: dict[Setpoint, dict[int, str]] = {}
        self._repeated: dict[Setpoint, str] = {}

    def forget(self, point: Setpoint) -> None:
        """The point is no more: nothing about it is worth a look."""
        self._reasons.pop(point, None)
        self._repeated.pop(point, None)
        for kind in KINDS:
            self._clear(kind, point)

    def _set(self, kind: str, point: Setpoint, text: str) -> None:
        key, full = f"{kind} {point.key}", f"{self._table.names[point.index]}: {text}"
        if self._alarms.text(key) != full:
            self._alarms.set(key, full)

    def _clear(self, kind: str, point: Setpoint) -> None:
        self._alarms.clear(f"{kind} {point.key}")

    def command(self, point: Setpoint) -> None:
        """What the newest state of a point's command says."""
        status = point.delivery.status
        if status in WRONG:
            self._set("command", point, f"{WRONG[status]}: {point.delivery.error}")
        else:
            self._clear("command", point)
        if point.barred is not None:
            self._set("unknown", point, f"nothing is sent: the product does not know it: {point.barred[1]}")
        else:
            self._clear("unknown", point)
        self._masked(point)
        self._failsafe(point)

    def _masked(self, point: Setpoint) -> None:
        number, winner = point.slots.masked(point.limits_more), point.slots.winner
        slot, held = point.slots[number] if number else None, point.slots[winner] if winner else None
        if slot is None or held is None:
            self._clear("masked", point)
            return
        text = f"{_words(slot.value, point)} at slot {number} by {slot.origin} is tighter than the winning"
        self._set("masked", point, f"{text} {_words(held.value, point)} at slot {winner} by {held.origin}")

    def _failsafe(self, point: Setpoint) -> None:
        slots = point.slots
        held = [(number, slot, _words(slot.value, point)) for number, slot in slots.occupied if slot.failsafe]
        marks = sorted(held + [(n, slot, "nothing") for n, slot in slots.lapsed.items()], key=lambda mark: mark[0])
        if not marks:
            self._reasons.pop(point, None)
            self._clear("failsafe", point)
            return
        why = self._reasons.get(point, {})
        texts = [
            f"slot {number} of {slot.origin.group} holds {what}: {why.get(number, 'its writer was lost before')}"
            for number, slot, what in marks
        ]
        self._set("failsafe", point, f"failsafe: {'; '.join(texts)}")

    def lost(self, point: Setpoint, number: int, reason: str) -> None:
        """Why failsafe begins in a slot, for the alarm that `command` sets."""
        self._reasons.setdefault(point, {})[number] = reason

    def found(self, point: Setpoint, value: Value, default: Value) -> None:
        """Releasing will loosen what stood upstream before the first slot was taken (C06)."""
        there, loose = _words(value, point), _words(default, point)
        self._set(
            "found", point, f"{there} was in force before this gateway wrote; a release will loosen it to {loose}"
        )

    def lifted(self, point: Setpoint, value: Value, origin: Origin) -> None:
        """A release of empty slots ends a limit that nobody asked for here (C06)."""
        self._set("lifted", point, f"the release by {origin} lifts {_words(value, point)}, which nobody asked for here")

    def foreign(self, point: Setpoint, value: Value | None) -> None:
        """A limit in force upstream that nobody here asks for, None for none: what stays is an alarm (C06)."""
        if value is None or point.command.tighter == "none":
            self._repeated.pop(point, None)
            self._clear("foreign", point)
            return
        repeated = self._repeated.get(point, "")
        more = f", the repeated release by {repeated} does not" if repeated else ""
        text = f"{_words(value, point)} is in force and nobody here asks for it"
        self._set("foreign", point, f"{text}; `release` from the command line ends it{more}")

    def standing(self, point: Setpoint, origin: Origin) -> None:
        """A release that is only repeated does not end such a limit; `foreign` says so while there is one."""
        self._repeated[point] = origin.group

    def kept(self, point: Setpoint, reason: str) -> None:
        """A value without a lease lives on after a long downtime (C11)."""
        self._set("downtime", point, f"what is asked has no lease and is kept: {reason}")

    def accepted(self, point: Setpoint) -> None:
        """A new value ends what the last commands left to be told."""
        for kind in ("lifted", "downtime"):
            self._clear(kind, point)

    def released(self, point: Setpoint) -> None:
        """No limit of ours is in force any more."""
        for kind in ("found", "downtime"):
            self._clear(kind, point)

    def validity(self, point: Setpoint, *, clockless: bool, expired: bool) -> None:
        """What only products that forget by themselves can bring about (C12)."""
        if clockless:
            text = "nothing is sent: neither the product's clock nor ours can be trusted for its end time"
            self._set("clock", point, text)
        else:
            self._clear("clock", point)
        if expired:
            text = "the limit may have expired upstream: its end time has passed and it could not be read since"
            self._set("expired", point, text)
        else:
            self._clear("expired", point)

    def persistence(self, fault: str) -> None:
        """Whether what is accepted reaches the disk (C16)."""
        if fault:
            self._alarms.set("persistence", f"commands may be lost with the power: {fault}")
        else:
            self._alarms.clear("persistence")


def _words(value: Value, point: Setpoint) -> str:
    number = isinstance(value, float)
    return f"{value:g} {point.spec.unit}".rstrip() if number else str(value)
