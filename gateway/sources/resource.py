"""Reads and writes driven by the mapping: path templates, bulk answers split by id, body templates filled."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import structlog

from gateway.core.errors import BadAnswer, NothingSent, Refused
from gateway.core.point import ListSpec, MembersSpec, Path, ReadSpec
from gateway.core.value import json_text, shorten
from gateway.engine.ports import Clock, Listed, WriteRequest
from gateway.sources.session import Session

log = structlog.get_logger("sources")
LONGEST_PARAMS = 4000
_PLACEHOLDER = re.compile(r"\{([a-z_.]+(?::[A-Za-z0-9_]+)?)\}")


class MappedSource:
    """A source as the engine sees it (`engine.ports.Source`)."""

    def __init__(self, name: str, session: Session, clock: Clock) -> None:
        self.name = name
        self._session = session
        self._clock = clock
        self._nameless: dict[str, list[str]] = {}

    @property
    def session_age_s(self) -> float | None:
        return self._session.age_s

    @property
    def session_number(self) -> int:
        return self._session.number

    async def open(self) -> None:
        await self._session.open()

    async def close(self) -> None:
        if self._session.age_s is not None:
            await self._session.close()
            log.info("session.closed", source=self.name)

    async def list_resources(self, spec: ListSpec) -> list[Listed]:
        document = (await self._session.request("GET", spec.path)).document
        listed: list[Listed] = []
        nameless: list[str] = []
        for key, item in _items(document, spec.items, spec.path, keyed=spec.by_key):
            ident = key if spec.by_key else json_text(spec.id(item))
            name = json_text(spec.name(item))
            if ident is None:
                raise BadAnswer(f"GET {spec.path}: an item has no {spec.id.text}: {shorten(item)}")
            if name is None:
                nameless.append(ident)
            else:
                listed.append(Listed(ident, name, json_text(spec.guard(item)) if spec.guard else None))
        self._note_nameless(spec, nameless)
        return listed

    def _note_nameless(self, spec: ListSpec, ids: list[str]) -> None:
        """An item without a name cannot be addressed; it is left out, and said once when that changes."""
        if ids != self._nameless.get(spec.path, []):
            missing = f"no {spec.name.text}"
            log.warning("list.nameless", source=self.name, path=spec.path, reason=missing, ids=", ".join(ids) or "none")
        self._nameless[spec.path] = ids

    async def members(self, spec: MembersSpec, path_values: Mapping[str, str]) -> list[str]:
        path = fill_path(spec.path, path_values)
        document = (await self._session.request("GET", path)).document
        found: list[str] = []
        for key, item in _items(document, spec.items, path, keyed=spec.by_key):
            ident = key if spec.by_key else json_text(spec.id(item))
            if ident is None:
                raise BadAnswer(f"GET {path}: a member has no {spec.id.text}: {shorten(item)}")
            found.append(ident)
        return found

    async def read(self, spec: ReadSpec, path_values: Mapping[str, str]) -> Any:
        parts = [await self._read_part(spec, part) for part in split_params(fill_path(spec.path, path_values))]
        return parts[0] if len(parts) == 1 else merge_results(parts, spec.path)

    async def _read_part(self, spec: ReadSpec, path: str) -> Any:
        try:
            answer = await self._session.request("GET", path)
        except Refused as error:
            if error.status in spec.none_status:
                return None
            raise
        if answer.document is None and answer.status not in spec.none_status:
            raise BadAnswer(f"GET {path}: {answer.status} without content")
        return answer.document

    async def read_bulk(self, spec: ReadSpec) -> dict[str, Any]:
        if spec.items is None or spec.match is None:
            raise ValueError(spec.name)
        document = (await self._session.request("GET", spec.path)).document
        found: dict[str, Any] = {}
        for key, item in _items(document, spec.items, spec.path, keyed=spec.by_key):
            ident = key if spec.by_key else json_text(spec.match(item))
            if ident is None:
                raise BadAnswer(f"GET {spec.path}: an item has no {spec.match.text}: {shorten(item)}")
            found[ident] = item
        return found

    def preview(self, request: WriteRequest) -> str:
        path, body = self._filled(request)
        return f"{request.command.method} {path} {json.dumps(body)}"

    async def write(self, request: WriteRequest) -> str:
        path, body = self._filled(request)
        answer = await self._session.request_in(request.session, request.command.method, path, body)
        return f"{answer.status} {shorten(answer.document)}"

    def _filled(self, request: WriteRequest) -> tuple[str, Any]:
        """Path and body with every placeholder filled in."""
        template = request.command.release if request.release else request.command.body
        body = fill_body(template, {**request.values, **request.path_values}, self._clock.wall())
        return fill_path(request.command.path, request.path_values), body


def fill_path(template: str, values: Mapping[str, str]) -> str:
    """A path with `{id}` and `{parent.id}` filled in and escaped."""
    return _PLACEHOLDER.sub(lambda match: quote(values[match[1]], safe=""), template)


def split_params(path: str, at_most: int = LONGEST_PARAMS) -> list[str]:
    """A path whose query names more `params=A,B,...` than a controller takes at once, as several paths."""
    head, found, rest = path.partition("params=")
    names, separator, tail = rest.partition("&")
    if not found or head[-1:] not in ("?", "&") or len(names) <= at_most:
        return [path]
    pieces: list[str] = []
    for name in names.split(","):
        if pieces and len(pieces[-1]) + 1 + len(name) <= at_most:
            pieces[-1] += f",{name}"
        else:
            pieces.append(name)
    return [f"{head}{found}{piece}{separator}{tail}" for piece in pieces]


def merge_results(parts: Sequence[Any], where: str) -> Any:
    """The answers to a split request as one: the first, with the `result` members of all; None if a part is.

    Raises:
        BadAnswer: a part has no `result` object.
    """
    if any(part is None for part in parts):
        return None
    results = [part.get("result") if isinstance(part, dict) else None for part in parts]
    merged: dict[str, Any] = {}
    for part, result in zip(parts, results, strict=True):
        if not isinstance(result, dict):
            raise BadAnswer(f"GET {where.partition('?')[0]}: no `result` to put together: {shorten(part)}")
        merged |= result
    return {**parts[0], "result": merged}


def fill_body(template: Any, values: Mapping[str, Any], wall: float) -> Any:
    """A body with its placeholders filled in; a string that is only a placeholder keeps the value's JSON type."""
    if isinstance(template, dict):
        return {key: fill_body(value, values, wall) for key, value in template.items()}
    if isinstance(template, list):
        return [fill_body(item, values, wall) for item in template]
    if not isinstance(template, str):
        return template
    whole = _PLACEHOLDER.fullmatch(template)
    if whole is not None:
        return _value(whole[1], values, wall)
    return _PLACEHOLDER.sub(lambda match: json_text(_value(match[1], values, wall)) or "", template)


def _value(name: str, values: Mapping[str, Any], wall: float) -> Any:
    match name:
        case "now:iso":
            return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        case "now:epoch":
            return int(wall)
        case "now:epoch_ms":
            return int(wall * 1000)
    if name not in values:
        raise NothingSent(f"the body needs {{{name}}}, which has no value yet")
    return values[name]


def _items(document: Any, path: Path, where: str, *, keyed: bool) -> Iterator[tuple[str, Any]]:
    """(key, item) of a list answer: an array's items with an empty key, or (`keyed`) an object's by its keys."""
    items = path(document)
    if isinstance(items, dict) and keyed:
        yield from items.items()
    elif isinstance(items, dict):
        members = ", ".join(list(items)[:10])
        raise BadAnswer(f"GET {where}: no list at {path.text!r} but an object of {members} (ids as keys need @key)")
    elif isinstance(items, list):
        for item in items:
            yield "", item
    else:
        raise BadAnswer(f"GET {where}: no list at {path.text!r}: {shorten(document)}")
