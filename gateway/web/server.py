"""The web listener: /healthz, /metrics, the page and its API on one port, with or without TLS.

Rules of this file: every answer carries the security headers; a request is bounded in its size, its headers, and the
time it takes to arrive; the page's own files stand in `static/app` (for users) and `static/public` (the login page).
"""

from __future__ import annotations

import mimetypes
import os
import ssl
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from gateway.engine.ports import Clock
from gateway.engine.table import PointTable
from gateway.web.api import Api
from gateway.web.door import Door
from gateway.web.events import Streams
from gateway.web.guard import SESSION, Guard, Handler, dress, failure, open_to_all, translate
from gateway.web.hub import Hub
from gateway.web.login import Login
from gateway.web.ports import AuditPort, PagePort, UserPort
from gateway.web.session import Sessions

STATIC = Path(__file__).parent / "static"
LARGEST_BODY = 16 * 1024
LARGEST_LINE, LARGEST_FIELD, MOST_HEADERS = 4096, 8192, 64
ARRIVES_IN_S = 30.0
"""How long a request may take to arrive, and a connection may stand idle."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Where and how it listens; `names` are host names beside addresses; `context` None: plain http."""

    host: str
    port: int
    context: ssl.SSLContext | None = None
    names: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class PageParts:
    """What the page needs; without it the listener has /healthz and /metrics only."""

    page: PagePort
    users: UserPort
    audit: AuditPort
    table: PointTable
    clock: Clock
    key: bytes
    about: Callable[[], dict[str, Any]]
    ended: Mapping[str, float] = field(default_factory=dict)
    keep: Callable[[Mapping[str, float]], None] = lambda _ended: None


class WebServer:
    """One listener. `healthy` is what /healthz says; `metrics` answers /metrics, for whom it allows."""

    def __init__(
        self, terms: Terms, healthy: Callable[[], bool], parts: PageParts, metrics: Handler | None = None
    ) -> None:
        self._terms, self._healthy, self._metrics = terms, healthy, metrics
        self.sessions = Sessions(parts.key, parts.clock, parts.users.find, ended=parts.ended, keep=parts.keep)
        self._guard = Guard(self.sessions, terms.names, tls=terms.context is not None)
        self.hub = Hub(parts.table, parts.page, parts.clock)
        self.streams = Streams(self.hub, parts.page, self.sessions)
        login = Login(parts.users, self.sessions, self._guard, parts.clock, parts.audit, parts.about)
        api = Api(parts.page, parts.users, self.streams, parts.clock.wall)
        self.app = self._application(login, api)
        self._runner: web.AppRunner | None = None
        self._door: Door | None = None
        self._port = 0

    def _application(self, login: Login, api: Api) -> web.Application:
        tls = self._terms.context is not None
        app = web.Application(client_max_size=LARGEST_BODY, middlewares=[translate, _middleware(self._guard)])
        login.add_routes(app.router)
        api.add_routes(app.router)
        app.router.add_get("/healthz", open_to_all(self._health), allow_head=True)
        if self._metrics is not None:
            app.router.add_get("/metrics", open_to_all(self._metrics), allow_head=False)
        app.router.add_get("/", open_to_all(self._index), allow_head=False)
        app.router.add_get("/static/public/{name}", open_to_all(_files(STATIC / "public")), allow_head=False)
        app.router.add_get("/static/app/{name}", _files(STATIC / "app"), allow_head=False)

        async def prepare(_request: web.Request, response: web.StreamResponse) -> None:
            dress(response, tls=tls)

        app.on_response_prepare.append(prepare)
        return app

    @property
    def port(self) -> int:
        """The port it listens on, 0 before it does."""
        return self._port

    async def start(self) -> None:
        """Binds; raises OSError in words when the address is taken."""
        runner = web.AppRunner(
            self.app,
            access_log=None,
            handle_signals=False,
            shutdown_timeout=1.0,
            keepalive_timeout=ARRIVES_IN_S,
            max_line_size=LARGEST_LINE,
            max_field_size=LARGEST_FIELD,
            max_headers=MOST_HEADERS,
        )
        await runner.setup()
        if runner.server is None:
            raise RuntimeError("a runner that was set up has a server")
        door = Door(runner.server, self._terms.context, lambda: self.streams.connections)
        host, port = self._terms.host, self._terms.port
        try:
            self._port = door.open(host, port)
        except OSError as error:
            await runner.cleanup()
            why = os.strerror(error.errno or 0).lower()
            raise OSError(error.errno, f"web: cannot listen on {host}:{port}: {why}") from error
        self._runner, self._door = runner, door

    async def stop(self) -> None:
        """Ends every stream and stops serving."""
        self.streams.stop()
        await self.hub.end()
        if self._door is not None:
            await self._door.close()
            self._door, self._port = None, 0
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _health(self, _request: web.Request) -> web.Response:
        healthy = self._healthy()
        return web.Response(text="ok\n" if healthy else "degraded\n", status=200 if healthy else 503)

    async def _index(self, request: web.Request) -> web.Response:
        """The page for who has a session, else the login page under 401."""
        known = SESSION in request
        path = STATIC / "app" / "index.html" if known else STATIC / "public" / "login.html"
        return web.Response(
            body=path.read_bytes(), content_type="text/html", charset="utf-8", status=200 if known else 401
        )


def _files(folder: Path) -> Handler:
    """The files of one folder by name; what was not there at the start is not served."""
    found = {path.name: path for path in folder.iterdir() if path.is_file()} if folder.is_dir() else {}

    async def handler(request: web.Request) -> web.StreamResponse:
        path = found.get(request.match_info["name"])
        if path is None:
            return failure(404, "there is no such file")
        media = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        charset = "utf-8" if media.startswith("text/") or media.endswith(("json", "xml", "javascript")) else None
        response = web.Response(body=path.read_bytes(), content_type=media, charset=charset)
        if charset is not None:
            response.enable_compression()
        return response

    return handler


def _middleware(guard: Guard) -> Any:
    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await guard.check(request, handler)

    return guarded


__all__ = ["PageParts", "Terms", "WebServer"]
