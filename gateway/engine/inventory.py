"""Which resources exist: list answers matched to blocks, points added to the table, names kept honest.

Rules of this file: a resource, once known, keeps its points and addresses while the process lives; one that is
not present says so; one whose name is ambiguous or swapped is inhibited, and nothing is ever sent to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

import structlog

from gateway.addressing import AddressBook, Assignment, Match, PlacedPoint, expand, place
from gateway.core.point import KindSpec, PointSpec, point_name
from gateway.core.registers import Order
from gateway.core.value import BAD, CONFIG_ERROR, Quality, Sample
from gateway.engine.ports import Clock, Listed
from gateway.engine.resource import Resource
from gateway.engine.table import PointTable

EMPTY_POLLS = 3
MOST_COUNTED = 10_000
log = structlog.get_logger("inventory")


class Inventory:
    """All resources of all sources."""

    def __init__(
        self,
        table: PointTable,
        book: AddressBook,
        clock: Clock,
        *,
        word_order: Order,
        byte_order: Order,
        unit: int,
        on_placed: Callable[[Resource, Sequence[tuple[int, PlacedPoint]]], None],
        on_dirty: Callable[[], None],
    ) -> None:
        self._table, self._book, self._clock = table, book, clock
        self._orders = (word_order, byte_order)
        self._unit = unit
        self._on_placed, self._on_dirty = on_placed, on_dirty
        self.resources: dict[tuple[str, str, str | None], Resource] = {}
        self.by_kind: dict[tuple[str, str], list[Resource]] = {}
        self._by_block: dict[tuple[str, str, int], Resource] = {}
        self.unassigned: dict[tuple[str, str], int] = {}
        self._expanded: dict[int, list[PointSpec]] = {}
        self._empty: dict[tuple[str, str], int] = {}
        self._without_block: dict[tuple[str, str], set[str]] = {}
        self.generation = 0

    def of(self, source: str, kind: str) -> Sequence[Resource]:
        """The resources of one kind of one source, by block."""
        return self.by_kind.get((source, kind), ())

    def single(self, source: str, kind: KindSpec) -> Resource:
        """The one resource of a kind without a list."""
        return self.resources.get((source, kind.name, None)) or self._add(source, kind, None, None, None, "")

    def restore(self, source: str, kind: KindSpec, expected: Sequence[str]) -> None:
        """Serves what the address book knows, and what is expected, before the product has answered."""
        if kind.within is not None:
            return
        capacity = self._capacity(kind)
        for name in expected:
            if self._book.reserve(source, kind.name, name, capacity) is None:
                self._count_full(source, kind.name, 1)
        for entry in self._book.of(source, kind.name):
            if (source, kind.name, entry.name) not in self.resources:
                self._add(source, kind, entry.name, entry.id, None, "not read yet")

    def restore_children(self, source: str, kind: KindSpec) -> None:
        """As restore, for a kind that lives inside another; call it after its parent kind."""
        if kind.within is None:
            return
        parents = {parent.name: parent for parent in self.of(source, kind.within.parent)}
        for entry in self._book.of(source, kind.name):
            parent_name, _, ident = entry.name.rpartition("#")
            parent = parents.get(parent_name) or (parents.get(None) if not parent_name else None)
            if parent is not None and ident not in parent.children:
                parent.children[ident] = self._add(source, kind, entry.name, ident, parent, "not read yet")

    def listed(
        self, source: str, kind: KindSpec, answer: Sequence[Listed], exclude: Sequence[str], session: int
    ) -> bool:
        """Takes a list answer of a session; returns whether resources came, went or changed their id or name."""
        key = (source, kind.name)
        wanted = [item for item in answer if not _excluded(kind.name, item.name, exclude)]
        if not wanted and self.of(*key) and self._empty.get(key, 0) < EMPTY_POLLS - 1:
            self._empty[key] = self._empty.get(key, 0) + 1
            if self._empty[key] == 1:
                log.warning("list.empty", source=source, kind=kind.name)
            return False
        self._empty[key] = 0
        guards = {item.id: item.guard for item in wanted}
        by_id = {resource.id: resource for resource in self.of(*key) if resource.id is not None}
        assignments = self._book.assign(source, kind.name, [(i.id, i.name) for i in wanted], self._capacity(kind))
        changed = False
        seen: set[Resource] = set()
        full = 0
        for item in assignments:
            full += item.match is Match.FULL
            for resource in self._owners(source, kind, item, by_id):
                changed |= self._take(resource, item, guards.get(item.id), fresh=resource not in seen)
                resource.resolved = session
                seen.add(resource)
        changed |= self._missing(kind, [r for r in self.of(*key) if r not in seen])
        self._count_full(source, kind.name, full)
        self._saved()
        return changed

    def child(self, parent: Resource, kind: KindSpec, ident: str) -> Resource | None:
        """The child `<parent>#<id>` of a kind within another, made if new; None when its region is full."""
        known = parent.children.get(ident)
        if known is not None:
            self.generation += not known.present
            known.present, known.trouble = True, parent.trouble
            return known
        name = f"{parent.name or parent.kind.name}#{ident}"
        entry = self._book.reserve(parent.source, kind.name, name, self._capacity(kind))
        self._saved()
        if entry is None:
            without = self._without_block.setdefault((parent.source, kind.name), set())
            if len(without) < MOST_COUNTED:
                without.add(name)
            self._count_full(parent.source, kind.name, len(without))
            return None
        entry.id = ident
        resource = self._add(parent.source, kind, name, ident, parent, "")
        parent.children[ident] = resource
        self.generation += 1
        return resource

    def children_gone(self, children: Sequence[Resource]) -> None:
        """A parent's answer no longer holds these; the caller blanks their points in the same step."""
        for child in children:
            self.generation += child.present
            child.present, child.trouble = False, "not present"

    def _owners(self, source: str, kind: KindSpec, item: Assignment, by_id: dict[str, Resource]) -> list[Resource]:
        """The resources a listed item stands for: one, made if new; of a duplicate both the id's and the name's."""
        if item.match is Match.DUPLICATE:
            both = (self.resources.get((source, kind.name, item.name)), by_id.get(item.id))
            return [resource for resource in dict.fromkeys(both) if resource is not None]
        entry = item.entry
        if entry is None:
            return []
        resource = self._by_block.get((source, kind.name, entry.block))
        if resource is None:
            resource = self._add(source, kind, entry.name, entry.id, None, "")
            resource.present = False
            log.info("resource.new", resource=resource.label, id=item.id, block=entry.block)
        return [resource]

    def _take(self, resource: Resource, item: Assignment, guard: str | None, *, fresh: bool) -> bool:
        """Brings one assignment of a resource into force; returns whether anything changed."""
        kind = resource.kind.name
        if item.match is Match.DUPLICATE:
            return self._inhibit(resource, f"two or more {kind}s are named {item.name!r}")
        if item.match is Match.SWAPPED:
            text = f"id {item.id} is now named {item.name!r}: names were swapped; confirm with `addresses confirm`"
            return self._inhibit(resource, text)
        if not fresh:
            return False
        changed = not resource.present or resource.id != item.id
        if resource.name != item.name:
            self._rename(resource, item.name)
            changed = True
        if resource.id is not None and resource.id != item.id:
            log.info("resource.rebound", resource=resource.label, old_id=resource.id, id=item.id)
        resource.id, resource.present = item.id, True
        if resource.guard is not None and guard is not None and guard != resource.guard:
            return self._inhibit(resource, f"its type changed from {resource.guard!r} to {guard!r}") or changed
        resource.guard = resource.guard or guard
        changed |= bool(resource.trouble)
        resource.trouble = ""
        return changed

    def _inhibit(self, resource: Resource, text: str) -> bool:
        """Marks a resource as not to be written; its points are config errors. Returns whether that is news."""
        if resource.trouble == text:
            return False
        resource.trouble = text
        log.warning("resource.inhibited", resource=resource.label, reason=text)
        self.blank(resource, CONFIG_ERROR, text)
        return True

    def _missing(self, kind: KindSpec, gone: Sequence[Resource]) -> bool:
        changed = False
        for resource in gone:
            if resource.present or resource.trouble != "not present":
                changed = True
                log.warning("resource.missing", resource=resource.label)
            resource.present, resource.trouble = False, "not present"
            self.blank(resource, BAD, f"not present: no {kind.name} of this name is listed")
            self.children_gone(list(resource.children.values()))
            for child in resource.children.values():
                self.blank(child, BAD, f"not present: its {kind.name} is not listed")
        return changed

    def blank(self, resource: Resource, quality: Quality, reason: str) -> None:
        """Every measured point of a resource loses its value."""
        now = self._clock.monotonic()
        self._table.update((index, Sample(None, quality, reason, now)) for index in measured(resource))

    def _rename(self, resource: Resource, name: str) -> None:
        old = resource.label
        del self.resources[resource.source, resource.kind.name, resource.name]
        resource.name = name
        self.resources[resource.source, resource.kind.name, name] = resource
        for point, index in resource.indices.items():
            self._table.rename(index, point_name(resource.source, resource.kind.name, name, point))
        self._place(resource)
        log.info("resource.renamed", old=old, new=resource.label)
        for ident, child in resource.children.items():
            named = f"{name}#{ident}"
            if child.name is not None and self._book.rename(child.source, child.kind.name, child.name, named):
                self._rename(child, named)

    def _add(
        self, source: str, kind: KindSpec, name: str | None, ident: str | None, parent: Resource | None, trouble: str
    ) -> Resource:
        resource = Resource(source, kind, name, ident, parent, present=not trouble, trouble=trouble)
        specs = self._specs(kind)
        lives = {f"{s.name}.applied": s.stale_after_s for s in specs if s.command is not None}
        for spec in specs:
            full = point_name(source, kind.name, name, spec.name)
            resource.indices[spec.name] = self._table.add(full, spec, stale_after_s=lives.get(spec.name))
        for read in {spec.read for spec in specs if spec.read is not None}:
            resource.plans[read] = [
                (resource.indices[f"{s.name}.applied" if s.command else s.name], s, s.path, s.convert)
                for s in specs
                if s.read == read and s.path is not None
            ]
        self.resources[source, kind.name, name] = resource
        self.by_kind.setdefault((source, kind.name), []).append(resource)
        self._place(resource)
        return resource

    def _place(self, resource: Resource) -> None:
        kind = resource.kind
        entry = self._book.reserve(resource.source, kind.name, resource.name or resource.source, self._capacity(kind))
        block = entry.block if entry is not None else None
        if block is not None:
            self._by_block[resource.source, kind.name, block] = resource
        placed = place(
            self._specs(kind), kind, source=resource.source, name=resource.name, block=block, unit=self._unit
        )
        self._on_placed(resource, [(resource.indices[point.spec.name], point) for point in placed])
        self._saved()

    def _specs(self, kind: KindSpec) -> list[PointSpec]:
        specs = self._expanded.get(id(kind))
        if specs is None:
            specs = self._expanded[id(kind)] = expand(kind, *self._orders)
        return specs

    def _capacity(self, kind: KindSpec) -> int:
        capacities = [region.capacity for region in (kind.modbus, kind.bacnet) if region is not None]
        return min(capacities, default=1 << 20)

    def _count_full(self, source: str, kind: str, count: int) -> None:
        if count > self.unassigned.get((source, kind), 0):
            log.warning("addresses.full", source=source, kind=kind, without_address=count)
        self.unassigned[source, kind] = count

    def _saved(self) -> None:
        if self._book.dirty:
            self._on_dirty()


def measured(resource: Resource) -> list[int]:
    """The points that come from the product: all but receipts' own, status words and what is asked."""
    points = resource.kind.points
    names = [f"{name}.applied" if spec.command else name for name, spec in points.items() if not spec.builtin]
    return [resource.indices[name] for name in names]


def _excluded(kind: str, name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(f"{kind}/{name}", pattern) for pattern in patterns)


__all__ = ["Inventory", "Resource", "measured"]
