"""Live events of the page (server-sent events): coalesced, resumed after a break, bounded for slow readers."""

from __future__ import annotations

import asyncio
from collections import Counter

from aiohttp import web

from gateway.web.body import query_of
from gateway.web.guard import SESSION, failure
from gateway.web.hub import EVERYTHING, TOPICS, Hub, event
from gateway.web.ports import PagePort, Unusable
from gateway.web.session import Sessions

MOST_STREAMS, MOST_OF_USER = 64, 16
HEARTBEAT_S = 10.0
WRITE_S = 20.0
"""A reader that takes nothing for so long is cut; its page comes back and resumes."""
HEARTBEAT = b": alive\n\n"
RETRY = b"retry: 2000\n\n"


class Streams:
    """The handler of `/api/v1/events`."""

    def __init__(self, hub: Hub, page: PagePort, sessions: Sessions) -> None:
        self._hub, self._page, self._sessions = hub, page, sessions
        self._open: Counter[str] = Counter()
        self.connections: set[object] = set()
        """The connections of open streams."""
        self._stopping = asyncio.Event()

    @property
    def count(self) -> int:
        """Open streams."""
        return self._open.total()

    def stop(self) -> None:
        """Ends every stream, so that the listener need not wait for their readers."""
        self._stopping.set()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One stream until its reader goes, its login ends, or the gateway stops."""
        query = query_of(request, ("points", "after"))
        topic = query.get("points", EVERYTHING)
        if topic not in TOPICS:
            raise Unusable(f"points must be one of {', '.join(TOPICS)}")
        user = request[SESSION].user
        if self.count >= MOST_STREAMS or self._open[user] >= MOST_OF_USER:
            response = failure(503, "too many pages are open: close one, then reload this one")
            response.headers["Retry-After"] = "10"
            return response
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        stream.headers["X-Accel-Buffering"] = "no"
        self._open[user] += 1
        self.connections.add(request.protocol)
        last = self._hub.place(request.headers.get("Last-Event-ID") or query.get("after", ""))
        self._hub.join(topic)
        try:
            await stream.prepare(request)
            await self._feed(request, stream, topic, last)
        except (ConnectionError, TimeoutError):
            request.protocol.force_close()
        finally:
            self._hub.leave(topic)
            self.connections.discard(request.protocol)
            self._open[user] -= 1
            self._open += Counter()  # what is zero goes
        return stream

    async def _feed(self, request: web.Request, stream: web.StreamResponse, topic: str, last: int | None) -> None:
        hub, session = self._hub, request[SESSION]
        generation = self._page.generation
        logged = self._page.log(-1)["last"]
        hello = {"resumed": last is not None, "generation": generation, "log": logged, "utc": hub.utc}
        seen = hub.tick if last is None else last
        await self._send(stream, RETRY + event("hello", hello, f"{hub.epoch}-{seen}"))
        while not self._stopping.is_set():
            moved = await hub.wait(seen, HEARTBEAT_S)
            if self._stopping.is_set():
                return
            if not self._sessions.still(session):
                await self._send(stream, event("bye", {"reason": "the login has ended"}))
                return
            if not moved:
                await self._send(stream, HEARTBEAT)
                continue
            seen, portions = await hub.since(topic, seen)
            for portion in portions:
                await self._send(stream, portion)
                await asyncio.sleep(0)
                if self._stopping.is_set():
                    return
            rest = b""
            if self._page.generation != generation:
                generation = self._page.generation
                rest += event("structure", {"generation": generation})
            news = self._page.log(logged)
            if news["entries"]:
                logged = news["last"]
                rest += event("log", news)
            await self._send(stream, rest + f"id: {hub.epoch}-{seen}\nevent: tick\ndata: {seen}\n\n".encode())

    @staticmethod
    async def _send(stream: web.StreamResponse, octets: bytes) -> None:
        async with asyncio.timeout(WRITE_S):
            await stream.write(octets)
