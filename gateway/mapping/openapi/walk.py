"""Follows a JMESPath over a shape and says which members it asks for are not there.

Rules of this file: never a false fault. A shape without types, a function that is not known, or anything else
that cannot be followed gives ANY, and what is asked of ANY is passed over. Of alternatives (`||`, `not_null`) one
that can be followed is enough.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

from jmespath import exceptions, parser

from gateway.mapping.openapi.rows import joined, types_text
from gateway.mapping.openapi.shape import ANY, Shape, either, of_type, without_null

MOST_NAMES = 12
Node = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Walked:
    """Where a path leads: the shape there, and in words what is not there on the way.

    `unlisted` are texts the path compares with and the schema's enumeration does not have.
    """

    shape: Shape
    missing: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()


def walk(path: str, shape: Shape) -> Walked:
    """Follows one path; one that is not JMESPath leads anywhere (the mapping's own check names it)."""
    try:
        node: Any = parser.Parser().parse(path).parsed
    except exceptions.JMESPathError:
        return Walked(ANY)
    walker = _Walker()
    found = walker.visit(node, shape, "")
    return Walked(found, tuple(dict.fromkeys(walker.missing)), tuple(dict.fromkeys(walker.unlisted)))


def walk_any(paths: list[str], shape: Shape) -> Walked:
    """Follows fallback paths: one that can be followed is enough."""
    walked = [walk(path, shape) for path in paths]
    good = [item for item in walked if not item.missing]
    unlisted = tuple(text for item in walked for text in item.unlisted)
    if good:
        return Walked(reduce(either, (item.shape for item in good)), (), unlisted)
    return Walked(ANY, tuple(dict.fromkeys(text for item in walked for text in item.missing)), unlisted)


def names_of(shape: Shape) -> str:
    """The members a shape has, for people."""
    names = list(shape.members)
    more = f", ... ({len(names)} in all)" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more or "no members"


class _Walker:
    """Visits the nodes; `at` is the path walked so far, for the texts only."""

    def __init__(self) -> None:
        self.missing: list[str] = []
        self.unlisted: list[str] = []

    def visit(self, node: Node, shape: Shape, at: str) -> Shape:
        visitor = _VISITORS.get(node["type"])
        return visitor(self, node, shape, at) if visitor is not None else ANY

    def absent(self, text: str) -> Shape:
        self.missing.append(text)
        return ANY

    # -- members -------------------------------------------------------------------------------------------------

    def field(self, node: Node, shape: Shape, at: str) -> Shape:
        name, shape = str(node["value"]), without_null(shape)
        if name in shape.members:
            return shape.members[name]
        if shape.types == {"null"}:
            return ANY
        if not shape.can_be("object"):
            where = f"at {at!r} " if at else ""
            return self.absent(f"has {_article(types_text(shape))} {where}and no member {name!r} in it")
        if not shape.is_known or shape.others is not None:
            return shape.others or ANY
        there = f"; {at} has: " if at else "; it has: "
        return self.absent(f'has no "{joined(at, name)}"{there}{names_of(shape)}')

    def chain(self, node: Node, shape: Shape, at: str) -> Shape:
        for child in node["children"]:
            shape = self.visit(child, shape, at)
            at = self._at(child, at)
        return shape

    def _at(self, node: Node, at: str) -> str:
        match node["type"]:
            case "field":
                return joined(at, str(node["value"]))
            case "subexpression" | "index_expression" | "pipe":
                for child in node["children"]:
                    at = self._at(child, at)
                return at
            case "index":
                return f"{at}[{node['value']}]"
            case "function_expression" if node["value"] == "values":
                return f"values({self._at(node['children'][0], at) or '@'})"
            case "projection" | "flatten" | "filter_projection":
                inner = self._at(node["children"][0], at)
                right = node["children"][1] if len(node["children"]) > 1 else {"type": "identity"}
                return self._at(right, inner if inner.endswith("[]") else f"{inner}[]")
            case "value_projection":
                inner = self._at(node["children"][0], at)
                return self._at(node["children"][1], f"{inner}.*" if inner else "*")
        return at

    def same(self, _node: Node, shape: Shape, _at: str) -> Shape:
        return shape

    def index(self, _node: Node, shape: Shape, at: str) -> Shape:
        return self.items(shape, at)

    def slice(self, _node: Node, shape: Shape, at: str) -> Shape:
        self.items(shape, at)
        return shape

    def items(self, shape: Shape, at: str) -> Shape:
        shape = without_null(shape)
        if not shape.can_be("array"):
            where = f"at {at!r}" if at else "as the whole answer"
            return self.absent(f"has {_article(types_text(shape))} {where}, and no list")
        return shape.items or ANY

    # -- projections: the right side is walked on one item, and the result is a list ----------------------------------

    def projection(self, node: Node, shape: Shape, at: str) -> Shape:
        left, right = node["children"][:2]
        inner = self.visit(left, shape, at)
        item = self.items(inner, self._at(left, at))
        place = self._at({"type": "projection", "children": [left]}, at)
        if node["type"] == "filter_projection":
            self.visit(node["children"][2], item, place)
        return _list_of(self.visit(right, item, place))

    def flatten(self, node: Node, shape: Shape, at: str) -> Shape:
        inner = self.visit(node["children"][0], shape, at)
        item = without_null(self.items(inner, self._at(node["children"][0], at)))
        if item.is_known and item.types == {"array"}:
            return _list_of(item.items or ANY)
        return _list_of(item if "array" not in item.types else ANY)

    def values(self, node: Node, shape: Shape, at: str) -> Shape:
        left, right = node["children"]
        inner = without_null(self.visit(left, shape, at))
        place = self._at({"type": "value_projection", "children": [left, {"type": "identity"}]}, at)
        if not inner.can_be("object"):
            return self.absent(f"has {_article(types_text(inner))} at {place.removesuffix('.*')!r}, and no members")
        shapes = [*inner.members.values(), *([inner.others] if inner.others is not None else [])]
        if not inner.is_known or not shapes:
            return ANY
        results = [_Walker().visit(right, item, place) for item in shapes]
        if not inner.members:
            results = [self.visit(right, shapes[0], place)]
        return _list_of(reduce(either, results))

    # -- logic ---------------------------------------------------------------------------------------------------

    def alternatives(self, node: Node, shape: Shape, at: str) -> Shape:
        walkers = [_Walker() for _ in node["children"]]
        pairs = list(zip(walkers, node["children"], strict=True))
        found = [(walker, walker.visit(child, shape, at)) for walker, child in pairs]
        self.unlisted += [text for walker in walkers for text in walker.unlisted]
        good = [result for walker, result in found if not walker.missing]
        if not good:
            self.missing += [text for walker in walkers for text in walker.missing]
            return ANY
        return reduce(either, good)

    def conjunction(self, node: Node, shape: Shape, at: str) -> Shape:
        left, right = (self.visit(child, shape, at) for child in node["children"])
        return either(left, right)

    def negation(self, node: Node, shape: Shape, at: str) -> Shape:
        self.visit(node["children"][0], shape, at)
        return of_type("boolean")

    def comparison(self, node: Node, shape: Shape, at: str) -> Shape:
        left, right = node["children"]
        sides = [(left, self.visit(left, shape, at)), (right, self.visit(right, shape, at))]
        for (one, found), (other, _) in (sides, sides[::-1]):
            text = other.get("value") if other["type"] == "literal" else None
            if isinstance(text, str) and found.texts and text not in found.texts and node["value"] in ("eq", "ne"):
                self.unlisted.append(f"does not list {text!r} for {self._at(one, at)}: {', '.join(found.texts)}")
        return of_type("boolean")

    def literal(self, node: Node, _shape: Shape, _at: str) -> Shape:
        value = node["value"]
        kinds = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
        return of_type(kinds[type(value)]) if type(value) in kinds else ANY

    # -- functions and multiselects ----------------------------------------------------------------------------------

    def call(self, node: Node, shape: Shape, at: str) -> Shape:
        name, children = str(node["value"]), node["children"]
        if name == "not_null":
            return self.alternatives(node, shape, at)
        if name in _BY_ITEM and len(children) == 2:
            expression, listed = children if name == "map" else reversed(children)
            whole = self.visit(listed, shape, at)
            item = self.items(whole, self._at(listed, at))
            if expression["type"] == "expref":
                found = self.visit(expression["children"][0], item, self._at(listed, at) + "[]")
                return {"map": _list_of(found), "sort_by": whole}.get(name, item)
            return ANY
        arguments = [self.visit(child, shape, at) for child in children]
        if name in _RESULTS:
            return of_type(_RESULTS[name])
        if name == "values" and arguments:
            return _list_of(_any_member(arguments[0]))
        if name in _SAME and arguments:
            return arguments[0]
        if name in _ITEM and arguments:
            return without_null(arguments[0]).items or ANY
        return ANY

    def several(self, node: Node, shape: Shape, at: str) -> Shape:
        return _list_of(reduce(either, [self.visit(child, shape, at) for child in node["children"]]))

    def named(self, node: Node, shape: Shape, at: str) -> Shape:
        members = {str(pair["value"]): self.visit(pair["children"][0], shape, at) for pair in node["children"]}
        return Shape(frozenset({"object"}), members, frozenset(members))


def _list_of(item: Shape) -> Shape:
    return Shape(frozenset({"array"}), items=item)


def _any_member(shape: Shape) -> Shape:
    """What a member of an object is, whichever; all of them must be known."""
    shapes = [*shape.members.values(), *([shape.others] if shape.others is not None else [])]
    return reduce(either, shapes) if shape.is_known and shapes else ANY


def _article(text: str) -> str:
    return f"{'an' if text[0] in 'aeio' else 'a'} {text}"


_BY_ITEM = ("map", "sort_by", "max_by", "min_by")
_SAME = ("sort", "reverse", "abs", "ceil", "floor")
_ITEM = ("max", "min")
_RESULTS = {
    "avg": "number", "length": "integer", "sum": "number", "to_number": "number", "contains": "boolean",
    "starts_with": "boolean", "ends_with": "boolean", "join": "string", "to_string": "string", "type": "string",
}  # fmt: skip
_VISITORS: dict[str, Callable[[_Walker, Node, Shape, str], Shape]] = {
    "field": _Walker.field,
    "subexpression": _Walker.chain,
    "index_expression": _Walker.chain,
    "pipe": _Walker.chain,
    "current": _Walker.same,
    "identity": _Walker.same,
    "index": _Walker.index,
    "slice": _Walker.slice,
    "projection": _Walker.projection,
    "filter_projection": _Walker.projection,
    "flatten": _Walker.flatten,
    "value_projection": _Walker.values,
    "or_expression": _Walker.alternatives,
    "and_expression": _Walker.conjunction,
    "not_expression": _Walker.negation,
    "comparator": _Walker.comparison,
    "literal": _Walker.literal,
    "function_expression": _Walker.call,
    "multi_select_list": _Walker.several,
    "multi_select_dict": _Walker.named,
}


def item_of(container: Shape) -> Shape:
    """One item of what `items` gives: an array's, or a member of an object keyed by id."""
    inner = without_null(container)
    if inner.items is not None and "array" in inner.types:
        return replace(inner.items)
    return inner.others if inner.others is not None and "object" in inner.types else ANY
