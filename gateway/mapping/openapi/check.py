"""A mapping held against an OpenAPI file or saved answers: what it reads and sends that they do not have.

Faults are what cannot work (a path, a member); warnings are what may be on purpose (an enumeration's text, a type,
a unit, a member the body lacks).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from gateway.config.strict_yaml import Document, KeyPath
from gateway.core.errors import Fault
from gateway.core.point import PointSpec
from gateway.core.value import ValueKind, json_text
from gateway.mapping.load import LoadedMapping
from gateway.mapping.openapi.answered import Answered
from gateway.mapping.openapi.api import Api
from gateway.mapping.openapi.quantities import scale_between
from gateway.mapping.openapi.shape import ANY, Shape, without_null
from gateway.mapping.openapi.walk import Walked, item_of, names_of, walk_any

KEY = "@key"
_PLACEHOLDER = re.compile(r"\{[a-z_.]+(?::[A-Za-z_]+)?\}")
_WANTED = {ValueKind.NUMBER: "number", ValueKind.BOOL: "boolean", ValueKind.STRING: "string"}
Data = dict[str, Any]


def check_mapping(mapping: LoadedMapping, api: Api) -> tuple[list[Fault], list[Fault]]:
    """Faults and warnings of a mapping that was loaded without faults."""
    check = _Check(mapping, api)
    check.run()
    return check.faults, check.warnings


class _Check:
    """One mapping; `kinds` is its data as written, after `extends`."""

    def __init__(self, mapping: LoadedMapping, api: Api) -> None:
        self.api, self.product = api, mapping.product
        self.document: Document = mapping.document
        self.kinds: dict[str, Data] = mapping.document.data["resources"]
        self.faults: list[Fault] = []
        self.warnings: list[Fault] = []

    def run(self) -> None:
        for name, kind in self.kinds.items():
            at: KeyPath = ("resources", name)
            self._lists(kind, at)
            for key, read in (kind.get("reads") or {}).items():
                answer = self._answer((*at, "reads", key, "get"), read["get"])
                if "items" in read:
                    item = self._item((*at, "reads", key, "items"), read, answer)
                    self._path((*at, "reads", key, "match"), read.get("match"), item, read["get"])
            self._within(name, kind, at)
            for key, point in (kind.get("points") or {}).items():
                self._point(name, point, (*at, "points", key), self.product.kinds[name].points[key])
        if isinstance(passwd := self.document.data.get("passwd"), dict):
            self._command(passwd, ("passwd",))

    # -- where a document comes from ---------------------------------------------------------------------------------

    def _answer(self, at: KeyPath, get: str) -> Shape:
        """The shape of a GET's answer; a path the file does not have is a fault."""
        if not self.api.has("GET", get, self.product.base):
            self._no_path(at, "GET", get)
            return ANY
        return self.api.answer("GET", get, self.product.base) or ANY

    def _no_path(self, at: KeyPath, method: str, path: str) -> None:
        near = self.api.like(method, path)
        hint = f"; it has: {', '.join(near)}" if near else ""
        self.faults.append(self.document.fault(at, f"{self.api.file} has no {method} {path}{hint}"))

    def _item(self, at: KeyPath, where: Data, answer: Shape) -> Shape:
        walked = self._path(at, where.get("items", "@"), answer, where["get"])
        inner = without_null(walked.shape)
        if not walked.missing and inner.is_known and not (inner.can_be("array") or inner.can_be("object")):
            text = f"gives no list in {self.api.says} GET {where['get']}"
            self.faults.append(self.document.fault(at, text))
        return item_of(walked.shape)

    def _document_of(self, kind: str, read: str) -> tuple[Shape, str]:
        """What the points of a kind are read from (one item of a bulk answer), and whose answer it is."""
        data = self.kinds[kind]
        if data.get("within") is not None and read not in (data.get("reads") or {}):
            outer, get = self._document_of(data["within"], read)
            return item_of(walk_any(_texts(data["items"]), outer).shape), get
        found = (data.get("reads") or {}).get(read)
        if found is None:
            return ANY, ""
        shape = self.api.answer("GET", found["get"], self.product.base) or ANY
        if "items" in found:
            shape = item_of(walk_any(_texts(found["items"]), shape).shape)
        return shape, found["get"]

    # -- what is asked of it -----------------------------------------------------------------------------------------

    def _path(self, at: KeyPath, path: Any, shape: Shape, get: str, *, may_lack: bool = False) -> Walked:
        """Follows a path; what it does not find is a fault, unless an answer `may_lack` it for the moment."""
        if path is None or path == KEY:
            return Walked(ANY)
        walked = walk_any(_texts(path), shape)
        missing = [self.document.fault(at, f"{self.api.says} GET {get} {text}") for text in walked.missing]
        (self.warnings if may_lack else self.faults).extend(missing)
        self.warnings += [self.document.fault(at, f"{self.api.says} GET {get} {text}") for text in walked.unlisted]
        return walked

    def _lists(self, kind: Data, at: KeyPath) -> None:
        for key in ("list", "members"):
            where = kind.get(key)
            if where is not None:
                item = self._item((*at, key, "items"), where, self._answer((*at, key, "get"), where["get"]))
                for part in ("id", "name", "guard"):
                    self._path((*at, key, part), where.get(part), item, where["get"])

    def _within(self, name: str, kind: Data, at: KeyPath) -> None:
        if kind.get("within") is None:
            return
        outer, get = self._document_of(kind["within"], kind["from"])
        self._path((*at, "items"), kind["items"], outer, get)
        self._path((*at, "id"), kind["id"], self._document_of(name, kind["from"])[0], get)

    def _point(self, kind: str, point: Data, at: KeyPath, spec: PointSpec) -> None:
        if point.get("path") is None or point.get("from") is None:
            return
        shape, get = self._document_of(kind, point["from"])
        passing = isinstance(self.api, Answered) and _may_lack(point, spec)
        walked = self._path((*at, "path"), point["path"], shape, get, may_lack=passing)
        found = without_null(walked.shape)
        self._kind_of_value(at, point, found, spec, get)
        command = point.get("command")
        if isinstance(command, dict):
            for key in ("none_when", "verify"):
                self._path((*at, "command", key), command.get(key), shape, get)
            self._command(command, (*at, "command"))

    def _kind_of_value(self, at: KeyPath, point: Data, found: Shape, spec: PointSpec, get: str) -> None:
        where = (*at, "path")
        wanted = _WANTED.get(spec.kind)
        if wanted is not None and found.is_known and not found.can_be(wanted):
            text = (
                f"{self.api.says} GET {get} has {' or '.join(sorted(found.types))} here, and the point is a {spec.kind}"
            )
            self.warnings.append(self.document.fault(where, text))
        enum = point.get("enum") or {}
        if spec.kind is ValueKind.ENUM and found.texts:
            listed = ", ".join(found.texts)
            for text in enum:
                if text not in found.texts:
                    says = f"{self.api.says} GET {get} does not list {text!r}; it lists: {listed}"
                    self.warnings.append(self.document.fault((*at, "enum", text), says, at_key=True))
            if lacking := [text for text in found.texts if text not in enum]:
                says = f"{self.api.says} GET {get} also lists: {', '.join(lacking)}"
                self.warnings.append(self.document.fault((*at, "enum"), says))
        scale = scale_between(found.unit, spec.unit)
        said = point.get("scale", 1)
        if scale is not None and isinstance(said, int | float) and abs(said - scale) > 1e-9 * scale:
            says = (
                f"{self.api.says} GET {get} states {found.unit}: {spec.unit} needs scale {scale:g}, and it is {said:g}"
            )
            self.warnings.append(self.document.fault((*at, "scale") if "scale" in point else where, says))

    def _command(self, command: Data, at: KeyPath) -> None:
        key = "put" if command.get("put") is not None else "post"
        path = command[key]
        if not self.api.has(key.upper(), path, self.product.base):
            self._no_path((*at, key), key.upper(), path)
            return
        schema = self.api.body(key.upper(), path, self.product.base)
        if schema is None:
            return
        for part in ("body", "release"):
            if not isinstance(command.get(part), dict):
                continue
            for place, text, certain in _body(command[part], schema, ""):
                says = f"the request schema of {key.upper()} {path} {text}"
                fault = self.document.fault((*at, part, *place), says, at_key=certain)
                (self.faults if certain else self.warnings).append(fault)


def _body(body: Any, schema: Shape, at: str) -> Iterator[tuple[KeyPath, str, bool]]:
    """Key path, text, and whether it is certain, of what a body has and its schema has not."""
    schema = without_null(schema)
    if not schema.is_known:
        return
    if isinstance(body, dict):
        for name, value in body.items():
            path = f"{at}.{name}" if at else name
            if name in schema.members:
                for place, text, certain in _body(value, schema.members[name], path):
                    yield (name, *place), text, certain
            elif schema.others is None:
                yield (name,), f'has no "{path}"; it has: {names_of(schema)}', schema.can_be("object")
        if lacking := sorted(schema.required - body.keys()):
            yield (), f"also requires: {', '.join(f'{at}.{name}' if at else name for name in lacking)}", False
    elif isinstance(body, list) and schema.items is not None:
        for i, item in enumerate(body):
            for place, text, certain in _body(item, schema.items, f"{at}[{i}]"):
                yield (i, *place), text, certain
    else:
        said = json_text(body)
        held = isinstance(body, str) and _PLACEHOLDER.search(body)
        if said is not None and not held and schema.texts and said not in schema.texts:
            yield (), f"does not list {said!r} for {at}; it lists: {', '.join(schema.texts)}", False


def _may_lack(point: Data, spec: PointSpec) -> bool:
    """Whether an answer without the member says nothing: it comes and goes, and the mapping knows it."""
    unlimited = spec.command is not None and spec.command.none_when is not None
    asks_for_it = any("null" in path for path in _texts(point["path"]))
    return spec.absent is not None or spec.optional or unlimited or asks_for_it


def _texts(path: Any) -> list[str]:
    return [path] if isinstance(path, str) else list(path)
