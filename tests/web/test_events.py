"""Live events: coalesced, resumed after a break, bounded for a reader that takes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.web import events, hub
from tests.site import until
from tests.web.rig import Stand, show, stand


class Reader:
    """An event stream as a browser reads it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer
        self.last_id = ""
        self.events: list[tuple[str, Any]] = []
        self.comments = 0

    async def read(self) -> None:
        """Reads until the stream ends."""
        name, ident = "", ""
        while line := await self._reader.readline():
            text = line.decode().strip()
            if text.startswith("id: "):
                ident = text[4:]
            elif text.startswith("event: "):
                name = text[7:]
            elif text.startswith("data: "):
                self.events.append((name, json.loads(text[6:])))
            elif text.startswith(":"):
                self.comments += 1
            elif not text and ident:
                self.last_id, ident = ident, ""

    def rows(self) -> dict[int, Any]:
        """The newest value of each point that was told."""
        found: dict[int, Any] = {}
        for name, data in self.events:
            if name == "points":
                found |= {row[0]: row[1] for row in data["rows"]}
        return found

    def has(self, name: str) -> bool:
        return any(event == name for event, _ in self.events)


@contextlib.asynccontextmanager
async def listening(small: Stand, query: str = "", last: str = "", user: str = "vera") -> AsyncIterator[Reader]:
    headers = await small.cookie(user)
    reader, writer = await asyncio.open_connection("127.0.0.1", small.server.port, limit=10_000_000)
    more = f"Last-Event-ID: {last}\r\n" if last else ""
    request = f"GET /api/v1/events{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {headers['Cookie']}\r\n{more}\r\n"
    writer.write(request.encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    assert b"Content-Type: text/event-stream" in head
    stream = Reader(reader, writer)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(stream.read())
        try:
            await until(lambda: stream.has("hello"))
            yield stream
        finally:
            task.cancel()
            writer.close()


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "TICK_S", 0.05)


async def test_a_change_comes_once_with_its_newest_value(small: Stand) -> None:
    async with listening(small) as stream:
        for value in range(500):
            show(small.table, {1: float(value)})
        await until(lambda: stream.rows() == {1: 499.0})
        await until(lambda: stream.has("tick"))
        told = [row for name, data in stream.events if name == "points" for row in data["rows"] if row[0] == 1]
        assert len(told) == 1, "five hundred changes between two ticks are one"
        assert told[0][1:] == [499.0, "good", "", 0.0, None, False]


async def test_who_wants_only_cards_or_nothing_is_told_no_more(small: Stand) -> None:
    async with listening(small, "?points=cards") as cards, listening(small, "?points=none") as nothing:
        show(small.table, {0: 5.0, 1: 6.0})
        await until(lambda: cards.rows() == {0: 5.0})
        await until(lambda: nothing.has("overview"))
        assert not nothing.has("points")
        assert cards.rows() == {0: 5.0}


async def test_after_a_break_only_what_changed_meanwhile_is_told(small: Stand) -> None:
    async with listening(small) as first:
        show(small.table, {0: 5.0})
        await until(lambda: first.rows() == {0: 5.0})
        seen = len(first.events)
        await until(lambda: len(first.events) > seen + 1)
        last = first.last_id
    show(small.table, {2: 7.0})
    async with listening(small, last=last) as second:
        assert second.events[0][1]["resumed"] is True
        await until(lambda: second.rows() == {2: 7.0})
    async with listening(small, f"?after={last}") as third:
        await until(lambda: third.rows() == {2: 7.0})


@pytest.mark.parametrize("last", ["x-1", "1", "-", "00000000-5", "x" * 100, "0-99999999999999999999"])
async def test_an_id_that_is_not_of_this_run_means_to_load_everything_anew(small: Stand, last: str) -> None:
    async with listening(small) as first:
        epoch = first.last_id.partition("-")[0]
        async with listening(small, last=last) as other:
            assert other.events[0][1]["resumed"] is False
        async with listening(small, last=f"{epoch}-99999") as ahead:
            assert ahead.events[0][1]["resumed"] is False


async def test_a_reader_that_takes_nothing_costs_no_memory_and_gets_the_newest_in_the_end(tmp_path: Path) -> None:
    async with stand(tmp_path, count=3000) as small:
        headers = await small.cookie("vera")
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, ("127.0.0.1", small.server.port))
        request = f"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {headers['Cookie']}\r\n\r\n"
        await loop.sock_sendall(sock, request.encode())
        await until(lambda: small.server.streams.count == 1)
        async with listening(small) as quick:
            for value in range(20):
                show(small.table, dict.fromkeys(range(3000), 1000.0 + value))
                before = small.server.hub.tick
                await until(lambda before=before: small.server.hub.tick > before)
            await until(lambda: quick.rows().get(2999) == 1019.0)
        waiting = [transport.get_write_buffer_size() for transport in small.server._runner.server._connections.values()]
        assert max(waiting, default=0) < 500_000, "twenty ticks of 130 kB did not pile up"
        text = b""
        while b"1019.0" not in text[-200_000:]:
            async with asyncio.timeout(10):
                piece = await loop.sock_recv(sock, 65536)
            assert piece
            text += piece
        sock.close()


async def test_a_reader_that_takes_nothing_at_all_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "WRITE_S", 0.3)
    async with stand(tmp_path, count=3000) as small:
        headers = await small.cookie("vera")
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, ("127.0.0.1", small.server.port))
        request = f"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {headers['Cookie']}\r\n\r\n"
        await loop.sock_sendall(sock, request.encode())
        await until(lambda: small.server.streams.count == 1)
        value = 0.0
        while small.server.streams.count:
            value += 1.0
            show(small.table, dict.fromkeys(range(3000), value))
            await asyncio.sleep(0.02)
            assert value < 1000
        sock.close()


async def test_a_stream_ends_with_its_login(small: Stand) -> None:
    async with listening(small) as stream:
        small.users.remove("vera")
        await until(lambda: stream.has("bye"))
        await until(lambda: small.server.streams.count == 0)


async def test_a_user_has_sixteen_streams_and_everybody_together_a_bound(
    small: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MOST_OF_USER", 2)
    async with listening(small), listening(small):
        refused = await small.ask("GET", "/api/v1/events", None, await small.cookie("vera"))
        assert (refused.status, refused.headers["Retry-After"]) == (503, "10")
        async with listening(small, user="oskar"):
            assert small.server.streams.count == 3
    await until(lambda: small.server.streams.count == 0)


@pytest.mark.parametrize("part", ["commands", "overview"])
async def test_a_fault_of_the_page_costs_a_tick_and_no_change(
    small: Stand, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], part: str
) -> None:
    monkeypatch.setattr(hub, "OVERVIEW_S", 0.2)
    faults = 0

    def broken(_ids: Any = None) -> list[dict[str, Any]]:
        nonlocal faults
        faults += 1
        raise KeyError("p0")

    async with listening(small) as stream:
        await until(lambda: stream.has("tick"))
        with monkeypatch.context() as patch:
            patch.setattr(small.page, part, broken)
            await until(lambda: faults > 0)
            show(small.table, {1: 9.0})
            await until(lambda: faults > 3)
            assert not stream.rows(), "no tick is told that is not whole"
        await until(lambda: stream.rows() == {1: 9.0})
    assert capsys.readouterr().out.count("page.fault") == 1, "told once, not twice a second"


async def test_what_ten_readers_get_is_made_once(small: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[list[int]] = []
    live = small.page.live

    def counted(ids: Any) -> Any:
        made.append(list(ids))
        return live(ids)

    monkeypatch.setattr(small.page, "live", counted)
    async with contextlib.AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(listening(small)) for _ in range(10)]
        await until(lambda: all(stream.has("tick") for stream in streams))
        show(small.table, {1: 9.0})
        await until(lambda: all(stream.rows() == {1: 9.0} for stream in streams))
    assert made == [[1]]


async def test_nothing_is_collected_while_nobody_listens(small: Stand) -> None:
    show(small.table, {0: 5.0})
    await asyncio.sleep(0.2)
    assert small.server.hub.tick == 0
    async with listening(small):
        await until(lambda: small.server.hub.tick > 2)
    await until(lambda: small.server.streams.count == 0)
    small.clock.ahead_s += hub.KEPT_S + 1
    await until(lambda: not small.server.hub._collects)


async def test_names_that_are_made_to_break_out_stay_data(small: Stand) -> None:
    small.page.entries.append({"seq": 1, "event": "x\n\ndata: evil\nevent: bye", "fields": {"a": "</script>\u2028"}})
    async with listening(small) as stream:
        small.page.entries.append({"seq": 2, "event": "y\n\nevent: bye\ndata: {}\n\n", "fields": {}})
        await until(lambda: stream.has("log"))
        assert not stream.has("bye")
        told = next(data for name, data in stream.events if name == "log")
        assert told["entries"][0]["event"] == "y\n\nevent: bye\ndata: {}\n\n"
