"""Host names to addresses: off the loop, in bounded time, and the last good answer while there is no new one."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from aiohttp.abc import AbstractResolver, ResolveResult

RESOLVE_S = 5.0
log = structlog.get_logger("sources")
Key = tuple[str, int, int]
Lookup = Callable[..., Sequence[tuple[Any, ...]]]
"""As socket.getaddrinfo."""


class KeepingResolver(AbstractResolver):
    """Asks DNS at every new connection; an address that cannot be asked for anew is used as before.

    A lookup that hangs keeps one thread and no more, and no executor: neither a file's thread nor the end of the
    process has to wait for it.
    """

    def __init__(self, lookup: Lookup = socket.getaddrinfo, timeout_s: float = RESOLVE_S) -> None:
        self._lookup, self._timeout_s = lookup, timeout_s
        self._good: dict[Key, list[ResolveResult]] = {}
        self._asked: dict[Key, asyncio.Future[list[ResolveResult] | OSError]] = {}
        self._kept: set[Key] = set()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a host.

        Raises:
            OSError: it cannot be resolved and never could.
        """
        key = (host, port, family)
        asked = self._asked.get(key) or self._ask(key)
        await asyncio.wait({asked}, timeout=self._timeout_s)
        found = asked.result() if asked.done() else _timed_out(self._timeout_s)
        if isinstance(found, OSError):
            return self._last_good(key, found)
        if key in self._kept:
            self._kept.discard(key)
            log.info("dns.recovered", host=host, address=_shown(found))
        self._good[key] = found
        return found

    def _last_good(self, key: Key, error: OSError) -> list[ResolveResult]:
        good = self._good.get(key)
        if good is None:
            raise error
        if key not in self._kept:
            self._kept.add(key)
            log.warning("dns.failed", host=key[0], reason=error.strerror, kept=_shown(good))
        return good

    def _ask(self, key: Key) -> asyncio.Future[list[ResolveResult] | OSError]:
        loop = asyncio.get_running_loop()
        asked: asyncio.Future[list[ResolveResult] | OSError] = loop.create_future()
        self._asked[key] = asked

        def answered(found: list[ResolveResult] | OSError) -> None:
            self._asked.pop(key, None)
            if not asked.done():
                asked.set_result(found)

        def run() -> None:
            try:
                found: list[ResolveResult] | OSError = self._results(key)
            except OSError as error:
                found = error
            except UnicodeError:
                found = OSError(socket.EAI_NONAME, "not a host name")
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(answered, found)

        threading.Thread(target=run, name=f"dns {key[0]}", daemon=True).start()
        return asked

    def _results(self, key: Key) -> list[ResolveResult]:
        host, port, family = key
        flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        found: list[ResolveResult] = []
        for kind, _, proto, _, address in self._lookup(host, port, family=family, type=socket.SOCK_STREAM):
            scope = f"%{address[3]}" if kind == socket.AF_INET6 and address[3] else ""
            at = f"{address[0]}{scope}"
            found.append(ResolveResult(hostname=host, host=at, port=address[1], family=kind, proto=proto, flags=flags))
        return found

    async def close(self) -> None:
        """Nothing is held that would have to be given back."""


def _timed_out(timeout_s: float) -> OSError:
    return OSError(socket.EAI_AGAIN, f"no answer from DNS within {timeout_s:g} s")


def _shown(found: list[ResolveResult]) -> str:
    return ", ".join(item["host"] for item in found)
