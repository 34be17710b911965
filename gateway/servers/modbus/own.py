"""Registers that every client group has one of: its heartbeat, and the seconds since that changed (C04).

The image is one for all clients, so these are put into an answer on its way out, for the group that asks: a BMS
must never take a peer's sign of life for its own.
"""

from __future__ import annotations

from gateway.addressing import PlacedPoint, PlacedRegister
from gateway.addressing.builtin import HEARTBEAT, HEARTBEAT_AGE
from gateway.core.registers import Order

NO_INDEX = -1
LONGEST_AGE, NEVER = 0xFFFE, 0xFFFF


class OwnRegisters:
    """Those of one image. `heartbeat` is the table index of what a group writes, NO_INDEX before it was placed."""

    __slots__ = ("_age", "_end", "_first", "_value", "heartbeat")

    def __init__(self) -> None:
        self.heartbeat = NO_INDEX
        self._value: tuple[int, Order] | None = None
        self._age: tuple[int, Order] | None = None
        self._first, self._end = 0, 0

    def place(self, index: int, point: PlacedPoint, placed: PlacedRegister) -> None:
        """Notes a register if it is one of these."""
        if not point.spec.builtin or point.spec.name not in (HEARTBEAT, HEARTBEAT_AGE):
            return
        where = (placed.register, placed.spec.byte_order)
        if point.spec.name == HEARTBEAT:
            self.heartbeat, self._value = index, where
        else:
            self._age = where
        registers = [own[0] for own in (self._value, self._age) if own is not None]
        self._first, self._end = min(registers), max(registers) + 1

    def cover(self, address: int, count: int) -> bool:
        """Whether a read of these registers depends on who asks."""
        return address < self._end and address + count > self._first

    def show(self, found: bytearray, address: int, beat: tuple[int, float | None]) -> None:
        """Puts a group's heartbeat and its age in seconds into what was read from `address` on; None: no age yet."""
        value, age_s = beat
        age = NEVER if age_s is None else min(int(age_s), LONGEST_AGE)
        for own, word in ((self._value, value), (self._age, age)):
            at = -1 if own is None else (own[0] - address) * 2
            if own is not None and 0 <= at < len(found):
                found[at : at + 2] = word.to_bytes(2, own[1])
