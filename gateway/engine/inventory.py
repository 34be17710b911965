"""Which resources exist: list answers matched to blocks, points added to the table, names kept honest.

Rules of this file: a resource, once known, keeps its points and addresses while the process lives; one that is
not present says so; one whose name is ambiguous or swapped is inhibited, and nothing is ever sent to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import structlog

from gateway.addressing import AddressBook, Assignment, Match, PlacedPoint, expand, place
from gateway.core.point import KindSpec, Path, PointSpec, point_name
from gateway.core.registers import Order
from gateway.core.value import BAD, CONFIG_ERROR, Converter, Quality, Sample
from gateway.engine.ports import Clock, Listed
from gateway.engine.table import PointTable

EMPTY_POLLS = 3
log = structlog.get_logger("inventory")

PlanRow = tuple[int, PointSpec, Path, Converter | None]


@dataclass(eq=False, slots=True)
class Resource:
    """One zone, station, ... with the table indices of its points.

    `trouble` says why it must not be written ("" when all is well); `id` is the product's newest id.
    """

    source: str
    kind: KindSpec
    name: str | None
    id: str | None
    parent: Resource | None
    indices: dict[str, int] = field(default_factory=dict)
    children: dict[str, Resource] = field(default_factory=dict)
    members: list[str] | None = None
    present: bool = False
    trouble: str = "not read yet"
    guard: str | None = None
    plans: dict[str, list[PlanRow]] = field(default_factory=dict)

    @property
    def path_values(self) -> dict[str, str]:
        """What `{id}` and `{parent.id}` stand for."""
        values = {"id": self.id} if self.id is not None else {}
        if self.parent is not None and self.parent.id is not None:
            values["parent.id"] = self.parent.id
        return values

    @property
    def label(self) -> str:
        """The name of a person's liking: `source/kind/name`."""
        return point_name(self.source, self.kind.name, self.name, "").rstrip("/")


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

    def listed(self, source: str, kind: KindSpec, answer: Sequence[Listed], exclude: Sequence[str]) -> bool:
        """Takes a list answer; returns whether resources came, went or changed their id or name."""
        key = (source, kind.name)
        wanted = [item for item in answer if not _excluded(kind.name, item.name, exclude)]
        if not wanted and self.of(*key) and self._empty.get(key, 0) < EMPTY_POLLS - 1:
            self._empty[key] = self._empty.get(key, 0) + 1
            return False
        self._empty[key] = 0
        guards = {item.id: item.guard for item in wanted}
        assignments = self._book.assign(source, kind.name, [(i.id, i.name) for i in wanted], self._capacity(kind))
        changed = False
        seen: set[Resource] = set()
        full = 0
        for item in assignments:
            full += item.match is Match.FULL
            resource, news = self._take(source, kind, item)
            changed |= news
            if resource is not None:
                seen.add(resource)
                self._guard(resource, guards.get(item.id))
        changed |= self._missing(kind, [r for r in self.of(*key) if r not in seen])
        self._count_full(source, kind.name, full)
        self._saved()
        self.generation += changed
        return changed

    def child(self, parent: Resource, kind: KindSpec, ident: str) -> Resource | None:
        """The child `<parent>#<id>` of a kind within another, made if new; None when its region is full."""
        known = parent.children.get(ident)
        if known is not None:
            known.present, known.trouble = True, parent.trouble
            return known
        name = f"{parent.name or parent.kind.name}#{ident}"
        entry = self._book.reserve(parent.source, kind.name, name, self._capacity(kind))
        self._saved()
        if entry is None:
            self._count_full(parent.source, kind.name, self.unassigned.get((parent.source, kind.name), 0) + 1)
            return None
        entry.id = ident
        resource = self._add(parent.source, kind, name, ident, parent, "")
        parent.children[ident] = resource
        self.generation += 1
        return resource

    def _take(self, source: str, kind: KindSpec, item: Assignment) -> tuple[Resource | None, bool]:
        """Brings one assignment into force; returns its resource and whether anything changed."""
        if item.match is Match.FULL:
            return None, False
        if item.match is Match.DUPLICATE:
            resource = self.resources.get((source, kind.name, item.name))
            text = f"two or more {kind.name}s are named {item.name!r}"
            return resource, resource is not None and self._inhibit(resource, text)
        entry = item.entry
        if entry is None:
            return None, False
        resource = self._by_block.get((source, kind.name, entry.block))
        if item.match is Match.SWAPPED:
            text = f"id {item.id} is now named {item.name!r}: names were swapped; confirm with `addresses confirm`"
            return resource, resource is not None and self._inhibit(resource, text)
        if resource is None:
            resource = self._add(source, kind, entry.name, entry.id, None, "")
            log.info("resource.new", resource=resource.label, id=item.id, block=entry.block)
            return resource, True
        changed = not resource.present or resource.id != item.id or bool(resource.trouble)
        if resource.name != item.name:
            self._rename(resource, item.name)
            changed = True
        if resource.id is not None and resource.id != item.id:
            log.info("resource.rebound", resource=resource.label, old_id=resource.id, id=item.id)
        resource.id, resource.present, resource.trouble = item.id, True, ""
        return resource, changed

    def _guard(self, resource: Resource, guard: str | None) -> None:
        if resource.guard is not None and guard is not None and guard != resource.guard:
            self._inhibit(resource, f"its type changed from {resource.guard!r} to {guard!r}")
        elif resource.guard is None:
            resource.guard = guard

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
            for child in resource.children.values():
                child.present, child.trouble = False, "not present"
                self.blank(child, BAD, f"not present: its {kind.name} is not listed")
        return changed

    def blank(self, resource: Resource, quality: Quality, reason: str) -> None:
        """Every measured point of a resource loses its value."""
        now = self._clock.monotonic()
        skip = {name for name, index in resource.indices.items() if self._table.specs[index].builtin}
        keep = {f"{name}.applied" for name, spec in resource.kind.points.items() if spec.command}
        commands = {name for name, spec in resource.kind.points.items() if spec.command}
        self._table.update(
            (index, Sample(None, quality, reason, now))
            for name, index in resource.indices.items()
            if (name not in skip or name in keep) and name not in commands
        )

    def _rename(self, resource: Resource, name: str) -> None:
        old = resource.label
        del self.resources[resource.source, resource.kind.name, resource.name]
        resource.name = name
        self.resources[resource.source, resource.kind.name, name] = resource
        for point, index in resource.indices.items():
            self._table.rename(index, point_name(resource.source, resource.kind.name, name, point))
        self._place(resource)
        log.info("resource.renamed", old=old, new=resource.label)

    def _add(
        self, source: str, kind: KindSpec, name: str | None, ident: str | None, parent: Resource | None, trouble: str
    ) -> Resource:
        resource = Resource(source, kind, name, ident, parent, present=not trouble, trouble=trouble)
        specs = self._specs(kind)
        for spec in specs:
            full = point_name(source, kind.name, name, spec.name)
            resource.indices[spec.name] = self._table.add(full, spec)
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


def _excluded(kind: str, name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(f"{kind}/{name}", pattern) for pattern in patterns)


def resource_of(resources: Mapping[tuple[str, str, str | None], Resource], label: str) -> Resource | None:
    """The resource with a label `source/kind/name`."""
    return next((resource for resource in resources.values() if resource.label == label), None)
