"""The priority array of one commandable point, shared by every protocol (ASHRAE 135 clause 19.2).

Rules of this file: pure, `now` comes in; slot 6 is reserved (minimum on/off) and refused; the lowest occupied
number wins; an empty array means `default`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.core.value import Value

SLOTS = 16
RESERVED_SLOT = 6
LOWEST_SLOT = 16


@dataclass(frozen=True, slots=True)
class Origin:
    """Who asked: protocol (`modbus`, `bacnet`, `cli`, `page`, `gateway`), client and user in words."""

    protocol: str
    client: str = ""
    user: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in (self.protocol, self.client, self.user) if part)


@dataclass(frozen=True, slots=True)
class Slot:
    """A value that somebody holds, in the point's unit, since `since` (monotonic seconds)."""

    value: Value
    origin: Origin
    since: float


class PriorityArray:
    """Sixteen slots; index 1 is the highest priority."""

    __slots__ = ("_slots",)

    def __init__(self) -> None:
        self._slots: list[Slot | None] = [None] * (SLOTS + 1)

    def __getitem__(self, number: int) -> Slot | None:
        return self._slots[number]

    def __iter__(self) -> Iterator[Slot | None]:
        """The sixteen slots, highest priority first."""
        return iter(self._slots[1:])

    @staticmethod
    def usable(number: int) -> bool:
        """Whether a client may write this slot number."""
        return 1 <= number <= SLOTS and number != RESERVED_SLOT

    def put(self, number: int, slot: Slot) -> None:
        """Occupies a slot; the last accepted writer owns it.

        Raises:
            ValueError: the number is not 1..16 or is the reserved 6.
        """
        if not self.usable(number):
            raise ValueError(number)
        self._slots[number] = slot

    def clear(self, number: int) -> None:
        """Empties a slot.

        Raises:
            ValueError: the number is not 1..16 or is the reserved 6.
        """
        if not self.usable(number):
            raise ValueError(number)
        self._slots[number] = None

    @property
    def winner(self) -> int:
        """The winning slot's number, 0 when all are empty."""
        return next((number for number in range(1, SLOTS + 1) if self._slots[number] is not None), 0)

    @property
    def value(self) -> Value | None:
        """The winning value, None when all slots are empty."""
        slot = self._slots[self.winner] if self.winner else None
        return slot.value if slot else None
