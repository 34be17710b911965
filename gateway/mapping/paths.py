"""JMESPath compiled at load: the plain parts (members, indexes, `[]`, `||`, `|`) become closures, the rest interpreted.

A path never raises on data: a member that is not there, or a function given the wrong type, is None.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jmespath import exceptions, parser, visitor

from gateway.core.point import Path

KEY = "@key"
_Get = Callable[[Any], Any]


def compile_path(text: str) -> Path:
    """Compiles one JMESPath.

    Raises:
        ValueError: it is not JMESPath, with the position in words.
    """
    return Path(text, _closure(_parse(text)))


def first_of(texts: list[str]) -> Path:
    """A list of fallback paths: the first that is neither missing nor null.

    Raises:
        ValueError: as compile_path.
    """
    paths = [compile_path(text) for text in texts]
    if len(paths) == 1:
        return paths[0]

    def get(document: Any) -> Any:
        return next((value for path in paths if (value := path.get(document)) is not None), None)

    return Path(" | ".join(texts), get)


def negates_left(text: str) -> bool:
    """Whether `!a.b` stands in the path: JMESPath negates `a`, hardly what its author meant."""

    def search(node: Any) -> bool:
        children = node.get("children", [])
        left = node.get("type") == "subexpression" and children[0].get("type") == "not_expression"
        return left or any(search(child) for child in children if isinstance(child, dict))

    return search(_parse(text))


def _parse(text: str) -> Any:
    try:
        node: Any = parser.Parser().parse(text).parsed
    except exceptions.JMESPathError as error:
        raise ValueError(f"is not JMESPath: {_reason(error, text)}") from None
    return node


def _reason(error: exceptions.JMESPathError, text: str) -> str:
    if KEY in text:
        return f"`{KEY}` stands alone, and only as the id or match of an object's members"
    match error:
        case exceptions.EmptyExpressionError():
            return "it is empty"
        case exceptions.IncompleteExpressionError():
            return "something is missing at its end"
        case exceptions.LexerError():
            return f"{error.message} at column {error.lex_position + 1}"
        case exceptions.ParseError():
            return f"{error.token_value!r} does not belong at column {error.lex_position + 1}"
    return str(error).split("\n", 1)[0]


def _closure(node: dict[str, Any]) -> _Get:
    kind, children = node["type"], node.get("children", [])
    match kind:
        case "field":
            return _field(node["value"])
        case "current" | "identity":
            return lambda document: document
        case "subexpression" if [child["type"] for child in children] == ["field", "field"]:
            return _member_of_member(children[0]["value"], children[1]["value"])
        case "subexpression" | "index_expression" if all(_is_plain(child) for child in children):
            return _chain([_closure(child) for child in children])
        case "pipe":
            return _chain([_closure(child) for child in children])
        case "flatten":
            return _flatten(_closure(children[0]))
        case "projection":
            return _project(_closure(children[0]), _closure(children[1]))
        case "index":
            return _index(node["value"])
        case "or_expression":
            return _either(_closure(children[0]), _closure(children[1]))
        case _:
            return _interpreted(node)


def _is_plain(node: dict[str, Any]) -> bool:
    kind = node["type"]
    if kind in ("subexpression", "index_expression"):
        return all(_is_plain(child) for child in node["children"])
    return kind in ("field", "index", "current", "identity")


def _field(name: str) -> _Get:
    return lambda document: document.get(name) if type(document) is dict else None


def _member_of_member(outer: str, inner: str) -> _Get:
    """`a.b` in one step: half of the paths of a mapping."""

    def get(document: Any) -> Any:
        if type(document) is dict:
            document = document.get(outer)
            if type(document) is dict:
                return document.get(inner)
        return None

    return get


def _index(number: int) -> _Get:
    def get(document: Any) -> Any:
        if type(document) is list and -len(document) <= number < len(document):
            return document[number]
        return None

    return get


def _chain(steps: list[_Get]) -> _Get:
    first, second, *rest = steps

    def get(document: Any) -> Any:
        value = second(first(document))
        for step in rest:
            value = step(value)
        return value

    return get


def _flatten(inner: _Get) -> _Get:
    def get(document: Any) -> Any:
        value = inner(document)
        if type(value) is not list:
            return None
        merged: list[Any] = []
        for item in value:
            if type(item) is list:
                merged += item
            else:
                merged.append(item)
        return merged

    return get


def _project(left: _Get, right: _Get) -> _Get:
    def get(document: Any) -> Any:
        base = left(document)
        if type(base) is not list:
            return None
        return [value for item in base if (value := right(item)) is not None]

    return get


def _either(left: _Get, right: _Get) -> _Get:
    def get(document: Any) -> Any:
        value = left(document)
        falsy = value is None or value is False or (type(value) in (str, list, dict) and not value)
        return right(document) if falsy else value

    return get


def _interpreted(node: Any) -> _Get:
    visit = visitor.TreeInterpreter().visit

    def get(document: Any) -> Any:
        try:
            return visit(node, document)
        except (exceptions.JMESPathError, TypeError, ValueError, ArithmeticError):
            return None

    return get
