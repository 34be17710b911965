"""An inventory whose sources, kinds and units may change while the gateway runs.

Rules of this file: a resource that still exists goes on as it is, with its id, its trouble and its points; a point
that still means the same keeps its value; one that does not is not read yet; all of it in one step of the loop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from gateway.addressing import AddressBook, DevicePlan, UnitPlan
from gateway.core.point import SOURCE_KIND, KindSpec, PointSpec, not_yet, point_name
from gateway.core.registers import Order
from gateway.engine.inventory import Inventory
from gateway.engine.likeness import Likeness, same_value
from gateway.engine.resource import Resource
from gateway.engine.roster import excludes, lives_of, plan_rows

CHANGED = "its mapping was changed; not read yet"
GONE = "not in the configuration any more"


@dataclass(frozen=True, slots=True)
class Layout:
    """What a source is to have: its kinds, the names that are expected, and those that are not served."""

    kinds: Sequence[KindSpec]
    expect: Mapping[str, Sequence[str]] = field(default_factory=dict)
    exclude: Sequence[str] = ()


class LiveInventory(Inventory):
    """The inventory of a gateway that reloads."""

    def without(self, source: str, layout: Layout | None) -> list[Resource]:
        """The resources that a source loses under a new layout (None: it is no more), and what lives inside them."""
        kinds = {kind.name: kind for kind in layout.kinds} if layout is not None else {}
        lost: dict[Resource, None] = {}
        for resource in [r for r in self.resources.values() if r.source == source]:
            kind = kinds.get(resource.kind.name)
            if layout is None or kind is None or _nature(kind) != _nature(resource.kind) or _hidden(resource, layout):
                lost |= dict.fromkeys([resource, *_inside(resource)])
        return list(lost)

    def lay_out(self, book: AddressBook, units: UnitPlan, devices: DevicePlan, orders: tuple[Order, Order]) -> None:
        """What all addresses come from, from now on; then come `drop` and `remake` of whatever has changed."""
        self._book, self._units, self._devices, self._orders = book, units, devices, orders
        self._expanded.clear()
        self._likeness = Likeness()
        self.generation += 1

    def leave(self, source: str) -> None:
        """A source is no more; its resources were dropped."""
        self._homeless.forget(source)
        self._exclude.pop(source, None)

    def drop(self, resource: Resource) -> None:
        """Takes a resource out: nobody finds it or its points any more; its address stays its own."""
        key = (resource.source, resource.kind.name)
        del self.resources[*key, resource.name]
        self.by_kind[key].remove(resource)
        if not self.by_kind[key]:
            del self.by_kind[key]
            self._answers.pop(key, None)
            self.lookalikes.pop(key, None)
        if resource.block is not None:
            self._by_block.pop((*key, resource.block), None)
        if resource.parent is not None and resource.parent.children.get(resource.id or "") is resource:
            del resource.parent.children[resource.id or ""]
        self._gone.pop(resource, None)
        resource.present, resource.trouble, resource.resolved = False, GONE, -1
        self._retire(list(resource.indices.values()))

    def _retire(self, indices: Sequence[int]) -> None:
        self.counters.forget(indices)
        self._table.retire(indices)

    def remake(self, source: str, layout: Layout) -> None:
        """Brings what a source still has into its new form, parents first."""
        self._homeless.forget(source)
        for kind in layout.kinds:
            for resource in list(self.of(source, kind.name)):
                self._remake(resource, kind)
            answer = self._answers.get((source, kind.name))
            if answer is not None:
                self._answers[source, kind.name] = replace(answer, kind=kind, exclude=layout.exclude)
        self._exclude[source] = layout.exclude
        for kind in layout.kinds:
            self._homeless.tell(source, kind.name)

    def _remake(self, resource: Resource, kind: KindSpec) -> None:
        old_kind, resource.kind = resource.kind, kind
        specs = self._specs(kind)
        self._respec(resource, old_kind, specs)
        plan_rows(resource, specs)
        entry = self._book.find(resource.source, kind.name, resource.name or resource.source)
        resource.seat = resource.stand = None
        if entry is not None and resource.block is not None:
            self._seat(resource, entry)
        self._place(resource)

    def _respec(self, resource: Resource, old_kind: KindSpec, specs: Sequence[PointSpec]) -> None:
        """Points that stay, come and go; what is not the same any more has no value yet."""
        table, lives, indices = self._table, lives_of(specs), dict[str, int]()
        respecs: dict[int, tuple[PointSpec, float | None]] = {}
        for spec in specs:
            known = resource.indices.get(spec.name)
            if known is not None:
                respecs[known] = (spec, lives.get(spec.name))
                indices[spec.name] = known
        new = [spec for spec in specs if spec.name not in indices]
        kind, same = resource.kind, self._likeness.same
        changed = [
            name
            for name, i in indices.items()
            if not same(table.specs[i], respecs[i][0], lambda old, new: same_value((old, old_kind), (new, kind)))
        ]
        measured = [f"{name}.applied" if f"{name}.applied" in indices else name for name in changed]
        self._retire([i for name, i in resource.indices.items() if name not in indices])
        table.respec(respecs)
        table.forget([indices[name] for name in measured], CHANGED)
        for spec in new:
            full = point_name(resource.source, resource.kind.name, resource.name, spec.name)
            indices[spec.name] = table.add(full, spec, not_yet(spec), stale_after_s=lives.get(spec.name))
        resource.indices = {spec.name: indices[spec.name] for spec in specs}

    def meet_anew(self, source: str) -> None:
        """Another product may answer from now on: nothing is sent before its names were read (C07).

        What the last one listed is nothing that a correction could take again.
        """
        for key in [key for key in self._answers if key[0] == source]:
            del self._answers[key]
        for resource in self.resources.values():
            if resource.source == source and resource.kind.name != SOURCE_KIND:
                resource.resolved = -1


def _hidden(resource: Resource, layout: Layout) -> bool:
    """Whether its name is excluded now; what is expected is served all the same."""
    kind, name = resource.kind, resource.name
    return name is not None and name not in layout.expect.get(kind.name, ()) and excludes(layout.exclude, kind, name)


def _nature(kind: KindSpec) -> tuple[bool, str]:
    """One, several by a list, or those inside another kind: between these nothing can be carried over."""
    return kind.list is None, kind.within.parent if kind.within is not None else ""


def _inside(resource: Resource) -> list[Resource]:
    return [one for child in resource.children.values() for one in (child, *_inside(child))]
