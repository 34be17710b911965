"""What clients were told, and what must therefore be in force: an answer binds, a missing one leaves both possible."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

STEP_A, LOWEST_A, HIGHEST_A = 0.5, 6.0, 249.5
Held = float | None


@dataclass
class Slot:
    """What one slot of one zone may hold: the last answered value, and each unanswered one since."""

    possible: list[Held] = field(default_factory=lambda: [None])

    def asked(self, value: Held) -> None:
        """A request left; nobody knows yet."""
        self.possible.append(value)

    def accepted(self) -> None:
        """The newest request was answered: it is the only possibility now."""
        self.possible = self.possible[-1:]

    def refused(self) -> None:
        """The newest request was refused and changed nothing."""
        self.possible.pop()


@dataclass
class Zone:
    """One zone; its own values (every `count`-th step) tell whose limit a request carried.

    `told` counts, by value, the writes that were answered: each needs its record in the evidence.
    """

    name: str
    number: int
    count: int
    slots: dict[int, Slot]
    told: Counter[float] = field(default_factory=Counter)

    def values(self) -> Iterator[float]:
        """Values that no other zone uses, without end; the same one comes back only after all others."""
        steps = round((HIGHEST_A - LOWEST_A) / STEP_A) // self.count
        turn = 0
        while True:  # a stride that is coprime to any usual number of steps: neighbours differ much
            yield LOWEST_A + STEP_A * (self.number + self.count * (turn * 61 % steps))
            turn += 1

    def owns(self, value: float) -> bool:
        """Whether a value is one of this zone's."""
        return round((value - LOWEST_A) / STEP_A) % self.count == self.number

    def allowed(self) -> set[Held]:
        """Every limit that may be in force; None stands for none."""
        found: set[Held] = set()
        for number in sorted(self.slots):
            possible = self.slots[number].possible
            found |= {value for value in possible if value is not None}
            if None not in possible:
                return found
        return found | {None}
