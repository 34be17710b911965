"""What stands before every request of the page: host, origin, session, role, and the headers of every answer.

Rules of this file: whatever has no mark of its own needs a login; a request that changes something needs the page's
own header and an origin that is this listener's; a name that is not ours is not answered (DNS rebinding).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Collection
from urllib.parse import urlsplit

import structlog
from aiohttp import web

from gateway.core.errors import CommandRejected, GatewayError
from gateway.core.role import Role
from gateway.web.ports import Unknown, Unusable
from gateway.web.session import Session, Sessions

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
SESSION = web.RequestKey("session", Session)
CSRF_HEADER = "X-Evce-Page"
SAFE_METHODS = frozenset({"GET", "HEAD"})
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Server": "evce-gateway",
}
HSTS = "max-age=31536000"
log = structlog.get_logger("page")


def open_to_all(handler: Handler) -> Handler:
    """A handler that needs no login."""
    return _marked(handler, None)


def for_role(role: Role, handler: Handler) -> Handler:
    """A handler that needs more than a viewer."""
    return _marked(handler, role)


def _marked(handler: Handler, needs: Role | None) -> Handler:
    async def marked(request: web.Request) -> web.StreamResponse:
        return await handler(request)

    marked.needs = needs  # type: ignore[attr-defined]
    return marked


def role_needed(handler: object) -> Role | None:
    """What a route's handler needs: a role, or None for no login at all."""
    needs: Role | None = getattr(handler, "needs", Role.VIEWER)
    return needs


def failure(status: int, text: str, **more: object) -> web.Response:
    """An answer that says in a sentence what is wrong."""
    return web.json_response({"error": text, **more}, status=status)


class Guard:
    """The middleware; `names` are host names under which the page may be opened, beside addresses and localhost."""

    def __init__(self, sessions: Sessions, names: Collection[str], *, tls: bool) -> None:
        self._sessions, self._tls = sessions, tls
        self._names = {name.lower().rstrip(".") for name in names} | {"localhost"}
        self.cookie = "__Host-evce_session" if tls else "evce_session"

    def set_cookie(self, response: web.StreamResponse, token: str, seconds: float) -> None:
        """Gives the browser a token; Secure everywhere but on plain http, which only this machine can reach."""
        response.set_cookie(
            self.cookie, token, max_age=int(seconds), path="/", httponly=True, samesite="Strict", secure=self._tls
        )

    def drop_cookie(self, response: web.StreamResponse) -> None:
        """Takes the token back."""
        response.del_cookie(self.cookie, path="/", httponly=True, samesite="Strict", secure=self._tls)

    async def check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """One request: refused in words, or passed on with its session."""
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        needs = role_needed(request.match_info.handler)
        session = self._sessions.check(request.cookies.get(self.cookie, ""))
        if session is not None:
            request[SESSION] = session
        if needs is not None:
            if session is None:
                return failure(401, "log in first")
            if session.role < needs:
                return failure(403, f"{session.user} is a {session.role} here; this needs the role {needs}")
        response = await handler(request)
        if session is not None and SESSION in request and not response.prepared:
            self._renew(response, session)
        return response

    def _renew(self, response: web.StreamResponse, session: Session) -> None:
        younger = self._sessions.renewed(session)
        if younger is not None and self.cookie not in response.cookies:
            self.set_cookie(response, younger[0], younger[1].ends - younger[1].issued)

    def _refusal(self, request: web.Request) -> web.Response | None:
        if request.path != "/healthz" and not self._is_ours(request.host):
            text = "this name is not one of the gateway's: open it by its address, or add the name to web.names"
            return failure(421, text)
        if request.method in SAFE_METHODS:
            return None
        origin = request.headers.get("Origin")
        if origin is not None and origin != f"{'https' if self._tls else 'http'}://{request.host}":
            return failure(403, "the request comes from another page")
        if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            return failure(403, "the request comes from another page")
        if request.headers.get(CSRF_HEADER) != "1":
            return failure(403, f"the header {CSRF_HEADER}: 1 is missing")
        return None

    def _is_ours(self, host: str) -> bool:
        """Addresses always are: a name that an attacker turns to this machine is none."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
            urlsplit(f"//{host}").port  # noqa: B018  # raises
        except ValueError:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name.rstrip(".") in self._names
        return True


@web.middleware
async def translate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors as JSON in words; a fault of ours is told in the log and not to the browser."""
    try:
        return await handler(request)
    except CommandRejected as error:
        return failure(409, str(error), code=int(error.reject))
    except Unknown as error:
        return failure(404, str(error))
    except Unusable as error:
        return failure(400, str(error))
    except GatewayError as error:
        return failure(503, str(error))
    except web.HTTPException as error:
        return _in_words(error)
    except (ConnectionError, TimeoutError):
        raise
    except Exception:
        log.exception("page.fault", path=request.path)
        return failure(500, "the gateway made a mistake; its log says more")


def _in_words(error: web.HTTPException) -> web.Response:
    words = {404: "there is no such address", 413: "that is too large"}
    response = failure(error.status, words.get(error.status, error.reason.lower()))
    if isinstance(error, web.HTTPMethodNotAllowed):
        response.headers["Allow"] = ", ".join(sorted(error.allowed_methods))
    return response


def dress(response: web.StreamResponse, *, tls: bool) -> None:
    """The headers of every answer."""
    response.headers.update(HEADERS)
    if tls:
        response.headers["Strict-Transport-Security"] = HSTS


__all__ = [
    "CSRF_HEADER",
    "HEADERS",
    "SESSION",
    "Guard",
    "Handler",
    "dress",
    "failure",
    "for_role",
    "open_to_all",
    "role_needed",
    "translate",
]
