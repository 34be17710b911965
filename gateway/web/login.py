"""Login, logout and the own password.

Rules of this file: one answer for a wrong name and for a wrong password, in the same time; passwords are compared
beside the loop, two at once at most; every end of a login is told to the audit, a failed one with its address.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

from aiohttp import web

from gateway.core.priority import Origin
from gateway.engine.ports import Clock
from gateway.web.body import body_of
from gateway.web.guard import SESSION, Guard, failure, open_to_all
from gateway.web.ports import AuditPort, UserAccount, UserPort
from gateway.web.session import Session, Sessions
from gateway.web.throttle import Throttle

AT_ONCE = 2
LONGEST_NAME, LONGEST_PASSWORD = 100, 200
WRONG = "wrong name or password"


def address_of(request: web.Request) -> str:
    """The peer's address; nothing a client can choose."""
    return request.remote or "unknown"


def origin_of(request: web.Request) -> Origin:
    """Who asks, for the evidence: the page, the browser's address, the user's name."""
    return Origin("page", address_of(request), request[SESSION].user)


class Login:
    """The handlers; `about` is what every session answer says beside the user."""

    def __init__(
        self,
        users: UserPort,
        sessions: Sessions,
        guard: Guard,
        clock: Clock,
        audit: AuditPort,
        about: Callable[[], dict[str, Any]],
    ) -> None:
        self._users, self._sessions, self._guard, self._clock = users, sessions, guard, clock
        self._audit, self._about = audit, about
        self._throttle = Throttle(clock)
        self._scrypt = asyncio.Semaphore(AT_ONCE)

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """All addresses of this file."""
        router.add_post("/api/v1/login", open_to_all(self._login))
        router.add_post("/api/v1/logout", self._logout)
        router.add_get("/api/v1/session", self._session, allow_head=False)
        router.add_post("/api/v1/session/password", self._password)

    async def _login(self, request: web.Request) -> web.Response:
        body = await body_of(request, {"name": str, "password": str})
        name, password = body["name"][:LONGEST_NAME], body["password"][:LONGEST_PASSWORD]
        user = await self._prove(request, name, password)
        if isinstance(user, web.Response):
            return user
        token, session = self._sessions.begin(user)
        self._audit("login", Origin("page", address_of(request), user.name), f"as {user.role}")
        response = web.json_response(self._said(session))
        self._guard.set_cookie(response, token, session.ends - session.issued)
        return response

    async def _prove(self, request: web.Request, name: str, password: str) -> UserAccount | web.Response:
        """The user this password belongs to, or the refusal."""
        address = address_of(request)
        if wait_s := self._throttle.wait_s(address, name):
            return _later("too many wrong passwords", wait_s)
        self._throttle.tries(address, name)
        user = self._users.find(name)
        account = user or self._users.nobody()
        async with self._scrypt:
            right = await asyncio.to_thread(account.matches, password)
        if user is None or not right:
            known = name if user is not None else "a name that does not exist"
            self._audit("login_failed", Origin("page", address, known), WRONG)
            return failure(401, WRONG)
        self._throttle.succeeded(address, name)
        if wait_s := self._throttle.begins(name):
            return _later("too many logins of this user", wait_s)
        return user

    async def _logout(self, request: web.Request) -> web.Response:
        session = request.pop(SESSION)
        self._sessions.end(session)
        self._audit("logout", Origin("page", address_of(request), session.user), "")
        response = web.Response(status=204)
        self._guard.drop_cookie(response)
        return response

    async def _session(self, request: web.Request) -> web.Response:
        return web.json_response(self._said(request[SESSION]))

    async def _password(self, request: web.Request) -> web.Response:
        """Every session of the user ends with the old password; this one goes on with a new token."""
        body = await body_of(request, {"old": str, "new": str})
        name = request[SESSION].user
        user = await self._prove(request, name, body["old"][:LONGEST_PASSWORD])
        if isinstance(user, web.Response):
            return user
        async with self._scrypt:
            await asyncio.to_thread(self._users.set_password, name, body["new"])
        self._audit("password_changed", origin_of(request), "")
        changed = self._users.find(name)
        if changed is None:
            return failure(401, "log in first")
        token, session = self._sessions.begin(changed)
        response = web.json_response(self._said(session))
        self._guard.set_cookie(response, token, session.ends - session.issued)
        return response

    def _said(self, session: Session) -> dict[str, Any]:
        return {
            "user": session.user,
            "role": str(session.role),
            "token_left_s": max(int(session.ends - self._clock.wall()), 0),
            **self._about(),
        }


def _later(why: str, wait_s: float) -> web.Response:
    response = failure(429, f"{why}: try again in {math.ceil(wait_s)} s")
    response.headers["Retry-After"] = str(math.ceil(wait_s))
    return response
