"""The priority array of one commandable point, shared by every protocol (ASHRAE 135 clause 19.2).

Rules of this file: pure, `now` comes in; slot 6 is reserved (minimum on/off) and refused; the lowest occupied
number wins; an empty array means `default`; a slot that failsafe emptied is empty, but says so until it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gateway.core.lease import Lease
from gateway.core.value import Value

SLOTS = 16
RESERVED_SLOT = 6
LOWEST_SLOT = 16
NO_LEASE = Lease()


@dataclass(frozen=True, slots=True)
class Origin:
    """Who asked: protocol (`modbus`, `bacnet`, `cli`, `page`, `gateway`), client and user in words."""

    protocol: str
    client: str = ""
    user: str = ""

    @property
    def group(self) -> str:
        """Whose lease and loss policy apply: `modbus/<client group>`, else the protocol's name."""
        return f"modbus/{self.user}" if self.protocol == "modbus" else self.protocol

    def __str__(self) -> str:
        return " ".join(part for part in (self.protocol, self.client, self.user) if part)


@dataclass(frozen=True, slots=True)
class Slot:
    """A value that somebody holds, in the point's unit, since `since` (monotonic seconds).

    `failsafe`: its lease ended and `on_bms_loss` acted on it. `dry`: written in dry run, gone when that ends.
    """

    value: Value
    origin: Origin
    since: float
    lease: Lease = NO_LEASE
    failsafe: bool = False
    dry: bool = False


class PriorityArray:
    """Sixteen slots; index 1 is the highest priority."""

    __slots__ = ("_lapsed", "_slots")

    def __init__(self) -> None:
        self._slots: list[Slot | None] = [None] * (SLOTS + 1)
        self._lapsed: dict[int, Slot] = {}

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
        self._lapsed.pop(number, None)
        self._slots[number] = slot

    def clear(self, number: int) -> None:
        """Empties a slot.

        Raises:
            ValueError: the number is not 1..16 or is the reserved 6.
        """
        if not self.usable(number):
            raise ValueError(number)
        self._lapsed.pop(number, None)
        self._slots[number] = None

    def lapse(self, number: int, slot: Slot) -> None:
        """Failsafe empties a slot; `slot` is what it held, marked as failsafe.

        Raises:
            ValueError: the number is not 1..16 or is the reserved 6.
        """
        self.clear(number)
        self._lapsed[number] = slot

    @property
    def lapsed(self) -> dict[int, Slot]:
        """What failsafe released and nobody wrote since, by slot number."""
        return dict(self._lapsed)

    @property
    def lost(self) -> list[int]:
        """The slots that failsafe has, emptied or not, highest priority first."""
        return sorted([number for number, slot in self.occupied if slot.failsafe] + list(self._lapsed))

    @property
    def occupied(self) -> list[tuple[int, Slot]]:
        """Number and slot of every slot that holds a value, highest priority first."""
        return [(number, slot) for number, slot in enumerate(self._slots) if slot is not None]

    @property
    def winner(self) -> int:
        """The winning slot's number, 0 when all are empty."""
        return next((number for number in range(1, SLOTS + 1) if self._slots[number] is not None), 0)

    @property
    def value(self) -> Value | None:
        """The winning value, None when all slots are empty."""
        slot = self._slots[self.winner] if self.winner else None
        return slot.value if slot else None

    @property
    def ruling(self) -> Slot | None:
        """The slot that authority describes: the winner, else the highest one that failsafe released (C05)."""
        if self.winner:
            return self._slots[self.winner]
        return self._lapsed[min(self._lapsed)] if self._lapsed else None

    def masked(self, tighter: Callable[[Value, Value], bool]) -> int:
        """The highest slot below the winner whose value is tighter than the winning one, 0 if none is (C03)."""
        held = self.occupied
        return next((number for number, slot in held[1:] if tighter(slot.value, held[0][1].value)), 0)
