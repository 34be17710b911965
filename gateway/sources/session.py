"""What both products' sessions share: one login at a time, one new login after a 401, then the request again."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from gateway.core.errors import SessionLost, SourceError
from gateway.engine.ports import Clock
from gateway.sources.http import Answer, Http


class Session(ABC):
    """One login; requests wait for it, and those that meet a 401 together share one new login."""

    def __init__(self, http: Http, base: str, clock: Clock) -> None:
        self.http = http
        self.base = base
        self._clock = clock
        self._lock = asyncio.Lock()
        self._opened_at: float | None = None
        self.number = 0

    @property
    def age_s(self) -> float | None:
        """Seconds since login, None without a session."""
        return None if self._opened_at is None else self._clock.monotonic() - self._opened_at

    @abstractmethod
    async def _login(self) -> None:
        """Makes a session or raises SourceError."""

    @abstractmethod
    async def _logout(self) -> None:
        """Ends the session at the product or raises SourceError."""

    @abstractmethod
    def _headers(self) -> Mapping[str, str]:
        """What proves the session."""

    async def open(self) -> None:
        """Logs in unless there is a session."""
        async with self._lock:
            if self._opened_at is None:
                await self._login()
                self._opened_at = self._clock.monotonic()
                self.number += 1

    async def close(self) -> None:
        """Logs out politely; a product that does not answer is left alone."""
        if self._opened_at is None:
            return
        self._opened_at = None
        try:
            await self._logout()
        except SourceError:
            return

    async def request(self, method: str, path: str, body: Any = None) -> Answer:
        """One request in the session; a 401 is answered by one new login and the same request once more.

        Raises:
            SourceError: as Http.request; SessionLost when the new session was refused as well.
        """
        await self.open()
        number = self.number
        try:
            return await self.http.request(method, self.base + path, body=body, headers=self._headers())
        except SessionLost:
            if self.number == number:
                self._opened_at = None
            await self.open()
            return await self.http.request(method, self.base + path, body=body, headers=self._headers())
