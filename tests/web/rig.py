"""A web listener on a table of a few points, and clients that send exactly what they are told to."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from gateway.app.web import PageUsers
from gateway.core.point import PointSpec
from gateway.core.priority import Origin
from gateway.core.role import Role
from gateway.core.value import GOOD, Sample, ValueKind
from gateway.engine.table import PointTable
from gateway.store.installation import Installation
from gateway.store.users import UserBook
from gateway.web.ports import File, Selection, Unknown
from gateway.web.server import PageParts, Terms, WebServer
from tests.site import AheadClock

PASSWORDS = {"vera": "viewers look on", "oskar": "operators do it", "adam": "admins may all"}
ROLES = {"vera": Role.VIEWER, "oskar": Role.OPERATOR, "adam": Role.ADMIN}
PAGE = {"X-Evce-Page": "1", "Content-Type": "application/json"}


class SmallPage:
    """A page of a table without a site: enough for everything about access and streams."""

    local_slot = 8

    def __init__(self, table: PointTable) -> None:
        self.table, self.generation = table, 1
        self.written: list[tuple[str, Any, Origin, int]] = []
        self.entries: list[dict[str, Any]] = []

    def overview(self) -> dict[str, Any]:
        return {"site": "small"}

    def zones(self) -> list[dict[str, Any]]:
        return []

    async def points(self, selection: Selection) -> dict[str, Any]:
        rows = [self.row(i) for i in range(len(self.table))]
        return {"columns": [], "rows": rows[: selection.limit], "total": len(rows), "generation": self.generation}

    def row(self, index: int) -> list[Any]:
        value, quality, reason, _ = self.table.sample(index)
        return [index, value, quality.name.lower(), reason, 0.0, None, False]

    def live(self, ids: Any) -> list[list[Any]]:
        return [self.row(index) for index in ids]

    def card_ids(self) -> frozenset[int]:
        return frozenset({0})

    def detail(self, point: str) -> dict[str, Any]:
        if self.table.find(point) is None:
            raise Unknown(f"there is no point {point!r}")
        return {"point": point}

    def commands(self, ids: Any = None) -> list[dict[str, Any]]:
        return []

    async def actions(self) -> list[dict[str, Any]]:
        return []

    def clients(self) -> dict[str, Any]:
        return {"clients": [], "hints": []}

    async def write(self, point: str, value: Any, origin: Origin, *, slot: int, until: float | None) -> Any:
        self.written.append((point, value, origin, slot))
        return {}

    async def act(self, point: str, code: int, origin: Origin) -> dict[str, Any]:
        self.written.append((point, code, origin, 0))
        return {}

    def force(self, point: str, value: Any, seconds: float, origin: Origin) -> dict[str, Any]:
        self.written.append((point, value, origin, 0))
        return {}

    def unforce(self, point: str, origin: Origin) -> dict[str, Any]:
        self.written.append((point, None, origin, 0))
        return {}

    async def history(self, point: str, since: float, until: float, most: int) -> dict[str, Any]:
        return {"rows": []}

    async def evidence(self, wanted: Any) -> dict[str, Any]:
        return {"records": []}

    async def verify(self) -> dict[str, Any]:
        return {"good": True}

    async def evidence_csv(self, wanted: Any) -> File:
        return File("evidence.csv", "text/csv; charset=utf-8", b"")

    async def report(self, point: str, since: str, until: str) -> File:
        return File("report.html", "text/html; charset=utf-8", b"")

    def downloads(self) -> list[dict[str, Any]]:
        return []

    async def download(self, name: str) -> File:
        raise Unknown(f"there is no download {name!r}")

    def log(self, after: int) -> dict[str, Any]:
        return {"entries": [e for e in self.entries if e["seq"] > after], "last": len(self.entries)}


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Stand:
    """The running listener; `told` is what the audit was told."""

    server: WebServer
    page: SmallPage
    table: PointTable
    users: UserBook
    clock: AheadClock
    told: list[tuple[str, Origin, str]] = field(default_factory=list)
    ended: dict[str, float] = field(default_factory=dict)
    context: ssl.SSLContext | None = None

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        host: str | None = None,
    ) -> Answer:
        """One request with exactly these headers (and Host, Content-Length) through the standard library."""
        return await asyncio.to_thread(self._ask, method, path, body, dict(headers or {}), host)

    def _ask(self, method: str, path: str, body: Any, headers: dict[str, str], host: str | None) -> Answer:
        port = self.server.port
        if self.context is not None:
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                "127.0.0.1", port, timeout=10, context=self.context
            )
        else:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        with contextlib.closing(connection):
            octets = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
            connection.putrequest(method, path, skip_host=True)
            connection.putheader("Host", host or f"127.0.0.1:{port}")
            if octets is not None:
                connection.putheader("Content-Length", str(len(octets)))
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders(octets)
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())

    async def login(self, name: str, password: str | None = None) -> Answer:
        """A login as the page sends it."""
        body = {"name": name, "password": PASSWORDS[name] if password is None else password}
        return await self.ask("POST", "/api/v1/login", body, PAGE)

    async def cookie(self, name: str) -> dict[str, str]:
        """The headers of somebody who is logged in, those of the page among them."""
        answer = await self.login(name)
        assert answer.status == 200, answer.body
        return {"Cookie": answer.headers["Set-Cookie"].partition(";")[0], **PAGE}


def small_table(clock: AheadClock, count: int = 4) -> PointTable:
    table = PointTable(clock)
    for number in range(count):
        spec = PointSpec(name=f"p{number}", kind=ValueKind.NUMBER, read="status", stale_after_s=1e9)
        table.add(f"s/zone/Z/p{number}", spec)
    show(table, dict.fromkeys(range(count), 1.0))
    return table


def show(table: PointTable, values: Mapping[int, float]) -> None:
    """New values, in one step."""
    table.update([(index, Sample(value, GOOD, "", 0.0)) for index, value in values.items()])


@contextlib.asynccontextmanager
async def stand(
    folder: Path,
    *,
    count: int = 4,
    context: ssl.SSLContext | None = None,
    names: tuple[str, ...] = (),
    ended: Mapping[str, float] | None = None,
    client: ssl.SSLContext | None = None,
) -> AsyncIterator[Stand]:
    """A listener with three users, stopped at the end."""
    clock = AheadClock()
    table = small_table(clock, count)
    page, users = SmallPage(table), UserBook(folder)
    for name, password in PASSWORDS.items():
        if name not in users.all():
            users.add(name, ROLES[name], password)
    told: list[tuple[str, Origin, str]] = []
    kept: dict[str, float] = dict(ended or {})

    def keep(now: Mapping[str, float]) -> None:
        kept.clear()
        kept.update(now)

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(text="metrics")

    parts = PageParts(
        page=page,
        users=PageUsers(users),
        audit=lambda event, origin, text: told.append((event, origin, text)),
        table=table,
        clock=clock,
        key=Installation(folder).session_key(),
        about=lambda: {"site": "small", "version": "0", "local_slot": 8},
        ended=ended or {},
        keep=keep,
    )
    server = WebServer(Terms("127.0.0.1", 0, context, names), lambda: True, parts, metrics)
    await server.start()
    ticking = asyncio.get_running_loop().create_task(server.hub.run())
    try:
        yield Stand(server, page, table, users, clock, told, kept, client)
    finally:
        ticking.cancel()
        await server.stop()
