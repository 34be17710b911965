"""Session rules of EVCE (API v2 guide, 2.3 and 3.2.1): bearer token, one connection per user, 12 h, 30 min idle."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import jwt

from gateway.core.errors import BadAnswer, CredentialsRefused, Refused, SessionLost, SourceError
from gateway.engine.ports import Clock
from gateway.sources.gate import FORBIDDEN, mend_and_reload
from gateway.sources.http import Http
from gateway.sources.session import Session

LIFETIME_S = 12 * 3600.0
PLAUSIBLE_S = (600.0, 7 * 86400.0)
TOKEN = re.compile(r"[\x21-\x7e]{1,8192}")
"""What may stand in a header."""


class TokenStore(Protocol):
    """Keeps the newest token over a restart, so that the next start can log the old session out first."""

    def load_token(self, source: str) -> str | None: ...

    def save_token(self, source: str, token: str | None) -> None: ...


class EvceSession(Session):
    """A login as an EBMS user."""

    IDLE_S = 1800.0
    KEEP_ALIVE_S = 1500.0
    TRIES = 2

    def __init__(
        self,
        http: Http,
        base: str,
        clock: Clock,
        *,
        source: str,
        username: str,
        password: Callable[[], str],
        tokens: TokenStore,
        mend: Callable[[], str] = mend_and_reload,
    ) -> None:
        super().__init__(http, base, clock, mend)
        self._source, self._username, self._password, self._tokens = source, username, password, tokens
        self._token: str | None = tokens.load_token(source)

    def _headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    async def _login(self) -> float | None:
        """Logs the remembered session out, then in.

        Raises:
            CredentialsRefused: wrong user or password (401), or the account is blocked or taken (403).
        """
        if self._token is not None:
            await self._forget()
        body = {"login": self._username, "password": self._password()}
        try:
            answer = await self.http.request("POST", f"{self.base}/login/login", body=body)
        except SessionLost as error:
            raise CredentialsRefused(f"user or password of {self._username!r} refused", 401) from error
        except Refused as error:
            if error.status == FORBIDDEN:
                raise CredentialsRefused(str(error), FORBIDDEN) from error
            raise
        token = answer.document.get("token") if isinstance(answer.document, dict) else None
        if not isinstance(token, str) or not TOKEN.fullmatch(token):
            raise BadAnswer("login: the answer holds no token")
        self._tokens.save_token(self._source, token)
        self._token = token
        return renew_after_s(lifetime_s(token, answer.date))

    async def _forget(self) -> None:
        """Revokes the old token, as the guide recommends, whatever the product says to it."""
        try:
            await self._logout()
        except (Refused, BadAnswer):
            self._token = None

    async def _logout(self) -> None:
        try:
            await self.http.request("POST", f"{self.base}/login/logout", headers=self._headers())
        except SourceError as error:
            if not isinstance(error, SessionLost):
                raise
        self._keep_none()

    def forget_token(self) -> None:
        """The session that was remembered is over; one that is open is not touched."""
        if self.age_s is None:
            self._token = None

    def _keep_none(self) -> None:
        self._token = None
        self._tokens.save_token(self._source, None)

    async def change_password(self, path: str, body: Any, accepted: Callable[[], None]) -> None:
        """Asks the product for another password (guide 2.2.2), alone in the session, which ends with it.

        `accepted` is called before any other request may log in again.

        Raises:
            SourceError: as Http.request; Ambiguous when nobody knows which password is right now.
        """
        await self.open()
        async with self._lock:
            await self._still.wait()
            try:
                await self.http.request("POST", self.base + path, body=body, headers=self._headers())
            except SessionLost:
                self._opened_at = None
                raise
            self._opened_at = None
            self._keep_none()
            accepted()


def lifetime_s(token: str, answered_at: float | None) -> float:
    """How long a token lives: exp - iat, or exp - the product's own `Date` in Unix time; 12 h when neither is there.

    Our clock is never asked, and the signature is the product's business: a product whose clock is hours off says
    the same lifetime (U41).
    """
    try:
        claims = jwt.decode(token, options={"verify_signature": False, "verify_jti": False})
    except (jwt.PyJWTError, ValueError, RecursionError):
        return LIFETIME_S
    ends, begins = _number(claims.get("exp")), _number(claims.get("iat"))
    begins = answered_at if begins is None else begins
    if ends is None or begins is None or not PLAUSIBLE_S[0] <= ends - begins <= PLAUSIBLE_S[1]:
        return LIFETIME_S
    return ends - begins


def renew_after_s(lifetime: float) -> float:
    """30 min before the end or at 95 %, whichever is earlier, but never before half of it."""
    return max(min(lifetime - 1800.0, 0.95 * lifetime), lifetime / 2)


def _number(claim: object) -> float | None:
    """A claim that is a usable time."""
    if isinstance(claim, bool) or not isinstance(claim, (int, float)) or not math.isfinite(claim):
        return None
    return float(claim)
