"""Documents to samples: the paths of a mapping applied to one answer, in one synchronous step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from gateway.core.point import Factor, KindSpec, PointSpec
from gateway.core.value import BAD, GOOD, Sample, Value, json_text, number_converter
from gateway.engine.inventory import Inventory, Resource
from gateway.engine.ports import Clock
from gateway.engine.table import PointTable

Batch = list[tuple[int, Sample]]


@dataclass(frozen=True, slots=True)
class ReadBack:
    """What the product says of a commandable point: the raw value, whether it says "no limit", and `verify`."""

    resource: Resource
    point: PointSpec
    raw: Any
    none: bool
    verified: bool


class Intake:
    """Applies documents to the table and tells the command desk what was read back."""

    def __init__(
        self, table: PointTable, inventory: Inventory, clock: Clock, on_read_back: Callable[[ReadBack], None]
    ) -> None:
        self._table, self._inventory, self._clock = table, inventory, clock
        self._on_read_back = on_read_back
        self._inner: dict[tuple[int, str], list[KindSpec]] = {}
        self._unresolved: dict[tuple[Resource, str], Any] = {}

    def learn(self, kinds: list[KindSpec]) -> None:
        """Notes which kinds live inside which, before the first document."""
        for outer in kinds:
            for inner in kinds:
                if inner.within is not None and inner.within.parent == outer.name:
                    self._inner.setdefault((id(outer), inner.within.read), []).append(inner)

    def take(self, read: str, documents: list[tuple[Resource, Any]]) -> None:
        """One answer (of one resource or many) into the table at once; read-backs are told afterwards."""
        again = self._step([(resource, read, document) for resource, document in documents])
        if again:
            self._step(again)

    def _step(self, documents: list[tuple[Resource, str, Any]]) -> list[tuple[Resource, str, Any]]:
        """One step; returns earlier documents that waited for a scale or default which may be known now."""
        now = self._clock.monotonic()
        batch: Batch = []
        read_backs: list[ReadBack] = []
        for resource, read, document in documents:
            self._unresolved.pop((resource, read), None)
            self._resource(resource, read, document, now, batch, read_backs)
        self._table.update(batch)
        for read_back in read_backs:
            self._on_read_back(read_back)
        if not self._unresolved:
            return []
        touched = {(resource, read) for resource, read, _ in documents}
        owners = {resource for resource, _ in touched}
        waiting = [key for key in self._unresolved if key[0] in owners and key not in touched]
        return [(*key, self._unresolved.pop(key)) for key in waiting]

    def missing(self, read: str, resources: list[Resource]) -> None:
        """A bulk answer did not hold these resources."""
        self.take(read, [(resource, {}) for resource in resources])

    def _resource(
        self,
        resource: Resource,
        read: str,
        document: Any,
        now: float,
        batch: Batch,
        read_backs: list[ReadBack],
    ) -> None:
        for index, spec, path, convert in resource.plans.get(read, ()):
            raw = path.get(document) if document is not None else None
            if spec.command is not None:
                sample, read_back = self._command(resource, spec, document, raw, now)
                batch.append((index, sample))
                if read_back is not None:
                    read_backs.append(read_back)
            elif raw is None:
                batch.append((index, _nothing(spec, now)))
            else:
                batch.append((index, (convert or self._dynamic(resource, spec, document))(raw, now)))
        for kind in self._inner.get((id(resource.kind), read), ()):
            self._children(resource, kind, read, document, now, batch, read_backs)

    def _children(
        self,
        parent: Resource,
        kind: KindSpec,
        read: str,
        document: Any,
        now: float,
        batch: Batch,
        read_backs: list[ReadBack],
    ) -> None:
        within = kind.within
        if within is None:
            return
        items = within.items(document) if document is not None else None
        seen: set[str] = set()
        for key, item in _pairs(items):
            ident = key if within.by_key else json_text(within.id(item))
            child = self._inventory.child(parent, kind, ident) if ident is not None else None
            if child is not None and ident is not None:
                seen.add(ident)
                self._resource(child, read, item, now, batch, read_backs)
        for ident, child in parent.children.items():
            if child.kind is kind and ident not in seen:
                child.present, child.trouble = False, "not present"
                for index, *_ in child.plans.get(read, ()):
                    batch.append((index, Sample(None, BAD, "not present in its parent's answer", now)))

    def _command(
        self, resource: Resource, spec: PointSpec, document: Any, raw: Any, now: float
    ) -> tuple[Sample, ReadBack | None]:
        """`.applied` of a commandable point: `default` while the product says that no limit is in force."""
        command = spec.command
        if command is None:
            raise ValueError(spec.name)
        none = document is None or bool(command.none_when and command.none_when(document) is True)
        verified = command.verify is None or (document is not None and command.verify(document) is True)
        if none:
            default = self.resolve(resource, command.default)
            if default is None:
                self._unresolved[resource, spec.read or ""] = document
                return Sample(None, BAD, "no limit in force, and its default is not known yet", now), None
            value: Value = bool(default) if spec.kind == "bool" else int(default) if spec.kind == "enum" else default
            return Sample(value, GOOD, "", now), ReadBack(resource, spec, None, none, verified)
        if raw is None:
            return _nothing(spec, now), None
        sample = (spec.convert or self._dynamic(resource, spec, document))(raw, now)
        if sample.quality is not GOOD:
            return sample, None
        return sample, ReadBack(resource, spec, raw, none, verified)

    def resolve(self, resource: Resource, factor: Factor | None) -> float | None:
        """A number, or the usable value of the point it names times `by`; None while that has none."""
        if factor is None:
            return None
        if factor.point is None:
            return factor.number
        index = resource.indices.get(factor.point)
        value = self._table.good_value(index) if index is not None else None
        return float(value) * factor.by if isinstance(value, (int, float)) else None

    def _dynamic(self, resource: Resource, spec: PointSpec, document: Any) -> Callable[[Any, float], Sample]:
        """A converter whose scale or offset another point gives."""
        scale, offset = self.resolve(resource, spec.scale), self.resolve(resource, spec.offset)
        if scale is None or offset is None:
            self._unresolved[resource, spec.read or ""] = document
            name = spec.scale.point if scale is None else spec.offset.point
            return lambda _raw, now: Sample(None, BAD, f"its scale needs {name}, which has no value", now)
        return number_converter(scale, offset, spec.limits)


def _nothing(spec: PointSpec, now: float) -> Sample:
    if spec.absent is not None:
        return Sample(spec.absent, GOOD, "", now)
    return Sample(None, BAD, f"the answer has no {spec.path.text if spec.path else spec.name}", now)


def _pairs(items: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(items, dict):
        yield from items.items()
    elif isinstance(items, list):
        for item in items:
            yield "", item
