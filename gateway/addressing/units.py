"""Which Modbus unit everything stands in: one for all, one per source, or one per resource (DESIGN 6.3, 6.5).

Rules of this file: a unit is given once and kept in the address book; it is never given to anybody else, also when
its owner is forgotten or retired. What lives inside a resource stands in that resource's unit, at blocks in the
order in which it was given them. The header is in every unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from gateway.addressing.book import AddressBook, Entry
from gateway.addressing.builtin import GATEWAY_SOURCE, HEADER_COUNT, SOURCE_REGION
from gateway.addressing.layout import GAP, spans_of
from gateway.addressing.placed import Seat, Span
from gateway.core.point import SOURCE_KIND, KindSpec

UnitMode = Literal["one", "per_source", "per_resource"]
LAST_UNIT = 247
"""Unit identifiers of single devices are 1..247 (Modbus over Serial Line V1.02, 2.2)."""


class UnitPlan:
    """The units of a site, given out of its address book.

    Args:
        kinds: those of every configured source, the built-in `source` among them.
        mode: `one`: everything in unit `first`. `per_source`: the source at position n of the book in unit
            `first` + n. `per_resource`: the gateway and its `source` resources in unit `first`, every resource
            that does not live inside another in a unit of its own: the next after `first` that nobody ever had,
            and when those are out, one below it.
    """

    def __init__(
        self, book: AddressBook, kinds: Mapping[str, Sequence[KindSpec]], mode: UnitMode = "one", first: int = 1
    ) -> None:
        self._book, self._kinds, self._mode, self._first = book, kinds, mode, first
        given = {entry.unit for entry in book.entries}
        self._free = [unit for unit in (*range(first + 1, LAST_UNIT + 1), *range(1, first)) if unit not in given]
        self._next: dict[tuple[str, int], int] = {}
        self._in: dict[int, list[Entry]] = {}
        for entry in book.entries:
            if entry.unit is not None:
                self._note(entry, entry.unit)

    @property
    def common(self) -> Span | None:
        """The header as it stands in every unit, with the values of the first; None when there is one unit only."""
        return None if self._mode == "one" else Span(self._first, 0, HEADER_COUNT, 0)

    def seat(self, entry: Entry, outermost: Entry | None) -> Seat | None:
        """Where the registers of an entry's resource stand; given now if it has no place. None: no unit is left.

        `outermost` is the entry of the resource in which this one lives, its own if in none; None if that has none.
        """
        if self._mode == "one":
            return Seat(self._first, entry.block)
        if self._mode == "per_source":
            unit = self._of_source(entry.source)
            return Seat(unit, entry.block) if unit is not None else None
        if entry.kind == SOURCE_KIND or entry.source == GATEWAY_SOURCE:
            return Seat(self._first, entry.block)
        if entry.unit is None and outermost is not None:
            unit = self._own(outermost)
            if unit is not None and entry is not outermost:
                self._give(entry, unit)
        return Seat(entry.unit, entry.unit_block) if entry.unit is not None else None

    def spans(self, unit: int) -> list[Span]:
        """What can be read as blocks in a unit: in the first the header, and the regions of the kinds that are there.

        A resource with a unit of its own has one block; what lives inside it has its kind's whole region.
        """
        spans = [Span(unit, 0, HEADER_COUNT, 0)] if unit == self._first else []
        if self._mode == "per_resource":
            if unit == self._first:
                spans.append(Span(unit, SOURCE_REGION.first, SOURCE_REGION.stride * SOURCE_REGION.capacity, GAP))
            for entry in self._in.get(unit, ()):
                spans += self._spans_of_resource(entry, unit)
        else:
            for source, kinds in self._kinds.items():
                if self._mode == "one" or self._of_source(source) == unit:
                    spans += [span for kind in kinds for span in spans_of(kind, unit)]
        return list({span.first: span for span in spans}.values())

    def _spans_of_resource(self, entry: Entry, unit: int) -> list[Span]:
        kinds = self._kinds.get(entry.source, ())
        own = [kind for kind in kinds if kind.name == entry.kind and kind.within is None]
        spans = [span for kind in own for span in spans_of(kind, unit, blocks=1)]
        inside = {kind.name for kind in own}
        for kind in kinds:  # a kind comes after the one it lives in
            if kind.within is not None and kind.within.parent in inside:
                inside.add(kind.name)
                spans += spans_of(kind, unit)
        return spans

    def _of_source(self, source: str) -> int | None:
        entry = self._book.find(source, SOURCE_KIND, source)
        unit = self._first + (entry.block if entry is not None else 0)
        return unit if unit <= LAST_UNIT else None

    def _own(self, entry: Entry) -> int | None:
        if entry.unit is None and self._free:
            self._give(entry, self._free.pop(0))
        return entry.unit

    def _give(self, entry: Entry, unit: int) -> None:
        entry.unit, entry.unit_block = unit, self._next.get((entry.kind, unit), 0)
        self._note(entry, unit)
        self._book.dirty = True

    def _note(self, entry: Entry, unit: int) -> None:
        self._in.setdefault(unit, []).append(entry)
        self._next[entry.kind, unit] = max(self._next.get((entry.kind, unit), 0), entry.unit_block + 1)
