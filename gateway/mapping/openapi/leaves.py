"""The leaves of a shape with their words, and which of them a hint means."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from gateway.mapping.openapi.hints import STATES, Hint
from gateway.mapping.openapi.quantities import quantity_of, unit_in_name
from gateway.mapping.openapi.rows import VALUES, joined, named_values, selected
from gateway.mapping.openapi.secrets import words_of
from gateway.mapping.openapi.shape import Shape, without_null

_PHASE_WORDS = frozenset({"l", "phase", "ph", "i", "u", "v", "line", "p"})
_LETTERS = re.compile(r"[^a-z]")
MOST_LEAVES = 2000


@dataclass(frozen=True, slots=True)
class Leaf:
    """One scalar a path can lead to."""

    path: str
    shape: Shape
    own: tuple[str, ...]
    words: frozenset[str]
    unit: str
    phase: int

    @property
    def says(self) -> str:
        """Type and unit, for a comment."""
        kinds = " or ".join(sorted(self.shape.types - {"null"})) or "anything"
        return f"{kinds}, {self.unit}" if self.unit else kinds


def leaves_of(shape: Shape) -> list[Leaf]:
    """Every leaf that a path leads to without looping over a list."""
    found: list[Leaf] = []
    for leaf in _leaves(shape, "", ()):
        if len(found) == MOST_LEAVES:
            break
        found.append(leaf)
    return found


def best(leaves: list[Leaf], hint: Hint) -> tuple[Leaf | None, list[Leaf]]:
    """The one leaf the hint means; when several are as good, none, and those."""
    scored = sorted(((score, leaf) for leaf in leaves if (score := _score(leaf, hint)) > 0), key=lambda p: -p[0])
    top = [leaf for score, leaf in scored if score == scored[0][0]]
    return (top[0], []) if len(top) == 1 else (None, top)


def plain(text: str) -> str:
    """An enumeration's text by its letters: SUSPENDED_EV and SuspendedEV are the same."""
    return _LETTERS.sub("", text.lower())


def states_of(shape: Shape, point: str) -> dict[str, int]:
    """The texts of a schema that are known states of a point, with their codes."""
    return {text: STATES[point][plain(text)] for text in shape.texts if plain(text) in STATES[point]}


def _leaves(shape: Shape, path: str, way: tuple[str, ...]) -> Iterator[Leaf]:
    shape = without_null(shape)
    for name, member in shape.members.items():
        yield from _leaves(member, joined(path, name), (*way, name))
    if "array" in shape.types and shape.items is not None:
        yield from _array_leaves(shape, shape.items, path, way)
    if shape.types & {"string", "number", "integer", "boolean"}:
        yield _leaf(shape, path, way)


def _array_leaves(shape: Shape, item: Shape, path: str, way: tuple[str, ...]) -> Iterator[Leaf]:
    """Three numbers are taken for the phases; a list of named values has a leaf for each name."""
    per_phase = shape.count == 3 or (shape.count is None and "phase" in shape.description.lower())
    if item.types & {"number", "integer"} and per_phase:
        for phase in (1, 2, 3):
            leaf = _leaf(item, f"{path}[{phase - 1}]", way, shape.unit or item.unit)
            yield Leaf(leaf.path, leaf.shape, leaf.own, leaf.words, leaf.unit, phase)
    elif named := named_values(shape):
        selector, value, texts = named
        for text in texts:
            yield _leaf(item.members[value], selected(path, selector, text, value), (*way, text))


def _leaf(shape: Shape, path: str, way: tuple[str, ...], unit: str = "") -> Leaf:
    """A member called `value` or the like has its parent's name."""
    names = way[:-1] if len(way) > 1 and way[-1].lower() in VALUES else way
    own = tuple(words_of(names[-1])) if names else ()
    every = [word for name in names for word in words_of(name)]
    unit = unit or shape.unit or unit_in_name(list(own))
    return Leaf(path or "@", shape, own, frozenset(every), unit, _phase(every))


def _phase(words: list[str]) -> int:
    for word, number in pairwise(words):
        if word in _PHASE_WORDS and number in ("1", "2", "3"):
            return int(number)
    return 0


def _score(leaf: Leaf, hint: Hint) -> float:
    """How well a leaf fits; 0 when it cannot be."""
    quantity = quantity_of(leaf.unit)
    impossible = (
        not leaf.shape.types & hint.types
        or leaf.phase != hint.phase
        or (hint.quantity and quantity and quantity != hint.quantity)
        or not hint.never.isdisjoint(leaf.words)
        or (hint.needs and hint.needs.isdisjoint(leaf.words))
    )
    named = 4.0 if not hint.own.isdisjoint(leaf.own) else 3.0 if not hint.own.isdisjoint(leaf.words) else 0.0
    measured = 2.0 if hint.quantity and quantity == hint.quantity else 0.0
    if impossible or not (named or measured):
        return 0.0
    described = frozenset(words_of(leaf.shape.description))
    likely = len(hint.also & leaf.words) + 0.5 * len(hint.also & described) + 0.5 * bool(hint.own & described)
    return named + measured + likely - 0.1 * leaf.path.count(".")
