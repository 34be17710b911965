"""Reads and writes driven by the mapping: path templates, bulk answers split by id, body templates filled."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from weakref import WeakValueDictionary

import structlog

from gateway.core.errors import BadAnswer, NothingSent, NotMergeable, Refused, SourceError
from gateway.core.point import ActionSpec, CommandSpec, FollowSpec, ListSpec, MembersSpec, Path, ReadSpec
from gateway.core.value import json_text, shorten
from gateway.engine.ports import ActionRequest, Answered, Clock, Listed, WriteRequest, Written
from gateway.sources.bodies import Times, fill_body, fill_path, merged
from gateway.sources.session import Session

log = structlog.get_logger("sources")
LONGEST_PARAMS = 4000
MOST_ANSWERS = 5000


class MappedSource:
    """A source as the engine sees it (`engine.ports.Source`)."""

    def __init__(self, name: str, session: Session, clock: Clock) -> None:
        self.name = name
        self._session = session
        self._clock = clock
        self._merging: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._answers: dict[str, Answered] = {}

    @property
    def session_age_s(self) -> float | None:
        return self._session.age_s

    @property
    def session_number(self) -> int:
        return self._session.number

    @property
    def certificate(self) -> str | None:
        shown = self._session.http.certificate
        return shown.fingerprint if shown is not None else None

    @property
    def certificate_ends(self) -> float | None:
        shown = self._session.http.certificate
        return shown.not_after if shown is not None else None

    @property
    def needs_request(self) -> bool:
        return self._session.needs_request

    @property
    def renewal_due(self) -> bool:
        return self._session.renewal_due

    async def open(self) -> None:
        await self._session.open()

    async def renew(self) -> None:
        await self._session.renew()

    def retry(self) -> None:
        self._session.retry()

    async def close(self) -> None:
        if self._session.age_s is None:
            return
        problem = await self._session.close()
        if problem:
            log.warning("session.left_open", source=self.name, reason=problem)
        else:
            log.info("session.closed", source=self.name)

    def answers(self) -> Mapping[str, Answered]:
        return self._answers

    def _kept(self, path: str, document: Any) -> Any:
        """The document, kept under its path for who compares what is served with it; the oldest make room."""
        self._answers.pop(path, None)
        self._answers[path] = Answered(document, self._clock.monotonic())
        if len(self._answers) > MOST_ANSWERS:
            del self._answers[next(iter(self._answers))]
        return document

    async def list_resources(self, spec: ListSpec) -> list[Listed]:
        document = self._kept(spec.path, (await self._session.request("GET", spec.path)).document)
        listed: list[Listed] = []
        for key, item in _items(document, spec.items, spec.path, keyed=spec.by_key):
            ident = key if spec.by_key else json_text(spec.id(item))
            if ident is None:
                raise BadAnswer(f"GET {spec.path}: an item has no {spec.id.text}: {shorten(item)}")
            guard = json_text(spec.guard(item)) if spec.guard else None
            listed.append(Listed(ident, json_text(spec.name(item)) or "", guard))
        return listed

    async def members(self, spec: MembersSpec, path_values: Mapping[str, str]) -> list[str]:
        path = fill_path(spec.path, path_values)
        document = self._kept(path, (await self._session.request("GET", path)).document)
        found: list[str] = []
        for key, item in _items(document, spec.items, path, keyed=spec.by_key):
            ident = key if spec.by_key else json_text(spec.id(item))
            if ident is None:
                raise BadAnswer(f"GET {path}: a member has no {spec.id.text}: {shorten(item)}")
            found.append(ident)
        return found

    async def read(self, spec: ReadSpec, path_values: Mapping[str, str]) -> Any:
        path = fill_path(spec.path, path_values)
        parts = [await self._read_part(spec, part) for part in split_params(path)]
        return self._kept(path, parts[0] if len(parts) == 1 else merge_results(parts, spec.path))

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
        document = self._kept(spec.path, (await self._session.request("GET", spec.path)).document)
        found: dict[str, Any] = {}
        for key, item in _items(document, spec.items, spec.path, keyed=spec.by_key):
            ident = key if spec.by_key else json_text(spec.match(item))
            if ident is None:
                raise BadAnswer(f"GET {spec.path}: an item has no {spec.match.text}: {shorten(item)}")
            found[ident] = item
        return found

    def product_clock(self) -> float | None:
        return self._session.ahead_s

    def preview(self, request: WriteRequest | ActionRequest) -> str:
        method, path, body = self._filled(request)
        first = request.command.merge_from if isinstance(request, WriteRequest) else None
        whole = "" if first is None else f" merged into GET {fill_path(first, request.path_values)}"
        return f"{method} {path} {json.dumps(body)}{whole}"

    async def write(self, request: WriteRequest) -> Written:
        method, path, body = self._filled(request)
        if request.command.merge_from is None:
            return await self._sent(request.session, method, path, body)
        whole = fill_path(request.command.merge_from, request.path_values)
        async with self._merging.setdefault(whole, asyncio.Lock()):  # or one of two would take back the other's member
            body = await self._merged(whole, body, request.session)
            return await self._sent(request.session, method, path, body)

    async def act(self, request: ActionRequest) -> Written:
        method, path, body = self._filled(request)
        return await self._sent(request.session, method, path, body)

    async def outcome(self, follow: FollowSpec, path_values: Mapping[str, str], result: str) -> str | None:
        path = fill_path(follow.path, {**path_values, "result": result})
        return json_text(follow.status((await self._session.request("GET", path)).document))

    async def _sent(self, session: int, method: str, path: str, body: Any) -> Written:
        answer = await self._session.request_in(session, method, path, body)
        return Written(answer.document, f"{answer.status} {shorten(answer.document)}")

    async def _merged(self, path: str, body: Any, session: int) -> Any:
        """The document at `path` with the members of `body`; whatever goes wrong with it, nothing was sent.

        Raises:
            Refused: the product does not show it, or (SessionLost) the session is over.
            NothingSent: it could not be read now; NotMergeable: it is not what the mapping takes it for.
        """
        try:
            document = (await self._session.request_in(session, "GET", path, None)).document
        except Refused:
            raise
        except BadAnswer as error:
            raise NotMergeable(f"nothing was sent: {error}") from error
        except SourceError as error:
            raise NothingSent(f"nothing was sent: {error}") from error
        return merged(document, body, f"GET {path}")

    def _filled(self, request: WriteRequest | ActionRequest) -> tuple[str, str, Any]:
        """Method, path and body with every placeholder filled in."""
        now, end = self._clock.wall() + (self._session.ahead_s or 0.0), None
        if isinstance(request, WriteRequest):
            spec: CommandSpec | ActionSpec = request.command
            template, end = (request.command.release if request.release else request.command.body), request.end
        else:
            spec, template = request.action, request.action.codes[request.code]
        body = fill_body(template, {**request.values, **request.path_values}, Times(now, end))
        return spec.method, fill_path(spec.path, request.path_values), body


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
    elif document is None:
        raise BadAnswer(f"GET {where}: the answer is empty")
    else:
        raise BadAnswer(f"GET {where}: no list at {path.text!r}: {shorten(document)}")
