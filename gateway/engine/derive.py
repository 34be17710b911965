"""Points computed from other points: sums and counts over members, children or a whole kind, and `member_of`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from gateway.core.point import DeriveOp, DeriveSpec
from gateway.core.value import BAD, CONFIG_ERROR, GOOD, STALE, Quality, Sample, Value
from gateway.engine.inventory import Inventory
from gateway.engine.ports import Clock
from gateway.engine.resource import Resource
from gateway.engine.table import Derivation, PointTable


class Derivations:
    """Keeps the table's derived points wired to their inputs as resources and memberships change."""

    def __init__(self, table: PointTable, inventory: Inventory, clock: Clock) -> None:
        self._table, self._inventory, self._clock = table, inventory, clock
        self._wired: dict[int, tuple[str, tuple[int, ...]]] = {}

    def forget(self) -> None:
        """What is derived from what may have changed: `wire` connects all of it anew."""
        self._wired.clear()

    def wire(self, source: str) -> None:
        """Connects every derived point of a source; cheap when nothing changed."""
        for (owner, _kind), resources in list(self._inventory.by_kind.items()):
            if owner != source:
                continue
            for resource in resources:
                for spec in resource.kind.points.values():
                    if spec.derive is not None:
                        self._derive(resource, resource.indices[spec.name], spec.derive)
        self._members(source)

    def _derive(self, resource: Resource, target: int, spec: DeriveSpec) -> None:
        """A resource that is not usable has no derived values either, whatever its inputs do."""
        inputs = self._inputs(resource, spec) if resource.usable else ()
        wiring = (resource.trouble, inputs or ())
        if inputs is None or self._wired.get(target) == wiring:
            return
        self._wired[target] = wiring
        self._table.derive(target, inputs, computation(spec) if resource.usable else _nothing(resource))

    def _inputs(self, resource: Resource, spec: DeriveSpec) -> tuple[int, ...] | None:
        """Indices of the inputs, None while the members are not known."""
        members = resource.kind.members
        if members is not None and members.of == spec.kind:
            if resource.members is None:
                return None
            by_id = {item.id: item for item in self._inventory.of(resource.source, spec.kind)}
            chosen = [by_id[ident] for ident in dict.fromkeys(resource.members) if ident in by_id]
        elif any(child.kind.name == spec.kind for child in resource.children.values()):
            chosen = [child for child in resource.children.values() if child.kind.name == spec.kind]
        else:
            chosen = list(self._inventory.of(resource.source, spec.kind))
        return tuple(item.indices[spec.point] for item in chosen if item.present)

    def _members(self, source: str) -> None:
        """The name of the resource each member belongs to; "to none" only once every membership is known."""
        batch: dict[int, Sample] = {}
        for (owner, point), groups in self._inventory.by_kind.items():
            members = groups[0].kind.members if groups else None
            if owner != source or members is None:
                continue
            items = [i for i in self._inventory.of(source, members.of) if point in i.indices and i.present]
            self._name_members(point, groups, {item.id: item.indices[point] for item in items}, batch)
        self._table.update(batch.items())

    def _name_members(
        self, point: str, groups: Sequence[Resource], by_id: dict[str | None, int], batch: dict[int, Sample]
    ) -> None:
        now = self._clock.monotonic()
        present = [group for group in groups if group.present]
        if all(group.members is not None for group in present):
            batch.update((index, Sample(None, BAD, f"belongs to no {point}", now)) for index in by_id.values())
        for group in present:
            for ident in group.members or ():
                if ident in by_id:
                    batch[by_id[ident]] = Sample(group.name or group.source, GOOD, "", now)


def _nothing(resource: Resource) -> Derivation:
    result = (None, CONFIG_ERROR if resource.present else BAD, resource.trouble or "not present")
    return lambda _samples: result


def computation(spec: DeriveSpec) -> Derivation:
    """The function of one derived point; a bad input makes it bad unless `skip_bad`."""
    reduce_by = _REDUCTIONS[spec.op]

    def compute(samples: Sequence[Sample]) -> tuple[Value | None, Quality, str]:
        usable = [s for s in samples if s.quality <= STALE and s.value is not None]
        bad = len(samples) - len(usable)
        if bad and not spec.skip_bad:
            return None, BAD, f"{bad} of {len(samples)} {spec.kind}s have no good {spec.point}"
        stale = any(s.quality is STALE for s in usable)
        if spec.op == "count":
            where = spec.where or frozenset()
            value: Value | None = sum(1 for s in usable if s.value in where)
        else:
            numbers = [s.value for s in usable if isinstance(s.value, (int, float))]
            value = reduce_by(numbers)
        if value is None:
            return None, BAD, f"there is no {spec.kind} with a {spec.point}"
        return value, STALE if stale else GOOD, "an input is stale" if stale else ""

    return compute


def _mean(numbers: Sequence[float]) -> float | None:
    return math.fsum(numbers) / len(numbers) if numbers else None


_REDUCTIONS: dict[DeriveOp, Callable[[Sequence[float]], float | None]] = {
    "sum": math.fsum,
    "count": len,
    "max": lambda numbers: max(numbers, default=None),
    "min": lambda numbers: min(numbers, default=None),
    "mean": _mean,
}
