"""Lists in a shape: where their items are, what identifies and names them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.mapping.openapi.hints import GUARDS, ID_WORDS, NAMES
from gateway.mapping.openapi.leaves import Leaf, leaves_of, states_of
from gateway.mapping.openapi.rows import IDS, joined
from gateway.mapping.openapi.secrets import words_of
from gateway.mapping.openapi.shape import Shape, without_null

KEY = "@key"


@dataclass(frozen=True, slots=True)
class Listing:
    """A list: the path of its items, one item, and the path of an item's id (None: not recognised)."""

    items: str
    item: Shape
    id: str | None

    @property
    def name(self) -> str | None:
        """The path of an item's name."""
        found = [leaf for leaf in leaves_of(self.item) if _ends_in(leaf, NAMES) and "string" in leaf.shape.types]
        return min(found, key=lambda leaf: ("friendly" not in leaf.own, leaf.path.count("."))).path if found else None

    @property
    def guard(self) -> str | None:
        """The path of what says of which type an item is."""
        found = [leaf.path for leaf in leaves_of(self.item) if _ends_in(leaf, GUARDS) and leaf.shape.texts]
        return min(found, key=lambda path: path.count("."), default=None)


def listing(shape: Shape, kind: str) -> Listing | None:
    """The one list of an answer: the answer itself, or the member that is a list; None when it is not clear which."""
    shape = without_null(shape)
    found = [item for item in [_as_list(shape, "@", kind)] if item is not None]
    if not found:
        members = ((name, _as_list(member, joined("", name), kind)) for name, member in shape.members.items())
        found = [item for _, item in members if item is not None]
    named = [item for item in found if kind in item.items.lower()]
    found = named if len(found) > 1 else found
    return found[0] if len(found) == 1 else None


def lists_inside(shape: Shape, path: str = "") -> Iterator[tuple[str, Shape]]:
    """(path, item) of every list of objects inside a value, the inner ones after the outer ones."""
    shape = without_null(shape)
    item = without_null(shape.items) if shape.items is not None and "array" in shape.types else None
    if item is not None and "object" in item.types:
        yield path, item
        yield from lists_inside(item, f"{path}[]")
    for name, member in shape.members.items():
        yield from lists_inside(member, joined(path, name))


def connectors(item: Shape) -> Listing | None:
    """The list of connectors inside a station's status: the deepest one whose items have an OCPP state."""
    found = [
        (path, inner)
        for path, inner in lists_inside(item)
        if any(states_of(leaf.shape, "status") for leaf in leaves_of(inner))
    ]
    if not found:
        return None
    path, inner = max(found, key=lambda pair: pair[0].count("[]"))
    return Listing(f"{path}[]" if "[]" in path else path, inner, id_of(inner, "connector"))


def id_of(item: Shape, kind: str) -> str | None:
    """The id of an item: `id`, else `<kind>_id`, else its only id-like member; `@` for an item that is an id."""
    item = without_null(item)
    if item.types and item.types <= {"integer", "string"}:
        return "@"
    names = [name for name, member in item.members.items() if IDS.match(name) and _is_id(member)]
    exact = [name for name in names if name.lower() == "id"] or [
        name for name in names if any(word in name.lower() for word in ID_WORDS.get(kind, (kind,)))
    ]
    chosen = (exact or names)[:1] if exact or len(names) == 1 else []
    return joined("", chosen[0]) if chosen else None


def _is_id(shape: Shape) -> bool:
    return bool(shape.types & {"integer", "string"})


def _as_list(shape: Shape, path: str, kind: str) -> Listing | None:
    shape = without_null(shape)
    if shape.items is not None and "array" in shape.types:
        return Listing(path, shape.items, id_of(shape.items, kind))
    others = shape.others
    if others is not None and "object" in others.types and not shape.members:
        return Listing(path, others, KEY)
    return None


def _ends_in(leaf: Leaf, words: tuple[str, ...]) -> bool:
    return bool(leaf.own) and leaf.own[-1] in words and "connector" not in words_of(leaf.path)
