"""What both products' sessions share: one login at a time, one new login after a 401, then the request again.

Rules of this file: a login that has begun is seen through, so that no token is lost that would lock the user out; a
renewal waits for the requests under way, and requests that come meanwhile wait for it; `Gate` says when to log in.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any

from gateway.core.errors import BadAnswer, CredentialsRefused, Refused, SessionLost, SourceError, Unreachable
from gateway.engine.ports import Clock
from gateway.sources.gate import Gate, mend_and_reload
from gateway.sources.http import Answer, Http

GRACE_S = 2.5
"""How long a shutdown waits for a login that is under way."""
RENEW_AGAIN_S = 60.0


class Session(ABC):
    """One login; requests wait for it, and those that meet a 401 together share one new login.

    `IDLE_S`: the product ends a session that long without a request; `KEEP_ALIVE_S`: when to send one.
    `TRIES`: how many logins a wrong password gets.
    """

    IDLE_S: float
    KEEP_ALIVE_S: float
    TRIES: int

    def __init__(self, http: Http, base: str, clock: Clock, mend: Callable[[], str] = mend_and_reload) -> None:
        self.http = http
        self.base = base
        self._clock = clock
        self._gate = Gate(clock, self.TRIES, mend)
        self._lock = asyncio.Lock()
        self._opened_at: float | None = None
        self._used_at = 0.0
        self._renew_at = math.inf
        self._proven = False
        self._under_way = 0
        self._still = asyncio.Event()
        self._still.set()
        self.number = 0
        self.ahead_s: float | None = None
        """Seconds that the product's wall clock is ahead of ours, by its newest answer."""

    @property
    def age_s(self) -> float | None:
        """Seconds since login, None without a session."""
        return None if self._opened_at is None else self._clock.monotonic() - self._opened_at

    @property
    def needs_request(self) -> bool:
        """Whether the product would soon end the session for want of a request."""
        return self._opened_at is not None and self._clock.monotonic() - self._used_at >= self.KEEP_ALIVE_S

    @property
    def renewal_due(self) -> bool:
        """Whether the session's lifetime is almost over."""
        return self._opened_at is not None and self._clock.monotonic() >= self._renew_at

    @abstractmethod
    async def _login(self) -> float | None:
        """Makes a session or raises SourceError; returns after how many seconds to renew it, None for never."""

    @abstractmethod
    async def _logout(self) -> None:
        """Ends the session at the product or raises SourceError."""

    @abstractmethod
    def _headers(self) -> Mapping[str, str]:
        """What proves the session."""

    async def open(self) -> None:
        """Logs in unless there is a session.

        Raises:
            CredentialsRefused: the login is refused, or was and is not tried yet.
            LoginHeld: the session is left to another login, or no session works.
            SourceError: as Http.request.
        """
        async with self._lock:
            if self._opened_at is not None and not self._is_idle_too_long:
                return
            self._opened_at = None
            self._gate.check()
            await _seen_through(self._enter())

    @property
    def _is_idle_too_long(self) -> bool:
        return self._clock.monotonic() - self._used_at >= self.IDLE_S

    async def _enter(self) -> None:
        try:
            renew_s = await self._login()
        except CredentialsRefused as error:
            raise self._gate.refused(error) from error
        self._gate.opened()
        now = self._clock.monotonic()
        self._opened_at = self._used_at = now
        self._renew_at = math.inf if renew_s is None else now + renew_s
        self._proven = False
        self.number += 1

    def retry(self) -> None:
        """A refused login may be tried again at once: a person says that it is mended."""
        self._gate.forgive()

    async def renew(self) -> None:
        """Logs out and in again between requests if that is due; a product that is away keeps the old session.

        Raises:
            SourceError: the logout was done and the login was not.
        """
        async with self._lock:
            await self._still.wait()
            if not self.renewal_due:
                return
            try:
                await _seen_through(self._leave_and_enter())
            except Unreachable:
                if self._opened_at is None:
                    raise
                self._renew_at = self._clock.monotonic() + RENEW_AGAIN_S

    async def log_in_anew(self) -> None:
        """Ends the session and logs in with the password of now, whatever was refused before.

        Raises:
            SourceError: as `open`.
        """
        async with self._lock:
            await self._still.wait()
            self._gate.forgive()
            await _seen_through(self._leave_and_enter())

    async def _leave_and_enter(self) -> None:
        if self._opened_at is not None:
            with contextlib.suppress(Refused, BadAnswer):
                await self._logout()
            self._opened_at = None
        await self._enter()

    async def close(self) -> str:
        """Logs out politely; returns why that was not possible, "" when it was. Never raises SourceError."""
        if self._opened_at is None:
            return ""
        self._opened_at = None
        try:
            await self._logout()
        except SourceError as error:
            return str(error)
        return ""

    @contextlib.asynccontextmanager
    async def between_logins(self) -> AsyncIterator[None]:
        """While this is held, no login, logout or renewal is under way."""
        async with self._lock:
            yield

    async def leave(self) -> str:
        """As `close`, once the requests under way have ended."""
        async with self._lock:
            await self._still.wait()
            return await self.close()

    async def request(self, method: str, path: str, body: Any = None) -> Answer:
        """One request in the session; a 401 is answered by one new login and the same request once more.

        Raises:
            SourceError: as Http.request and `open`; SessionLost when the new session was refused as well.
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
        async with self._lock:
            is_over = self._opened_at is None or self.number != number or self._is_idle_too_long
        if is_over:
            raise SessionLost(f"{method} {path}: not sent, its session is over", 401)
        return await self._send(method, path, body)

    async def _send(self, method: str, path: str, body: Any) -> Answer:
        number, self._used_at = self.number, self._clock.monotonic()
        self._under_way += 1
        self._still.clear()
        try:
            answer = await self.http.request(method, self.base + path, body=body, headers=self._headers())
        except SessionLost as error:
            self._lost(number, error)
            raise
        except Refused:
            self._worked(number)
            raise
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._still.set()
        self._worked(number)
        if answer.date is not None:
            self.ahead_s = answer.date - self._clock.wall()
        return answer

    def _worked(self, number: int) -> None:
        if self.number == number and not self._proven:
            self._proven = True
            self._gate.answered()

    def _lost(self, number: int, error: SessionLost) -> None:
        """A 401 counts once for each session, however many requests meet it."""
        if self.number == number and self._opened_at is not None:
            self._opened_at = None
            self._gate.lost(error, proven=self._proven)


async def _seen_through(step: Coroutine[Any, Any, None]) -> None:
    """Runs a step that a cancellation must not tear apart: it is then given `GRACE_S` to end by itself."""
    task = asyncio.get_running_loop().create_task(step)
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=GRACE_S)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise
    task.result()
