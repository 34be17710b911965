"""The address book: which block belongs to which name, and how list answers are matched to it.

Rules of this file (DESIGN 6.5, C14): entries are only ever appended; names are the identity and ids change;
where a known name appears under another id while its old id still exists, blocks follow ids and everything
involved waits for a confirmation; two equal names (or ids) are both wrong and neither is picked; an id belongs to
one entry; the blocks of a source that is no longer configured stay taken in every pool, for it may come back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from gateway.core.errors import ConfigError, Fault
from gateway.core.point import SOURCE_KIND, point_name


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
    """One block: who owns it.

    `id` is the product's newest id for it, None before it was ever listed. `guard` is the type it is known with.
    `new_name` and `new_guard` are what the product says now and nobody has confirmed; a `new_name` that is the name
    itself means that the name was found again, and that this alone is no proof. A forgotten entry is not served
    until its name is listed again; a retired one never again, and nobody else gets its block. `unit` is the Modbus
    unit it was given with `modbus.units: per_resource`, `unit_block` its block there; `device` and `device_block` are
    the same for `bacnet.devices: per_resource`, counted from the first instance.
    """

    source: str
    kind: str
    name: str
    id: str | None
    block: int
    guard: str | None = None
    new_name: str | None = None
    new_guard: str | None = None
    forgotten: bool = False
    retired: bool = False
    unit: int | None = None
    unit_block: int = 0
    device: int | None = None
    device_block: int = 0

    @property
    def label(self) -> str:
        """As people write it: `source/kind/name`."""
        return point_name(self.source, self.kind, self.name, "")[:-1]

    @property
    def waits(self) -> bool:
        """Whether it is inhibited until somebody confirms what the product says."""
        return self.new_name is not None or self.new_guard is not None


@dataclass(frozen=True, slots=True)
class Assignment:
    """One listed (id, name) and the entry it got.

    `entry` is None for DUPLICATE and FULL, and for SWAPPED when the id is new: its block follows no known id.
    """

    id: str
    name: str
    match: Match
    entry: Entry | None


def nameless(ident: str) -> str:
    """The name of a resource to which the product gives none: its id is its identity then."""
    return f"#{ident}"


class AddressBook:
    """All blocks of all sources; `pools` says which sources share the blocks of one mapping.

    `certificates` are the fingerprints under which the ids of each source were learnt.

    Raises:
        ConfigError: two names own one block (sources with blocks of their own were brought into one pool).
    """

    def __init__(
        self, entries: Iterable[Entry], pools: Mapping[str, str], certificates: Mapping[str, str] | None = None
    ) -> None:
        self._pools = pools
        self._kinds: dict[tuple[str, str], dict[str, Entry]] = {}
        self._next: dict[tuple[str, str], int] = {}
        self._orphans: dict[str, int] = {}
        self.entries: list[Entry] = []
        self.certificates = dict(certificates or {})
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
        """The entries of one kind of one source that are not retired, by block."""
        return sorted(self._kinds.get((source, kind), {}).values(), key=lambda entry: entry.block)

    def find(self, source: str, kind: str, name: str) -> Entry | None:
        """The entry of a name, None if it has none or is retired."""
        return self._kinds.get((source, kind), {}).get(name)

    def reserve(self, source: str, kind: str, name: str, capacity: int) -> Entry | None:
        """The block of a name, given now if it has none; None when the region is full."""
        return self.find(source, kind, name) or self._append(source, kind, name, None, capacity)

    def revive(self, entry: Entry) -> None:
        """A forgotten name is there again, with the block it always had."""
        if entry.forgotten:
            entry.forgotten, self.dirty = False, True

    # -- list answers --------------------------------------------------------------------------------------------

    def certify(self, source: str, certificate: str | None) -> bool:
        """Notes under which certificate a product answers; True when it is another than before.

        Ids prove nothing then: all are dropped, and every name has to be found by itself. What has no name is not
        found at all; it waits for a confirmation.
        """
        known = self.certificates.get(source)
        if certificate is None or certificate == known:
            return False
        self.certificates[source], self.dirty = certificate, True
        if known is None:
            return False
        for entry in self.entries:
            if entry.source == source and entry.kind != SOURCE_KIND and entry.id is not None:
                entry.new_name = entry.name if entry.name == nameless(entry.id) else None
                entry.id = None
        return True

    def assign(
        self,
        source: str,
        kind: str,
        listed: Sequence[tuple[str, str]],
        capacity: int,
        hidden: Collection[str] = (),
    ) -> list[Assignment]:
        """Matches a whole list answer of (id, name) by the four rules; unmatched entries are left as they are.

        `hidden` are ids that the answer holds too and that are not to be matched (excluded by the configuration).
        """
        names = Counter(name for _, name in listed)
        ids = Counter(ident for ident, _ in listed)
        there = {*ids, *hidden}
        by_name = dict(self._kinds.get((source, kind), {}))
        by_id = {entry.id: entry for entry in by_name.values() if entry.id is not None}
        moved = {name for ident, name in listed if (e := by_name.get(name)) and e.id != ident and e.id in there}
        result: list[Assignment] = []
        for ident, name in listed:
            mine, named = by_id.get(ident), by_name.get(name)
            if names[name] > 1 or ids[ident] > 1:
                result.append(Assignment(ident, name, Match.DUPLICATE, None))
            elif name in moved or (mine is not None and mine.name in moved):
                result.append(self._swapped(mine, ident, name))
            elif named is not None and named.id == ident:
                result.append(self._known(named, ident, name))
            elif mine is not None and mine.new_name is not None:
                result.append(self._swapped(mine, ident, name))
            elif named is not None:
                result.append(self._rebind(named, mine, ident, name))
            elif mine is not None:
                result.append(self._rename(mine, ident, name))
            else:
                entry = self._append(source, kind, name, ident, capacity)
                result.append(Assignment(ident, name, Match.NEW if entry else Match.FULL, entry))
        return result

    def _swapped(self, mine: Entry | None, ident: str, name: str) -> Assignment:
        """The block follows the id; what the product says is kept until somebody confirms it."""
        if mine is not None and mine.new_name != name:
            mine.new_name, self.dirty = name, True
        return Assignment(ident, name, Match.SWAPPED, mine)

    def _known(self, entry: Entry, ident: str, name: str) -> Assignment:
        """Id and name agree: a swap that waited is over, unless the name alone brought it here."""
        self.revive(entry)
        if entry.new_name == entry.name:
            return Assignment(ident, name, Match.SWAPPED, entry)
        if entry.new_name is not None:
            entry.new_name, self.dirty = None, True
        return Assignment(ident, name, Match.KNOWN, entry)

    def _rebind(self, entry: Entry, holder: Entry | None, ident: str, name: str) -> Assignment:
        match = Match.NEW if entry.id is None else Match.REBOUND
        if holder is not None and holder.id == ident:
            holder.id = None
        entry.id, self.dirty = ident, True
        self.revive(entry)
        if entry.new_name is not None:
            entry.new_name, match = entry.name, Match.SWAPPED
        return Assignment(ident, name, match, entry)

    def _rename(self, entry: Entry, ident: str, name: str) -> Assignment:
        self.rename(entry.source, entry.kind, entry.name, name)
        self.revive(entry)
        return Assignment(ident, name, Match.RENAMED, entry)

    def rename(self, source: str, kind: str, old: str, new: str) -> bool:
        """Gives an entry another name, its block stays; False when there is none, or the new name has a block."""
        names = self._kinds.get((source, kind), {})
        if old not in names or new in names:
            return False
        entry = names.pop(old)
        names[new] = entry
        entry.name, self.dirty = new, True
        return True

    # -- corrections ---------------------------------------------------------------------------------------------

    def relabel(
        self, source: str, kind: str, names: Mapping[str, str], inner: Mapping[str, Sequence[str]]
    ) -> list[Entry]:
        """Gives entries other names (old -> new), all at once; returns those that lost their name by it: retired.

        `inner` says which kinds live inside which; their entries follow their parents' names.
        """
        known = self._kinds.get((source, kind), {})
        parents = set(known)
        moving = {new: known.pop(old) for old, new in names.items() if old in parents}
        losers = [known.pop(new) for new in moving if new in known]
        for loser in losers:
            self._retire(loser)
        for new, entry in moving.items():
            entry.name = new
            known[new] = entry
        for child in inner.get(kind, ()):
            theirs = {name: parent_of(name, parents) for name in self._kinds.get((source, child), {})}
            follow = {n: names[p] + n[len(p) :] for n, p in theirs.items() if p is not None and p in names}
            losers += self.relabel(source, child, follow, inner)
        self.dirty = self.dirty or bool(moving)
        return losers

    def inside(self, entry: Entry, inner: Mapping[str, Sequence[str]]) -> list[Entry]:
        """The entries of everything that lives inside an entry's resource."""
        parents = set(self._kinds.get((entry.source, entry.kind), {}))
        found: list[Entry] = []
        for kind in inner.get(entry.kind, ()):
            for child in self.of(entry.source, kind):
                if parent_of(child.name, parents) == entry.name:
                    found += [child, *self.inside(child, inner)]
        return found

    def _retire(self, entry: Entry) -> None:
        entry.retired, entry.forgotten = True, False
        entry.id = entry.new_name = entry.new_guard = None

    # -- blocks --------------------------------------------------------------------------------------------------

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
        if not entry.retired:
            self._kinds.setdefault((entry.source, entry.kind), {})[entry.name] = entry
        pool = self._pool(entry.source, entry.kind)
        self._next[pool] = max(self._next.get(pool, 0), entry.block + 1)
        if entry.source not in self._pools:
            self._orphans[entry.kind] = max(self._orphans.get(entry.kind, 0), entry.block + 1)

    def _pool(self, source: str, kind: str) -> tuple[str, str]:
        return ("", kind) if kind == SOURCE_KIND else (self._pools.get(source, source), kind)


def parent_of(name: str, parents: Collection[str]) -> str | None:
    """The parent in the name `<parent>#<id>` of what lives inside another resource; ids and names may hold `#`."""
    at = name.rfind("#")
    while at > 0:
        if name[:at] in parents:
            return name[:at]
        at = name.rfind("#", 0, at)
    return None
