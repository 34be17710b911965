"""Documents to samples: the paths of a mapping applied to one answer, in one synchronous step.

Rules of this file: one answer is one table update; a value that needs another point of the same answer finds it
there; one that needs a point not read yet waits with its document and keeps the time of its own answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from gateway.core.point import Factor, KindSpec, PointSpec
from gateway.core.value import (
    BAD,
    CONFIG_ERROR,
    GOOD,
    STALE,
    Converter,
    Sample,
    Value,
    json_text,
    number_converter,
    shorten,
)
from gateway.engine.inventory import Inventory
from gateway.engine.ports import Clock, Reading
from gateway.engine.resource import Resource
from gateway.engine.table import PointTable

KEEP_S = 30.0
"""How long an answer waits for the scale or default it needs."""


@dataclass(frozen=True, slots=True)
class ReadBack:
    """What the product says of a commandable point: the raw value, whether it says "no limit", and `verify`."""

    resource: Resource
    point: PointSpec
    raw: Any
    none: bool
    verified: bool
    reading: Reading


class Document(NamedTuple):
    """One resource's part of an answer; `absent` when a bulk answer did not hold it."""

    resource: Resource
    read: str
    body: Any
    reading: Reading
    time: float
    absent: bool = False


@dataclass(slots=True)
class _Step:
    """One synchronous step under construction; a point's newest sample wins."""

    samples: dict[int, Sample]
    read_backs: list[ReadBack]


class Intake:
    """Applies documents to the table and tells the command desk what was read back."""

    def __init__(
        self, table: PointTable, inventory: Inventory, clock: Clock, on_read_back: Callable[[ReadBack], None]
    ) -> None:
        self._table, self._inventory, self._clock = table, inventory, clock
        self._on_read_back = on_read_back
        self._inner: dict[tuple[int, str], list[KindSpec]] = {}
        self._waiting: dict[tuple[Resource, str], Document] = {}
        self.seen: dict[tuple[Resource, str], Document] = {}
        """The newest document of every resource and read, for people who ask where a value comes from."""
        self._step: dict[int, Sample] = {}

    def learn(self, kinds: list[KindSpec]) -> None:
        """Notes which kinds live inside which, before the first document."""
        for outer in kinds:
            for inner in kinds:
                if inner.within is not None and inner.within.parent == outer.name:
                    self._inner.setdefault((id(outer), inner.within.read), []).append(inner)

    def forget(self) -> None:
        """Kinds have changed: `learn` is called for each source again; answers that still waited are dropped."""
        self._inner.clear()
        self._waiting.clear()
        self.seen.clear()

    def take(
        self,
        read: str,
        documents: Iterable[tuple[Resource, Any]],
        reading: Reading,
        *,
        absent: Iterable[Resource] = (),
    ) -> None:
        """One answer (of one resource or many) into the table at once; read-backs are told afterwards.

        `absent` are resources that a bulk answer should have held and did not.
        """
        now = self._clock.monotonic()
        news = [Document(resource, read, body, reading, now) for resource, body in documents]
        news += [Document(resource, read, None, reading, now, absent=True) for resource in absent]
        self._apply(news)
        if self._waiting:
            owners = {document.resource for document in news}
            ready = [key for key, old in self._waiting.items() if key[0] in owners and self._complete(old, now)]
            if ready:
                self._apply([self._waiting.pop(key) for key in ready])

    def _complete(self, old: Document, now: float) -> bool:
        """Whether what an earlier answer waited for is known, while that answer is still young."""
        if now - old.time > KEEP_S:
            return False
        for _, spec, _, _ in old.resource.plans.get(old.read, ()):
            factors = (spec.scale, spec.offset, spec.command.default if spec.command else None)
            if any(factor is not None and self.resolve(old.resource, factor) is None for factor in factors):
                return False
        return True

    def _apply(self, documents: list[Document]) -> None:
        step = _Step({}, [])
        self._step = step.samples
        try:
            for document in documents:
                self._resource(document, step)
        finally:
            self._step = {}
        self._table.update(step.samples.items())
        if self._inventory.counters:
            self._inventory.counters.compare(step.samples)
        for read_back in step.read_backs:
            self._on_read_back(read_back)

    def _resource(self, document: Document, step: _Step) -> None:
        """Points that need another point's value come last, so that they find it if this answer holds it."""
        resource, read, now = document.resource, document.read, document.time
        self._waiting.pop((resource, read), None)
        self.seen[resource, read] = document
        late = []
        samples, body = step.samples, document.body
        for row in resource.plans.get(read, ()):
            index, spec, path, convert = row
            if document.absent:
                samples[index] = Sample(None, BAD, f"the answer of {read} does not hold it", now)
            elif convert is None or spec.command is not None:
                late.append(row)
            else:
                raw = path.get(body) if body is not None else None
                samples[index] = convert(raw, now) if raw is not None else _nothing(spec, now)
        for index, spec, path, convert in late:
            raw = path.get(body) if body is not None else None
            if spec.command is not None:
                samples[index] = self._command(document, spec, raw, step)
            elif raw is None:
                samples[index] = _nothing(spec, now)
            else:
                samples[index] = self._converter(document, spec, convert)(raw, now)
        for kind in self._inner.get((id(resource.kind), read), ()):
            self._children(document, kind, step)

    def _children(self, document: Document, kind: KindSpec, step: _Step) -> None:
        within, parent = kind.within, document.resource
        if within is None:
            return
        items = within.items(document.body) if document.body is not None else None
        found: dict[str, list[Any]] = {}
        for key, item in _pairs(items):
            ident = key if within.by_key else json_text(within.id(item))
            if ident is not None:
                found.setdefault(ident, []).append(item)
        for ident, twins in found.items():
            child = self._inventory.child(parent, kind, ident)
            if child is None:
                continue
            if len(twins) == 1:
                self._resource(Document(child, document.read, twins[0], document.reading, document.time), step)
            else:
                text = f"{len(twins)} {kind.name}s have the id {shorten(ident)}"
                self._blank(child, document, Sample(None, CONFIG_ERROR, text, document.time), step)
        gone = [child for ident, child in parent.children.items() if child.kind is kind and ident not in found]
        self._inventory.children_gone(gone)
        for child in gone:
            self._blank(child, document, Sample(None, BAD, "not present in its parent's answer", document.time), step)

    @staticmethod
    def _blank(child: Resource, document: Document, sample: Sample, step: _Step) -> None:
        for index, *_ in child.plans.get(document.read, ()):
            step.samples[index] = sample

    def _command(self, document: Document, spec: PointSpec, raw: Any, step: _Step) -> Sample:
        """`.applied` of a commandable point: `default` while the product says that no limit is in force."""
        command, resource, body, now = spec.command, document.resource, document.body, document.time
        if command is None:
            raise ValueError(spec.name)
        none = body is None or bool(command.none_when and command.none_when(body) is True)
        verified = command.verify is None or (body is not None and command.verify(body) is True)
        if none:
            default = self.resolve(resource, command.default)
            step.read_backs.append(ReadBack(resource, spec, None, none, verified, document.reading))
            if default is None:
                self._waiting[resource, document.read] = document
                return Sample(None, BAD, "no limit in force, and its default is not known yet", now)
            value: Value = bool(default) if spec.kind == "bool" else int(default) if spec.kind == "enum" else default
            return Sample(value, GOOD, "", now)
        if raw is None:
            return _nothing(spec, now)
        sample = self._converter(document, spec, spec.convert)(raw, now)
        if sample.quality is GOOD:
            step.read_backs.append(ReadBack(resource, spec, raw, none, verified, document.reading))
        return sample

    def resolve(self, resource: Resource, factor: Factor | None, *, last: bool = False) -> float | None:
        """A number, or the usable value of the point it names times `by`; None while that has none.

        `last`: the newest value there ever was will do (limits and defaults outlive an outage).
        """
        if factor is None:
            return None
        if factor.point is None:
            return factor.number
        index = resource.indices.get(factor.point)
        if index is None:
            return None
        value: Value | None
        if index in self._step:
            new = self._step[index]
            value = new.value if new.quality <= STALE else None
        else:
            value = self._table.good_value(index)
        if value is None and last:
            value = self._table.last_value(index)
        return float(value) * factor.by if isinstance(value, (int, float)) else None

    def _converter(self, document: Document, spec: PointSpec, fixed: Converter | None) -> Converter:
        """The point's own converter, or one whose scale or offset another point gives."""
        if fixed is not None:
            return fixed
        scale, offset = self.resolve(document.resource, spec.scale), self.resolve(document.resource, spec.offset)
        if scale is None or offset is None:
            self._waiting[document.resource, document.read] = document
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
