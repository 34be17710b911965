"""Which value a register belongs to: the map as the rules need it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple


class Place(NamedTuple):
    """A value's registers: `words` from `first` on, of a type such as `float32`; `name` is the point's."""

    first: int
    words: int
    type: str
    name: str
    writable: bool

    @property
    def end(self) -> int:
        """The register behind its last."""
        return self.first + self.words

    @property
    def is_number(self) -> bool:
        """Whether half of it means nothing: a number of more than one register."""
        return self.words > 1 and not self.type.startswith("string")

    @property
    def where(self) -> str:
        """The point, its type and its registers in words."""
        last = f"..{self.end - 1}" if self.words > 1 else ""
        return f"{self.name} ({self.type} at {self.first}{last})"


class Extents:
    """Every value's registers by unit."""

    def __init__(self, places: Iterable[tuple[int, Place]]) -> None:
        found: dict[int, dict[int, Place]] = {}
        for unit, place in places:
            found.setdefault(unit, {}).setdefault(place.first, place)
        self._places = {unit: [by_first[first] for first in sorted(by_first)] for unit, by_first in found.items()}
        self._firsts = {unit: [place.first for place in places] for unit, places in self._places.items()}

    def at(self, unit: int, register: int) -> Place | None:
        """The value that a register is part of."""
        position = bisect_right(self._firsts.get(unit, ()), register) - 1
        if position < 0:
            return None
        place = self._places[unit][position]
        return place if register < place.end else None

    def within(self, unit: int, first: int, count: int) -> list[Place]:
        """Every value of which a range has at least one register, in order."""
        firsts = self._firsts.get(unit, [])
        low = max(bisect_right(firsts, first) - 1, 0)
        high = bisect_right(firsts, first + count - 1)
        return [place for place in self._places.get(unit, ())[low:high] if place.end > first]
