"""Session rules of a Bender controller (REST v1.0, App User Authentication): one-time token, 60 s idle."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any

from gateway.core.errors import BadAnswer, CredentialsRefused, Refused
from gateway.core.value import shorten
from gateway.engine.ports import Clock
from gateway.sources.gate import mend_and_reload
from gateway.sources.http import Http
from gateway.sources.session import Session

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class BenderSession(Session):
    """A login of the app user; a login at the web page ends it, and the other way round."""

    IDLE_S = 60.0
    KEEP_ALIVE_S = 45.0
    TRIES = 1
    """Each with two one-time tokens."""

    def __init__(
        self,
        http: Http,
        base: str,
        clock: Clock,
        *,
        username: str,
        password: Callable[[], str],
        mend: Callable[[], str] = mend_and_reload,
    ) -> None:
        super().__init__(http, base, clock, mend)
        self._username, self._password = username, password
        self._session_id = ""

    def _headers(self) -> Mapping[str, str]:
        return {"Authorization": self._session_id}

    async def _login(self) -> None:  # no lifetime is published
        """Logs in with sha256(password + one-time token); a second token for the case that another client took it.

        Raises:
            CredentialsRefused: refused with two tokens, so user or password are wrong.
        """
        for last in (False, True):
            try:
                self._session_id = await self._prove()
                return
            except Refused as error:
                if error.status not in (401, 403):
                    raise
                if last:
                    raise CredentialsRefused(f"user or password of {self._username!r} refused", 401) from error

    async def _prove(self) -> str:
        path = f"{self.base}/login"
        offered = (await self.http.request("GET", path)).document
        token = offered.get("token") if isinstance(offered, dict) else None
        if not isinstance(token, str):
            raise BadAnswer("login: the answer holds no token")
        proof = hashlib.sha256((self._password() + token).encode()).hexdigest()
        answer = await self.http.request("POST", path, body={"username": self._username, "password": proof})
        document = answer.document
        if isinstance(document, dict) and document.get("logged_in") is False:
            raise Refused(f"login: {shorten(document.get('message'))}", 401)
        return _session_id(document)

    async def _logout(self) -> None:
        await self.http.request("POST", f"{self.base}/logout", headers=self._headers())


def _session_id(document: Any) -> str:
    """The id inside `session`, whose members the text does not show: its one UUID."""
    session = document.get("session") if isinstance(document, dict) else None
    if not isinstance(document, dict) or document.get("logged_in") is not True or not isinstance(session, dict):
        raise BadAnswer("login: the answer does not say logged_in with a session")
    for value in session.values():
        if isinstance(value, str) and _UUID.fullmatch(value):
            return value
    raise BadAnswer("login: the session holds no session id")
