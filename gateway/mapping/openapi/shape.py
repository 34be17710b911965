"""The shape of a JSON value: its types, members and items, whether it was seen in an answer or said by a schema.

A shape without types may be anything; what is asked of it is unknown, never wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

WORD_TYPES = ("boolean", "integer", "number", "string", "null")
_MOST_SEEN = 100


@dataclass(frozen=True, slots=True)
class Shape:
    """What a value can be.

    Attributes:
        types: JSON types; empty when nothing is known.
        members: of an object, by name.
        required: members that are always there.
        others: what further members hold (an object keyed by id); None when there are none.
        items: what an array holds.
        count: items of the array, or members of the object keyed by id, if known.
        texts: the enumeration a schema states, as JSON texts.
        seen: texts an answer held, in order; of no use as an enumeration.
        unit: as the schema states it, "" if it does not.
        description: the schema's.
        sample: one value, None when there is none.
    """

    types: frozenset[str] = frozenset()
    members: Mapping[str, Shape] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    others: Shape | None = None
    items: Shape | None = None
    count: int | None = None
    texts: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()
    unit: str = ""
    description: str = ""
    sample: object = None

    @property
    def is_known(self) -> bool:
        """Whether anything is known about the value."""
        return bool(self.types)

    def can_be(self, kind: str) -> bool:
        """Whether the value can be of a JSON type; `integer` is a `number`."""
        return not self.types or kind in self.types or (kind == "number" and "integer" in self.types)


ANY = Shape()


def of_type(kind: str) -> Shape:
    """A value of one type."""
    return Shape(frozenset({kind}))


def either(first: Shape, second: Shape) -> Shape:
    """One or the other: items of one array, alternatives of a schema."""
    if first == second:
        return first
    known = first.is_known and second.is_known
    types = _types(first.types | second.types) if known else frozenset[str]()
    objects = [shape for shape in (first, second) if "object" in shape.types]
    required = first.required & second.required if len(objects) == 2 else first.required | second.required
    return Shape(
        types=types,
        members=_union(first.members, second.members),
        required=required,
        others=_joined(first.others, second.others),
        items=_joined(first.items, second.items),
        count=first.count if first.count == second.count else None,
        texts=_texts(first, second),
        seen=tuple(dict.fromkeys((*first.seen, *second.seen)))[:_MOST_SEEN],
        unit=first.unit or second.unit,
        description=first.description or second.description,
        sample=second.sample if first.sample is None else first.sample,
    )


def both(first: Shape, second: Shape) -> Shape:
    """All of both: the parts of an `allOf`."""
    types = first.types & second.types if first.types and second.types else first.types | second.types
    shared = first.members.keys() & second.members.keys()
    members = {**first.members, **second.members}
    members |= {name: both(first.members[name], second.members[name]) for name in shared}
    return Shape(
        types=types,
        members=members,
        required=first.required | second.required,
        others=second.others if first.others is None else first.others,
        items=second.items if first.items is None else first.items,
        count=second.count if first.count is None else first.count,
        texts=second.texts or first.texts,
        unit=second.unit or first.unit,
        description=second.description or first.description,
        sample=first.sample if second.sample is None else second.sample,
    )


def without_null(shape: Shape) -> Shape:
    """The shape of the value when it is there."""
    return replace(shape, types=shape.types - {"null"}) if shape.types - {"null"} else shape


def _types(types: frozenset[str]) -> frozenset[str]:
    return types - {"integer"} if "number" in types else types


def _union(first: Mapping[str, Shape], second: Mapping[str, Shape]) -> dict[str, Shape]:
    joined = dict(first)
    for name, shape in second.items():
        joined[name] = either(joined[name], shape) if name in joined else shape
    return joined


def _joined(first: Shape | None, second: Shape | None) -> Shape | None:
    if first is None or second is None:
        return first or second
    return either(first, second)


def _texts(first: Shape, second: Shape) -> tuple[str, ...]:
    """An enumeration only where each alternative that can be a text states one."""
    if any("string" in shape.types and not shape.texts for shape in (first, second)):
        return ()
    return tuple(dict.fromkeys((*first.texts, *second.texts)))
