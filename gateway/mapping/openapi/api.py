"""One OpenAPI document: its paths, and the shapes of what they answer and take."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from gateway.mapping.openapi.endpoints import ENDPOINTS
from gateway.mapping.openapi.schema import Schemas
from gateway.mapping.openapi.shape import Shape

_SUCCESS = ("200", "201", "202", "2XX", "2xx", "default")


class Api:
    """What the file says; a path is found whatever its placeholders are called, and with or without the base."""

    says = "the schema of"

    def __init__(self, document: Mapping[str, Any], file: str) -> None:
        self.file = file
        self._document = document
        self._schemas = Schemas(document)
        self._paths = {str(path): item for path, item in document["paths"].items()}
        self._shapes: dict[tuple[str, str, str], Shape | None] = {}
        info = document.get("info")
        self.title = str(info.get("title", "")) if isinstance(info, dict) else ""
        self.version = str(info.get("version", "")) if isinstance(info, dict) else ""
        self.base = _base(document)

    @property
    def product(self) -> str | None:
        """Whose API it is: the product most of whose endpoints it has; None when it has none."""
        hits = {name: sum(self.find(e.path) is not None for e in ends) for name, ends in ENDPOINTS.items()}
        best = max(hits, key=lambda name: hits[name])
        return best if hits[best] else None

    def find(self, path: str, base: str = "") -> str | None:
        """The path as the file spells it; `path` is below `base` and may hold a query."""
        wanted = _segments(path.partition("?")[0])
        prefixes = {(), tuple(_segments(base)), tuple(_segments(self.base))}
        found: list[tuple[int, str]] = []
        for spelled in self._paths:
            parts = _segments(spelled)
            for prefix in prefixes:
                score = _match(wanted, parts[len(prefix) :]) if tuple(parts[: len(prefix)]) == prefix else -1
                found += [(score, spelled)] if score >= 0 else []
        return max(found, default=(0, None))[1]

    def has(self, method: str, path: str, base: str = "") -> bool:
        """Whether the file has this method of this path."""
        return self._operation(method, path, base) is not None

    def like(self, method: str, path: str) -> list[str]:
        """Paths of the file that look like this one and have the method."""
        known = [name for name, item in self._paths.items() if isinstance(item, dict) and method.lower() in item]
        plain = {re.sub(r"\{[^}]*\}", "{}", name): name for name in known}
        close = difflib.get_close_matches(re.sub(r"\{[^}]*\}", "{}", path), plain, n=3, cutoff=0.5)
        return [plain[name] for name in close]

    def answer(self, method: str, path: str, base: str = "") -> Shape | None:
        """The shape of a good answer; None when the file has no such operation or no schema for it."""
        return self._cached("answer", method, path, base)

    def body(self, method: str, path: str, base: str = "") -> Shape | None:
        """The shape of a request's body; None as `answer`."""
        return self._cached("body", method, path, base)

    def _cached(self, what: str, method: str, path: str, base: str) -> Shape | None:
        spelled = self.find(path, base)
        operation = self._operation(method, path, base)
        if spelled is None or operation is None:
            return None
        key = (what, method, spelled)
        if key not in self._shapes:
            schema = self._answer_schema(operation) if what == "answer" else self._body_schema(operation)
            self._shapes[key] = self._schemas.shape(schema) if isinstance(schema, dict) else None
        return self._shapes[key]

    def _operation(self, method: str, path: str, base: str) -> dict[str, Any] | None:
        spelled = self.find(path, base)
        item = self._schemas.resolved(self._paths[spelled]) if spelled is not None else None
        operation = item.get(method.lower()) if isinstance(item, dict) else None
        return operation if isinstance(operation, dict) else None

    def _answer_schema(self, operation: dict[str, Any]) -> Any:
        responses = operation.get("responses")
        by_status = {str(status): item for status, item in responses.items()} if isinstance(responses, dict) else {}
        for status in _SUCCESS:
            if status in by_status:
                return self._content_schema(by_status[status])
        return None

    def _body_schema(self, operation: dict[str, Any]) -> Any:
        if "requestBody" in operation:
            return self._content_schema(operation["requestBody"])
        parameters = operation.get("parameters")
        for item in parameters if isinstance(parameters, list) else []:
            parameter = self._schemas.resolved(item)
            if isinstance(parameter, dict) and parameter.get("in") == "body":
                return parameter.get("schema")
        return None

    def _content_schema(self, node: Any) -> Any:
        """The JSON schema of a response or a request body (3.x `content`, 2.0 `schema`)."""
        node = self._schemas.resolved(node)
        if not isinstance(node, dict):
            return None
        content = node.get("content")
        if not isinstance(content, dict) or not content:
            return node.get("schema")
        kinds = sorted(content, key=lambda kind: ("json" not in str(kind), "*/*" not in str(kind)))
        media = content[kinds[0]]
        return media.get("schema") if isinstance(media, dict) else None


def _base(document: Mapping[str, Any]) -> str:
    """The path part of the server's address."""
    if isinstance(document.get("basePath"), str):
        return str(document["basePath"]).rstrip("/")
    servers = document.get("servers")
    first = servers[0] if isinstance(servers, list) and servers else None
    url = first.get("url") if isinstance(first, dict) else None
    if not isinstance(url, str):
        return ""
    try:
        return urlsplit(re.sub(r"\{[^}]*\}", "host", url)).path.rstrip("/")
    except ValueError:
        return ""


def _segments(path: str) -> list[str]:
    return [part for part in path.split("/") if part]


def _match(wanted: list[str], parts: list[str]) -> int:
    """How well a path fits: literal parts count, a placeholder also takes a literal; -1 when it does not."""
    if len(wanted) != len(parts):
        return -1
    score = 0
    for mine, theirs in zip(wanted, parts, strict=True):
        if theirs.startswith("{"):
            score += 1 if mine.startswith("{") else 0
        elif mine == theirs:
            score += 2
        else:
            return -1
    return score
