"""Session rules of EVCE (API v2 guide, 2.3 and 3.2.1): bearer token, one connection per user, 12 h, 30 min idle."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Protocol

from gateway.core.errors import BadAnswer, CredentialsRefused, Refused, SessionLost, SourceError
from gateway.engine.ports import Clock
from gateway.sources.http import Http
from gateway.sources.session import Session

FORBIDDEN = 403
FORBIDDEN_WAIT_S = 1800.0
TOKEN = re.compile(r"[\x21-\x7e]{1,8192}")
"""What may stand in a header."""


class TokenStore(Protocol):
    """Keeps the newest token over a restart, so that the next start can log the old session out first."""

    def load_token(self, source: str) -> str | None: ...

    def save_token(self, source: str, token: str | None) -> None: ...


class EvceSession(Session):
    """A login as an EBMS user."""

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
    ) -> None:
        super().__init__(http, base, clock)
        self._source, self._username, self._password, self._tokens = source, username, password, tokens
        self._token: str | None = tokens.load_token(source)

    def _headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    async def _login(self) -> None:
        """Logs the remembered session out, then in.

        Raises:
            CredentialsRefused: wrong user or password: not to be repeated; account blocked or taken (403): not
                before an idle session at the product would have ended.
        """
        if self._token is not None:
            await self._forget()
        body = {"login": self._username, "password": self._password()}
        try:
            answer = await self.http.request("POST", f"{self.base}/login/login", body=body)
        except SessionLost as error:
            text = f"user or password of {self._username!r} refused; mend it and restart the gateway"
            raise CredentialsRefused(text, 401) from error
        except Refused as error:
            if error.status == FORBIDDEN:
                text = f"login refused: {error}; next try in {FORBIDDEN_WAIT_S / 60:g} min"
                raise CredentialsRefused(text, FORBIDDEN, FORBIDDEN_WAIT_S) from error
            raise
        token = answer.document.get("token") if isinstance(answer.document, dict) else None
        if not isinstance(token, str) or not TOKEN.fullmatch(token):
            raise BadAnswer("login: the answer holds no token")
        self._tokens.save_token(self._source, token)
        self._token = token

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
        self._token = None
        self._tokens.save_token(self._source, None)
