"""The address book: which block belongs to which name, and how list answers are matched to it.

Rules of this file (DESIGN 6.5, C14): entries are only ever appended; names are the identity and ids change;
where a known name appears under another id while its old id still exists, blocks follow ids and everything
involved is inhibited; two equal names (or ids) are both wrong and neither is picked; an id belongs to one entry;
the blocks of a source that is no longer configured stay taken in every pool, for it may come back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from gateway.core.errors import ConfigError, Fault
from gateway.core.point import SOURCE_KIND


class Match(Enum):
    """How a listed resource was recognised."""

    KNOWN = "known"
    REBOUND = "rebound"
    RENAMED = "renamed"
    NEW = "new"
    SWAPPED = "swapped"
    DUPLICATE = "duplicate"
    FULL = "full"


@dataclass(slots=True)
class Entry:
    """One block: who owns it. `id` is the product's newest id for it, None before it was ever listed."""

    source: str
    kind: str
    name: str
    id: str | None
    block: int


@dataclass(frozen=True, slots=True)
class Assignment:
    """One listed (id, name) and the entry it got.

    `entry` is None for DUPLICATE and FULL, and for SWAPPED when the id is new: its block follows no known id.
    """

    id: str
    name: str
    match: Match
    entry: Entry | None


class AddressBook:
    """All blocks of all sources; `pools` says which sources share the blocks of one mapping.

    Raises:
        ConfigError: two names own one block (sources with blocks of their own were brought into one pool).
    """

    def __init__(self, entries: Iterable[Entry], pools: Mapping[str, str]) -> None:
        self._pools = pools
        self._kinds: dict[tuple[str, str], dict[str, Entry]] = {}
        self._next: dict[tuple[str, str], int] = {}
        self._orphans: dict[str, int] = {}
        self.entries: list[Entry] = []
        self.dirty = False
        owners: dict[tuple[str, str, int], Entry] = {}
        faults: list[Fault] = []
        for entry in entries:
            self._keep(entry)
            if entry.source not in pools:
                continue
            other = owners.setdefault((*self._pool(entry.source, entry.kind), entry.block), entry)
            if other is not entry:
                names = [f"{one.source}/{one.kind}/{one.name}" for one in (other, entry)]
                text = (
                    f"{names[0]} and {names[1]} both own block {entry.block}; blocks never move: use one mapping each"
                )
                faults.append(Fault("addresses.yaml", 0, 0, "", text))
        if faults:
            raise ConfigError(faults)

    def of(self, source: str, kind: str) -> list[Entry]:
        """The entries of one kind of one source, by block."""
        return sorted(self._kinds.get((source, kind), {}).values(), key=lambda entry: entry.block)

    def reserve(self, source: str, kind: str, name: str, capacity: int) -> Entry | None:
        """The block of a name, given now if it has none; None when the region is full."""
        known = self._kinds.get((source, kind), {}).get(name)
        return known or self._append(source, kind, name, None, capacity)

    def assign(self, source: str, kind: str, listed: Sequence[tuple[str, str]], capacity: int) -> list[Assignment]:
        """Matches a whole list answer of (id, name) by the four rules; unmatched entries are left as they are."""
        names = Counter(name for _, name in listed)
        ids = Counter(ident for ident, _ in listed)
        by_id = {entry.id: entry for entry in self.of(source, kind) if entry.id is not None}
        by_name = {entry.name: entry for entry in self.of(source, kind)}
        moved = {name for ident, name in listed if (e := by_name.get(name)) and e.id != ident and e.id in ids}
        result: list[Assignment] = []
        for ident, name in listed:
            mine, named = by_id.get(ident), by_name.get(name)
            if names[name] > 1 or ids[ident] > 1:
                result.append(Assignment(ident, name, Match.DUPLICATE, None))
            elif name in moved or (mine is not None and mine.name in moved):
                result.append(Assignment(ident, name, Match.SWAPPED, mine))
            elif named is not None and named.id == ident:
                result.append(Assignment(ident, name, Match.KNOWN, named))
            elif named is not None:
                result.append(self._rebind(named, ident, name))
            elif mine is not None:
                result.append(self._rename(mine, ident, name))
            else:
                entry = self._append(source, kind, name, ident, capacity)
                result.append(Assignment(ident, name, Match.NEW if entry else Match.FULL, entry))
        return result

    def _rebind(self, entry: Entry, ident: str, name: str) -> Assignment:
        match = Match.NEW if entry.id is None else Match.REBOUND
        for other in self.of(entry.source, entry.kind):
            if other.id == ident:
                other.id = None
        entry.id, self.dirty = ident, True
        return Assignment(ident, name, match, entry)

    def rename(self, source: str, kind: str, old: str, new: str) -> bool:
        """Gives an entry another name, its block stays; False when there is none, or the new name has a block."""
        names = self._kinds.get((source, kind), {})
        if old not in names or new in names:
            return False
        entry = names.pop(old)
        names[new] = entry
        entry.name, self.dirty = new, True
        return True

    def _rename(self, entry: Entry, ident: str, name: str) -> Assignment:
        names = self._kinds[entry.source, entry.kind]
        del names[entry.name]
        names[name] = entry
        entry.name, self.dirty = name, True
        return Assignment(ident, name, Match.RENAMED, entry)

    def _append(self, source: str, kind: str, name: str, ident: str | None, capacity: int) -> Entry | None:
        block = max(self._next.get(self._pool(source, kind), 0), self._orphans.get(kind, 0))
        if block >= capacity:
            return None
        entry = Entry(source, kind, name, ident, block)
        self._keep(entry)
        self.dirty = True
        return entry

    def _keep(self, entry: Entry) -> None:
        self.entries.append(entry)
        self._kinds.setdefault((entry.source, entry.kind), {})[entry.name] = entry
        pool = self._pool(entry.source, entry.kind)
        self._next[pool] = max(self._next.get(pool, 0), entry.block + 1)
        if entry.source not in self._pools:
            self._orphans[entry.kind] = max(self._orphans.get(entry.kind, 0), entry.block + 1)

    def _pool(self, source: str, kind: str) -> tuple[str, str]:
        return ("", kind) if kind == SOURCE_KIND else (self._pools.get(source, source), kind)
