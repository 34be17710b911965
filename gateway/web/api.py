"""The addresses of `/api/v1` that read and command; what they answer is written down in `openapi.yaml`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from gateway.core.role import Role
from gateway.core.value import Quality
from gateway.web.body import body_of, moment, number, query_of, whole
from gateway.web.events import Streams
from gateway.web.guard import SESSION, Handler, failure, for_role
from gateway.web.login import origin_of
from gateway.web.ports import File, Filter, PagePort, Selection, Unusable, UserPort

CONTRACT = Path(__file__).parent / "openapi.yaml"
MOST_POINTS = 1000
MOST_RECORDS = 1000
MOST_SAMPLES = 2000
DAY_S = 86400.0
LONGEST_FORCE_S = 3600.0
QUALITIES = ("", *(quality.name.lower() for quality in Quality), "not_good")
EVIDENCE = ("point", "event", "since", "until", "before", "limit")
VALUE = (bool, int, float, str)


class Api:
    """The handlers; every one needs a login, those that change something an operator."""

    def __init__(self, page: PagePort, users: UserPort, streams: Streams, wall: Callable[[], float]) -> None:
        self._page, self._users, self._streams, self._wall = page, users, streams, wall

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """All addresses of this file."""
        page = self._page
        gets: dict[str, Handler] = {
            "overview": self._give(page.overview),
            "zones": self._give(lambda: {"zones": page.zones()}),
            "points": self._points,
            "point": self._point,
            "commands": self._commands,
            "clients": self._give(page.clients),
            "history": self._history,
            "evidence": self._evidence,
            "evidence/verify": self._verify,
            "evidence/csv": self._evidence_csv,
            "evidence/report": self._report,
            "downloads": self._give(lambda: {"downloads": page.downloads()}),
            "downloads/{name}": self._download,
            "log": self._log,
            "users": for_role(Role.ADMIN, self._everybody),
            "events": self._streams.serve,
            "openapi.yaml": self._contract,
        }
        posts = {
            "write": self._write,
            "release": self._release,
            "action": self._action,
            "force": self._force,
            "unforce": self._unforce,
        }
        for name, handler in gets.items():
            router.add_get(f"/api/v1/{name}", handler, allow_head=False)
        for name, handler in posts.items():
            router.add_post(f"/api/v1/{name}", for_role(Role.OPERATOR, handler))

    @staticmethod
    def _give(ask: Callable[[], Any]) -> Handler:
        async def handler(request: web.Request) -> web.StreamResponse:
            query_of(request, ())
            return _json(request, ask())

        return handler

    # -- reading -------------------------------------------------------------------------------------------------

    async def _points(self, request: web.Request) -> web.StreamResponse:
        query = query_of(request, ("search", "source", "kind", "quality", "ids", "offset", "limit"))
        quality = query.get("quality", "")
        if quality not in QUALITIES:
            raise Unusable(f"quality must be one of {', '.join(QUALITIES[1:])}")
        selection = Selection(
            search=query.get("search", ""),
            source=query.get("source", ""),
            kind=query.get("kind", ""),
            quality=quality,
            ids=_ids(query["ids"]) if "ids" in query else None,
            offset=whole(query, "offset", 0, 0, 10_000_000),
            limit=whole(query, "limit", 500, 1, MOST_POINTS),
        )
        return _json(request, await self._page.points(selection))

    async def _commands(self, request: web.Request) -> web.StreamResponse:
        query_of(request, ())
        return _json(request, {"commands": self._page.commands(), "actions": await self._page.actions()})

    async def _point(self, request: web.Request) -> web.StreamResponse:
        return _json(request, self._page.detail(_named(query_of(request, ("point",)))))

    async def _history(self, request: web.Request) -> web.StreamResponse:
        query = query_of(request, ("point", "since", "until", "limit"))
        now = self._wall()
        until = number(query, "until", now, 0.0, now + DAY_S)
        since = number(query, "since", until - 3600.0, 0.0, until)
        most = whole(query, "limit", MOST_SAMPLES, 1, MOST_SAMPLES)
        return _json(request, await self._page.history(_named(query), since, until, most))

    async def _evidence(self, request: web.Request) -> web.StreamResponse:
        return _json(request, await self._page.evidence(_filter(request)))

    async def _verify(self, request: web.Request) -> web.StreamResponse:
        query_of(request, ())
        return _json(request, await self._page.verify())

    async def _evidence_csv(self, request: web.Request) -> web.StreamResponse:
        return _file(await self._page.evidence_csv(_filter(request)))

    async def _report(self, request: web.Request) -> web.StreamResponse:
        query = query_of(request, ("point", "since", "until"))
        report = await self._page.report(_named(query), moment(query, "since"), moment(query, "until"))
        return _file(report, inline=True)

    async def _download(self, request: web.Request) -> web.StreamResponse:
        query_of(request, ())
        return _file(await self._page.download(request.match_info["name"]))

    async def _log(self, request: web.Request) -> web.StreamResponse:
        after = whole(query_of(request, ("after",)), "after", 0, 0, 1 << 60)
        return _json(request, self._page.log(after))

    async def _everybody(self, request: web.Request) -> web.StreamResponse:
        query_of(request, ())
        users = [{"name": user.name, "role": str(user.role)} for user in self._users.everybody()]
        return _json(request, {"users": users, "pages_open": self._streams.count})

    async def _contract(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(body=CONTRACT.read_bytes(), content_type="application/yaml")

    # -- commanding ----------------------------------------------------------------------------------------------

    async def _write(self, request: web.Request) -> web.StreamResponse:
        body = await body_of(request, {"point": str, "value": VALUE}, {"slot": int, "until": (int, float)})
        return await self._command(request, body, body["value"])

    async def _release(self, request: web.Request) -> web.StreamResponse:
        return await self._command(request, await body_of(request, {"point": str}, {"slot": int}), None)

    async def _command(self, request: web.Request, body: dict[str, Any], value: Any) -> web.StreamResponse:
        slot, session = body.get("slot", self._page.local_slot), request[SESSION]
        if slot != self._page.local_slot and session.role < Role.ADMIN:
            text = f"an operator has slot {self._page.local_slot} alone; the others need the role admin"
            return failure(403, text)
        origin, until = origin_of(request), body.get("until")
        answer = await self._page.write(body["point"], value, origin, slot=slot, until=until)
        return _json(request, answer)

    async def _action(self, request: web.Request) -> web.StreamResponse:
        body = await body_of(request, {"point": str, "code": int})
        return _json(request, await self._page.act(body["point"], body["code"], origin_of(request)))

    async def _force(self, request: web.Request) -> web.StreamResponse:
        body = await body_of(request, {"point": str, "value": VALUE}, {"seconds": (int, float)})
        seconds = float(body.get("seconds", LONGEST_FORCE_S))
        if not 1.0 <= seconds <= LONGEST_FORCE_S:
            raise Unusable(f"seconds must be 1 to {LONGEST_FORCE_S:g}")
        return _json(request, self._page.force(body["point"], body["value"], seconds, origin_of(request)))

    async def _unforce(self, request: web.Request) -> web.StreamResponse:
        body = await body_of(request, {"point": str})
        return _json(request, self._page.unforce(body["point"], origin_of(request)))


def _json(request: web.Request, data: Any) -> web.Response:
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    response = web.Response(body=text.encode("utf-8", "replace"), content_type="application/json", charset="utf-8")
    if len(text) > 4096 and "gzip" in request.headers.get("Accept-Encoding", ""):
        response.enable_compression(web.ContentCoding.gzip)
    return response


def _file(file: File, *, inline: bool = False) -> web.Response:
    response = web.Response(body=file.content)
    response.headers["Content-Type"] = file.media
    if not inline:
        response.headers["Content-Disposition"] = f'attachment; filename="{file.name}"'
    return response


def _named(query: dict[str, str]) -> str:
    if "point" not in query:
        raise Unusable("the parameter point is missing")
    return query["point"]


def _ids(text: str) -> tuple[int, ...]:
    parts = text.split(",") if text else []
    if len(parts) > MOST_POINTS or not all(part.isdecimal() and len(part) < 10 for part in parts):
        raise Unusable(f"ids must be at most {MOST_POINTS} numbers with commas between them")
    return tuple(int(part) for part in parts)


def _filter(request: web.Request) -> Filter:
    query = query_of(request, EVIDENCE)
    return Filter(
        point=query.get("point", ""),
        event=query.get("event", ""),
        since=moment(query, "since"),
        until=moment(query, "until"),
        before=whole(query, "before", 0, 0, 1 << 60) or None,
        limit=whole(query, "limit", 200, 1, MOST_RECORDS),
    )


__all__ = ["Api"]
