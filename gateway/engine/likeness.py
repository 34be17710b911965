"""Whether two specs mean the same, for a mapping that was compiled twice (pure).

Rules of this file: compiled paths are compared by their text; converters are made from what is compared anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from gateway.core.point import KindSpec, Path, PointSpec, Product


class Likeness:
    """Compares specs that thousands of resources share: each pair once."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], tuple[bool, Any, Any]] = {}

    def same(self, old: Any, new: Any, compare: Callable[[Any, Any], bool]) -> bool:
        """What `compare` says of two specs; both are kept, so that nothing else can have their identity."""
        if old is new:
            return True
        key = (id(old), id(new))
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = (compare(old, new), old, new)
        return found[0]


def definition(spec: Any) -> Any:
    """What a spec says, as data that can be compared."""
    if isinstance(spec, Path):
        return spec.text
    if is_dataclass(spec) and not isinstance(spec, type):
        return type(spec).__name__, [(one.name, definition(getattr(spec, one.name))) for one in fields(spec)]
    if isinstance(spec, Mapping):
        return [(key, definition(value)) for key, value in spec.items()]
    if isinstance(spec, (list, tuple)):
        return [definition(value) for value in spec]
    return None if isinstance(spec, Callable) else spec  # type: ignore[arg-type]


def same_spec(old: PointSpec, new: PointSpec) -> bool:
    """Whether nothing of a point has changed."""
    return bool(definition(old) == definition(new))


def same_product(old: Product, new: Product) -> bool:
    """Whether nothing at all has changed."""
    return bool(definition(old) == definition(new))


def same_value(old: tuple[PointSpec, KindSpec], new: tuple[PointSpec, KindSpec]) -> bool:
    """Whether a point's last value still is its value: the same thing, read in the same way, in the same unit."""
    return bool(_value(*old) == _value(*new))


def same_command(old: PointSpec, new: PointSpec) -> bool:
    """Whether a commandable point is written and read back in the same way."""
    same = definition(old.command) == definition(new.command)
    return bool(same and _value(old, None) == _value(new, None))


def same_unit(old: PointSpec, new: PointSpec) -> bool:
    """Whether a value that was asked for means the same now."""
    return (old.kind, old.unit, dict(old.codes)) == (new.kind, new.unit, dict(new.codes))


def _value(spec: PointSpec, kind: KindSpec | None) -> Any:
    bare = replace(spec, registers=(), receipt_at=None, objects=(), receipt_instance=None, description="")
    bare = replace(bare, stale_after_s=0.0, frozen_after_s=None, alarm=None, trend=None, command=None)
    read = kind.reads.get(spec.read or "") if kind is not None else None
    asked = (read.path, definition(read.items), definition(read.match)) if read is not None else None
    within = kind.within if kind is not None else None
    return definition(bare), asked, definition(within)
