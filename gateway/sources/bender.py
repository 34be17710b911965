"""Session rules of a Bender controller (REST v1.0, App User Authentication): one-time token, 60 s idle."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any

from gateway.core.errors import BadAnswer, CredentialsRefused, Refused, SessionLost
from gateway.engine.ports import Clock
from gateway.sources.http import Http
from gateway.sources.session import Session

TRIES = 2
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class BenderSession(Session):
    """A login of the app user; a login at the web page ends it, and the other way round."""

    def __init__(self, http: Http, base: str, clock: Clock, *, username: str, password: Callable[[], str]) -> None:
        super().__init__(http, base, clock)
        self._username, self._password = username, password
        self._session_id = ""
        self._refusals = 0

    def _headers(self) -> Mapping[str, str]:
        return {"Authorization": self._session_id}

    async def _login(self) -> None:
        """Fetches a one-time token and logs in with sha256(password + token); two tries at most.

        Raises:
            CredentialsRefused: user or password are wrong; not to be repeated.
        """
        if self._refusals >= TRIES:
            raise CredentialsRefused(f"credentials of {self._username!r} refused; waiting for a change", 401)
        path = f"{self.base}/login"
        offered = (await self.http.request("GET", path)).document
        token = offered.get("token") if isinstance(offered, dict) else None
        if not isinstance(token, str):
            raise BadAnswer("login: the answer holds no token")
        proof = hashlib.sha256((self._password() + token).encode()).hexdigest()
        try:
            answer = await self.http.request("POST", path, body={"username": self._username, "password": proof})
        except (SessionLost, Refused) as error:
            if error.status not in (401, 403):
                raise
            self._refusals += 1
            raise CredentialsRefused(f"user or password of {self._username!r} refused", error.status) from error
        self._session_id = _session_id(answer.document)
        self._refusals = 0

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
