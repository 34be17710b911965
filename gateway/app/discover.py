"""What the products of a site answer: one login each, every endpoint that may be read, one request at a time.

Rules of this file: only GETs between login and logout; what one endpoint refuses does not end the rest; nothing
leaves this file before `hide` saw it, and the answers to login are never kept.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from gateway.app.clock import SystemClock
from gateway.app.connect import BorrowedTokens, Session, new_session, what_was_said
from gateway.app.passwords import source_password
from gateway.config import LoadedConfig, SourceConfig
from gateway.core.errors import Ambiguous, Refused, SourceError, Unreachable
from gateway.core.point import KindSpec, Path
from gateway.core.value import json_text
from gateway.mapping import load_mapping
from gateway.mapping.load import BASES
from gateway.mapping.openapi import ENDPOINTS, HIDDEN, Endpoint, hide, shape_of
from gateway.mapping.openapi.endpoints import NEVER_ASKED
from gateway.mapping.openapi.lists import KEY, listing
from gateway.mapping.openapi.secrets import hide_text
from gateway.mapping.paths import compile_path
from gateway.store import Store


@dataclass(frozen=True, slots=True)
class Found:
    """One resource: `name` is "" when no member was recognised as its name."""

    kind: str
    name: str
    id: str


@dataclass(frozen=True, slots=True)
class EndpointAnswer:
    """What one endpoint said: a document without secrets, or a problem in words (status 0: no answer)."""

    endpoint: Endpoint
    asked: str
    status: int = 0
    document: Any = None
    problem: str = ""


@dataclass(slots=True)
class SourceAnswers:
    """What one source said; `problem` when it could not be logged in to."""

    name: str
    product: str
    base: str
    problem: str = ""
    notes: list[str] = field(default_factory=list)
    answers: list[EndpointAnswer] = field(default_factory=list)
    resources: list[Found] = field(default_factory=list)


async def discover(loaded: LoadedConfig, sources: Sequence[SourceConfig]) -> list[SourceAnswers]:
    """Asks the sources one after the other; each is logged out of whatever happens.

    Raises:
        ConfigError: a password cannot be read.
    """
    return [await _ask(loaded, source) for source in sources]


async def _ask(loaded: LoadedConfig, config: SourceConfig) -> SourceAnswers:
    mapping, faults = load_mapping(loaded.path(config.mapping))
    product = mapping.product if mapping is not None and mapping.product.name == config.kind else None
    found = SourceAnswers(config.name, config.kind, product.base if product else BASES[config.kind])
    if product is None:
        why = str(faults[0]) if faults else "it is for another product"
        found.notes.append(f"the mapping is not used, ids are guessed: {why}")
    password = source_password(loaded, config)
    kinds = list(product.kinds.values()) if product else []
    async with contextlib.AsyncExitStack() as stack:
        try:
            tokens = BorrowedTokens(Store(loaded.path(loaded.config.state_dir)))
            session = await new_session(loaded, config, found.base, lambda: password, tokens, SystemClock(), stack)
        except OSError as error:
            found.problem = f"tls: {error.strerror or error}"
            return found
        try:
            await session.open()
            await _Asking(session, found, kinds, (password,)).run()
        except SourceError as error:
            found.problem = hide_text(what_was_said(error), (password,))
        finally:
            await session.close()
    return found


class _Asking:
    """One source's endpoints in the table's order; ids come from lists that were answered before."""

    def __init__(
        self,
        session: Session,
        found: SourceAnswers,
        kinds: Sequence[KindSpec],
        secrets: Collection[str],
    ) -> None:
        self._session, self._found, self._secrets = session, found, secrets
        self._lists = {kind.list.path.rstrip("/"): (kind.name, kind.list) for kind in kinds if kind.list is not None}
        self._ids: dict[str, list[str]] = {}
        self._away = ""

    async def run(self) -> None:
        for endpoint in ENDPOINTS[self._found.product]:
            answer = await self._one(endpoint)
            self._found.answers.append(answer)
            if endpoint.is_list and not answer.problem:
                self._learn(endpoint, answer)

    async def _one(self, endpoint: Endpoint) -> EndpointAnswer:
        path = endpoint.path
        if NEVER_ASKED in path:
            return EndpointAnswer(endpoint, path, problem="not asked: it needs the id of a command")
        if endpoint.ids is not None:
            ids = self._ids.get(endpoint.ids, [])
            if not ids:
                return EndpointAnswer(endpoint, path, problem=f"not asked: no id is known from {endpoint.ids}")
            path = path.replace("{id}", quote(ids[0], safe=""))
        if self._away:
            return EndpointAnswer(endpoint, path, problem=f"not asked: {self._away}")
        try:
            answer = await self._session.request("GET", path)
        except SourceError as error:
            if isinstance(error, Unreachable) and not isinstance(error, Ambiguous):
                self._away = str(error)
            status = error.status if isinstance(error, Refused) else 0
            return EndpointAnswer(endpoint, path, status, problem=hide_text(str(error), self._secrets))
        return EndpointAnswer(endpoint, path, answer.status, hide(answer.document, self._secrets))

    def _learn(self, endpoint: Endpoint, answer: EndpointAnswer) -> None:
        """Ids and names: by the mapping's list if it fits, else by what looks like them."""
        spec = self._lists.get(endpoint.path)
        resources = None
        if spec is not None:
            kind, what = spec
            resources = resources_of(kind, answer.document, what.items, None if what.by_key else what.id, what.name)
            if resources is None:
                self._found.notes.append(f"the mapping's list of {kind} does not fit the answer; ids are guessed")
        resources = guessed(endpoint.kind, answer.document) if resources is None else resources
        self._ids[endpoint.path] = [item.id for item in resources]
        self._found.resources += resources


def guessed(kind: str, document: Any) -> list[Found]:
    """The resources of a list answer by its first id-like member; [] when there is none."""
    found = listing(shape_of(document), kind)
    if found is None or found.id is None:
        return []
    ident = None if found.id == KEY else compile_path(found.id)
    name = compile_path(found.name) if found.name is not None else None
    return resources_of(kind, document, compile_path(found.items), ident, name) or []


def resources_of(kind: str, document: Any, items: Path, ident: Path | None, name: Path | None) -> list[Found] | None:
    """The resources of a list answer, an item's key being its id without `ident`; None when the paths do not fit."""
    listed: Any = items(document)
    if not isinstance(listed, dict) and (ident is None or not isinstance(listed, list)):
        return None
    found: list[Found] = []
    for key, item in listed.items() if isinstance(listed, dict) else (("", item) for item in listed):
        text = key if ident is None else json_text(ident(item))
        if text is None or text == HIDDEN:
            return None
        found.append(Found(kind, json_text(name(item)) or "" if name is not None else "", text))
    return found
