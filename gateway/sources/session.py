"""What both products' sessions share: one login at a time, one new login after a 401, then the request again."""

from __future__ import annotations

import asyncio
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from gateway.core.errors import CredentialsRefused, SessionLost, SourceError
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
        self._barred: CredentialsRefused | None = None
        self._barred_until = 0.0
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
            if self._opened_at is not None:
                return
            self._check_barred()
            try:
                await self._login()
            except CredentialsRefused as error:
                self._bar(error)
                raise
            self._opened_at = self._clock.monotonic()
            self.number += 1

    def _check_barred(self) -> None:
        left_s = self._barred_until - self._clock.monotonic()
        if self._barred is not None and left_s > 0:
            after_s = left_s if math.isfinite(left_s) else None
            raise CredentialsRefused(str(self._barred), self._barred.status, after_s)

    def _bar(self, error: CredentialsRefused) -> None:
        """Nobody tries again before the time is over; without a time never, for it would block the account."""
        self._barred = error
        wait_s = math.inf if error.retry_after_s is None else error.retry_after_s
        self._barred_until = self._clock.monotonic() + wait_s

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
        try:
            return await self._send(method, path, body)
        except SessionLost:
            await self.open()
            return await self._send(method, path, body)

    async def request_in(self, number: int, method: str, path: str, body: Any) -> Answer:
        """One request in session `number` only: a command must not cross into a session it was not checked in (C07).

        Raises:
            SourceError: as Http.request; SessionLost when that session is over, nothing was then carried out.
        """
        if self._opened_at is None or self.number != number:
            raise SessionLost(f"{method} {path}: not sent, its session is over", 401)
        return await self._send(method, path, body)

    async def _send(self, method: str, path: str, body: Any) -> Answer:
        number = self.number
        try:
            return await self.http.request(method, self.base + path, body=body, headers=self._headers())
        except SessionLost:
            if self.number == number:
                self._opened_at = None
            raise
