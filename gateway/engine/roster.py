"""All resources with their points and addresses: how one is added, placed, renamed, and loses its values.

Rules of this file: a resource, once known, keeps its points and addresses while the process lives; names change
all at once, so that two resources can trade theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

import structlog

from gateway.addressing import (
    AddressBook,
    DevicePlan,
    Entry,
    PlacedDevice,
    PlacedPoint,
    UnitPlan,
    expand,
    parent_of,
    place,
)
from gateway.addressing.corrections import remedy
from gateway.core.point import SOURCE_KIND, KindSpec, PointSpec, not_yet, point_name
from gateway.core.registers import Order
from gateway.core.value import BAD, CONFIG_ERROR, Quality, Sample
from gateway.engine.ports import Clock
from gateway.engine.resource import NOT_PRESENT, NOT_READ, Resource, converter_of
from gateway.engine.table import PointTable
from gateway.engine.unassigned import Unassigned

log = structlog.get_logger("inventory")


class Roster:
    """All resources of all sources, under their names and their blocks.

    `unassigned` counts the resources of a source and kind without an address: listed without a block, or served in
    no Modbus unit (`unitless` of them) or no BACnet device (`deviceless`).
    """

    def __init__(
        self,
        table: PointTable,
        book: AddressBook,
        clock: Clock,
        *,
        word_order: Order,
        byte_order: Order,
        units: UnitPlan,
        devices: DevicePlan | None = None,
        on_placed: Callable[[Resource, Sequence[tuple[int, PlacedPoint]]], None],
        on_dirty: Callable[[], None],
        on_lost: Callable[[str], None] = lambda _source: None,
    ) -> None:
        self._table, self._book, self._clock = table, book, clock
        self._orders = (word_order, byte_order)
        self._units, self._devices = units, devices or DevicePlan(book)
        self._on_placed, self._on_dirty, self._on_lost = on_placed, on_dirty, on_lost
        self.resources: dict[tuple[str, str, str | None], Resource] = {}
        self.by_kind: dict[tuple[str, str], list[Resource]] = {}
        self._by_block: dict[tuple[str, str, int], Resource] = {}
        self._homeless = Unassigned()
        self.unassigned, self.unitless = self._homeless.counts, self._homeless.unitless
        self.deviceless = self._homeless.deviceless
        self._expanded: dict[int, list[PointSpec]] = {}
        self._exclude: dict[str, Sequence[str]] = {}
        self.generation = 0

    def owner(self, index: int) -> Resource | None:
        """The resource a point of the table belongs to; looks through all of them."""
        return next((one for one in self.resources.values() if index in one.indices.values()), None)

    def of(self, source: str, kind: str) -> Sequence[Resource]:
        """The resources of one kind of one source, by block."""
        return self.by_kind.get((source, kind), ())

    def single(self, source: str, kind: KindSpec) -> Resource:
        """The one resource of a kind without a list."""
        resource = self.resources.get((source, kind.name, None)) or self._add(source, kind, None, None, None, "")
        self._homeless.tell(source, kind.name)
        return resource

    def blank(self, resource: Resource, quality: Quality, reason: str) -> None:
        """Every measured point of a resource loses its value."""
        now = self._clock.monotonic()
        self._table.update((index, Sample(None, quality, reason, now)) for index in measured(resource))

    # -- before the product answers ------------------------------------------------------------------------------

    def restore(self, source: str, kind: KindSpec, expected: Sequence[str], exclude: Sequence[str] = ()) -> None:
        """Serves what the address book knows, and what is expected, before the product has answered.

        Forgotten and excluded names keep their blocks and are not served.
        """
        if kind.within is not None:
            return
        self._exclude[source] = exclude
        capacity = self._capacity(kind)
        full = sum(self._book.reserve(source, kind.name, name, capacity) is None for name in expected)
        for entry in self._book.of(source, kind.name):
            hidden = entry.forgotten or self._is_excluded(source, kind, entry.name)
            if (source, kind.name, entry.name) in self.resources or (hidden and entry.name not in expected):
                continue
            resource = self._add(source, kind, entry.name, entry.id, None, NOT_READ)
            if entry.waits:
                resource.trouble = self.waiting_text(entry)
                self.blank(resource, CONFIG_ERROR, resource.trouble)
        self._homeless.listed(source, kind.name, full)

    def restore_children(self, source: str, kind: KindSpec) -> None:
        """As restore, for a kind that lives inside another; call it after its parent kind."""
        if kind.within is None:
            return
        outer = kind.within.parent
        parents = {parent.name or outer: parent for parent in self.of(source, outer)}
        for entry in self._book.of(source, kind.name):
            name = parent_of(entry.name, parents)
            if name is None or entry.forgotten or self._is_excluded(source, kind, entry.name):
                continue
            parent, ident = parents[name], entry.name[len(name) + 1 :]
            if ident not in parent.children:
                parent.children[ident] = self._add(source, kind, entry.name, ident, parent, NOT_READ)
        self._homeless.tell(source, kind.name)

    # -- what lives inside another -------------------------------------------------------------------------------

    def child(self, parent: Resource, kind: KindSpec, ident: str) -> Resource | None:
        """The child `<parent>#<id>` of a kind within another, made if new; None when its region is full."""
        known = parent.children.get(ident)
        if known is not None:
            self.generation += not known.present
            known.present, known.trouble = True, parent.trouble
            if known.dismissed:
                self._revive(known)
            return known
        name = f"{parent.name or parent.kind.name}#{ident}"
        if self._is_excluded(parent.source, kind, name) or (parent.source, kind.name, name) in self.resources:
            return None
        entry = self._book.reserve(parent.source, kind.name, name, self._capacity(kind))
        if entry is None:
            self._homeless.inner(parent.source, kind.name, name)
            return None
        entry.id = ident
        self._book.revive(entry)
        resource = self._add(parent.source, kind, name, ident, parent, "")
        parent.children[ident] = resource
        self._homeless.tell(parent.source, kind.name)
        self.generation += 1
        return resource

    def _revive(self, resource: Resource) -> None:
        entry = self._book.find(resource.source, resource.kind.name, resource.name or "")
        resource.dismissed = False
        if entry is not None:
            self._book.revive(entry)
            self._saved()

    def children_gone(self, children: Sequence[Resource]) -> None:
        """A parent's answer no longer holds these; the caller blanks their points in the same step."""
        for child in children:
            self.generation += child.present
            if not child.dismissed:
                child.present, child.trouble = False, NOT_PRESENT

    def _is_excluded(self, source: str, kind: KindSpec, name: str) -> bool:
        return excludes(self._exclude.get(source, ()), kind, name)

    # -- adding and placing --------------------------------------------------------------------------------------

    def _add(
        self, source: str, kind: KindSpec, name: str | None, ident: str | None, parent: Resource | None, trouble: str
    ) -> Resource:
        self._clear_way(source, kind.name, name)
        resource = Resource(source, kind, name, ident, parent, present=not trouble, trouble=trouble)
        specs = self._specs(kind)
        lives = lives_of(specs)
        for spec in specs:
            full = point_name(source, kind.name, name, spec.name)
            resource.indices[spec.name] = self._table.add(full, spec, not_yet(spec), stale_after_s=lives.get(spec.name))
        plan_rows(resource, specs)
        entry = self._book.reserve(source, kind.name, name or source, self._capacity(kind))
        if entry is not None:
            resource.block = entry.block
            self._by_block[source, kind.name, entry.block] = resource
            self._seat(resource, entry)
        self.resources[source, kind.name, name] = resource
        self.by_kind.setdefault((source, kind.name), []).append(resource)
        self._place(resource)
        return resource

    def _seat(self, resource: Resource, entry: Entry) -> None:
        """Where its registers and objects stand; one that finds every unit or device taken is counted."""
        kind, outermost = resource.kind, resource.outermost
        owner = self._book.find(outermost.source, outermost.kind.name, outermost.name or outermost.source)
        if kind.modbus is not None or kind.actions_at is not None:
            resource.seat = self._units.seat(entry, owner)
            if resource.seat is None:
                self._homeless.unit(resource.source, kind.name)
        if kind.bacnet is not None:
            resource.stand = self._devices.stand(entry, owner)
            if resource.stand is None:
                self._homeless.device(resource.source, kind.name)

    def _place(self, resource: Resource) -> None:
        stand = resource.stand
        device = None
        if stand is not None and stand.device is not None:
            device = PlacedDevice(stand.device, resource.outermost.label)
        placed = place(
            self._specs(resource.kind),
            resource.kind,
            source=resource.source,
            name=resource.name,
            block=stand.block if stand is not None else None,
            seat=resource.seat,
            device=device,
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

    def _saved(self) -> None:
        if self._book.dirty:
            self._on_dirty()

    # -- other names ---------------------------------------------------------------------------------------------

    def _rename(self, resource: Resource, name: str) -> None:
        """Takes a new name of the product's; what lives inside follows unless that name has a block already."""
        old = resource.label
        self._relabel(resource, name)
        log.info("resource.renamed", old=old, new=resource.label)
        for ident, child in resource.children.items():
            named = f"{name}#{ident}"
            if child.name is not None and self._book.rename(child.source, child.kind.name, child.name, named):
                self._rename(child, named)

    def _relabel(self, resource: Resource, name: str) -> None:
        self._clear_way(resource.source, resource.kind.name, name)
        del self.resources[resource.source, resource.kind.name, resource.name]
        resource.name = name
        self.resources[resource.source, resource.kind.name, name] = resource
        for point, index in resource.indices.items():
            self._table.rename(index, point_name(resource.source, resource.kind.name, name, point))
        self._place(resource)

    def settle(self, source: str) -> None:
        """Brings a source's resources into line with the book after an operator's correction.

        Names first go aside and then to where they belong, in one step of the loop: nobody sees the way.
        """
        renamed: list[tuple[Resource, str]] = []
        for entry in self._book.entries:
            resource = self._by_block.get((source, entry.kind, entry.block)) if entry.source == source else None
            if resource is None or resource.name is None or entry.kind == SOURCE_KIND:
                continue
            if resource.parent is None and resource.id != entry.id:
                self._renumber(resource, entry.id)
            if entry.retired or entry.forgotten:
                self._dismiss(resource, "retired" if entry.retired else "forgotten")
            name = f"{entry.name} (retired, block {entry.block})" if entry.retired else entry.name
            if name != resource.name:
                renamed.append((resource, name))
        labels = {resource: resource.label for resource, _ in renamed}
        for resource, _ in renamed:
            self._relabel(resource, self._free(resource, f"(block {resource.block})"))
        for resource, name in renamed:
            self._relabel(resource, self._free(resource, name))
            log.info("resource.renamed", old=labels[resource], new=resource.label)
        self._adopt(source)
        self._on_lost(source)
        self.generation += 1
        self._saved()

    def _renumber(self, resource: Resource, ident: str | None) -> None:
        """It is another equipment now: neither its values nor its limits are those of the one it was."""
        resource.id = ident
        for one in (resource, *resource.children.values()):
            self._table.forget(measured(one), "its id was corrected; not read yet")

    def _free(self, resource: Resource, name: str) -> str:
        """A name that no other resource has: a product may call its own anything."""
        while self.resources.get((resource.source, resource.kind.name, name), resource) is not resource:
            name += "'"
        return name

    def _clear_way(self, source: str, kind: str, name: str | None) -> None:
        """Whoever was retired gives way to a product that uses the words under which it is still shown."""
        other = self.resources.get((source, kind, name))
        if other is not None and other.dismissed:
            self._relabel(other, self._free(other, f"{name}'"))

    def _dismiss(self, resource: Resource, what: str) -> None:
        """Out of use by the operator's word: no alarm, nothing to be read or written."""
        if not resource.dismissed:
            resource.present, resource.dismissed, resource.trouble = False, True, f"{what} by the operator"
            self.blank(resource, BAD, f"{what} by the operator")

    def _adopt(self, source: str) -> None:
        """Children whose parent's name went to another resource belong to that one now."""
        for (owner, _kind), resources in self.by_kind.items():
            if owner != source or resources[0].kind.within is None:
                continue
            outer = resources[0].kind.within.parent
            parents = {parent.name: parent for parent in self.of(source, outer) if parent.name is not None}
            for child in resources:
                name = parent_of(child.name or "", parents)
                parent = parents[name] if name is not None else None
                if parent is None or parent is child.parent or child.dismissed:
                    continue
                ident = (child.name or "")[len(name or "") + 1 :]
                if child.parent is not None:
                    child.parent.children.pop(ident, None)
                child.parent = parent
                parent.children[ident] = child

    def waiting_text(self, entry: Entry) -> str:
        """Why an entry is inhibited until it is confirmed or pinned, and how to do that."""
        if entry.new_name is None:
            why = f"its type changed from {entry.guard!r} to {entry.new_guard!r}"
        elif entry.new_name != entry.name:
            why = f"id {entry.id} is now named {entry.new_name!r}: names were swapped"
        elif entry.name.startswith("#"):
            why = f"it has no name, and its id {entry.id} came with another certificate"
        else:
            why = f"its name was found again as id {entry.id} while swapped names waited"
        return f"{why}; {remedy(entry, self._book)}"

    def _inhibit(self, resource: Resource, text: str) -> bool:
        """Marks a resource as not to be written; its points are config errors. Returns whether that is news."""
        if resource.trouble == text:
            return False
        resource.trouble = text
        log.warning("resource.inhibited", resource=resource.label, reason=text)
        self.blank(resource, CONFIG_ERROR, text)
        return True


def excludes(patterns: Sequence[str], kind: KindSpec, name: str) -> bool:
    """Whether a resource is not to be served."""
    return any(fnmatchcase(f"{kind.name}/{name}", pattern) for pattern in patterns)


def lives_of(specs: Sequence[PointSpec]) -> dict[str, float]:
    """How long the points that show a command's reading stay fresh, by name: as long as the command's own."""
    return {f"{spec.name}.applied": spec.stale_after_s for spec in specs if spec.command is not None}


def plan_rows(resource: Resource, specs: Sequence[PointSpec]) -> None:
    """Which points of a resource each read fills."""
    resource.plans = {
        read: [
            (resource.indices[f"{s.name}.applied" if s.command else s.name], s, s.path, converter_of(s))
            for s in specs
            if s.read == read and s.path is not None
        ]
        for read in {spec.read for spec in specs if spec.read is not None}
    }


def measured(resource: Resource) -> list[int]:
    """The points that come from the product: all but receipts' own, status words and what is asked."""
    points = resource.kind.points
    names = [f"{name}.applied" if spec.command else name for name, spec in points.items() if not spec.builtin]
    return [resource.indices[name] for name in names]
